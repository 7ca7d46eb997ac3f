"""Where raw data come from. Each origin knows its version before anything is copied."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from components.preprocess.manifest import BUILT_IN
from components.preprocess.revision import get, locate
from components.preprocess.transfer import fingerprint, listing, transfer
from ofa import settings
from ofa.errors import OFAError


class Origin(Protocol):
    """Where raw data come from."""

    made: bool
    """They are made, not copied."""
    name: str
    """For the manifest."""
    settings: Mapping[str, Any]
    """What identifies the data: two origins with the same settings bring the same."""

    def bring(self, staging: Path) -> list[str]:
        """Make or copy the data as the folder `staging`; relative paths of its files."""


def origin(
    source: Sequence[str],
    scenes: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    revision: str = "",
    path: str = "data/raw",
) -> Origin:
    """The origin that the settings of `fetch` name; its arguments are explained there."""
    if list(source) == [BUILT_IN]:
        if revision:
            raise OFAError(f"fetch: `revision` is for a git repository; the source is '{BUILT_IN}'")
        return Scenes(scenes or {})
    if not revision:
        return Files(source, dict(options or {}))
    if len(source) != 1:
        raise OFAError(f"fetch: a `revision` is of one repository; the source is {', '.join(source)}")
    return Revision(source[0], path, revision)


class Scenes:
    """The built-in pictures."""

    made = True
    name = BUILT_IN

    def __init__(self, changes: Mapping[str, Any]):
        from ofa.data.scenes import SceneConfig

        self._config = settings.build(SceneConfig, changes, "fetch.scenes")
        self.settings = asdict(self._config)

    def bring(self, staging: Path) -> list[str]:
        from ofa.data.scenes import write_scenes

        write_scenes(staging, self._config)
        return _files(staging)


class Files:
    """Folders, archives and addresses, laid into one folder."""

    made = False

    def __init__(self, sources: Sequence[str], options: dict[str, Any]):
        self.name = ", ".join(sources)
        self._items = listing(sources, options)
        self.settings = {"version": fingerprint(self._items)}

    def bring(self, staging: Path) -> list[str]:
        return transfer(self._items, staging)


class Revision:
    """A folder that DVC tracks, as a git revision has it."""

    made = False

    def __init__(self, repository: str, path: str, revision: str):
        self.name, self._path, self._revision = repository, path, revision

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        found = locate(self.name, self._path, self._revision)
        return {"version": found.md5, "commit": found.commit, "path": self._path}

    def bring(self, staging: Path) -> list[str]:
        get(self.name, self._path, self.settings["commit"], staging)
        return _files(staging)


def _files(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
