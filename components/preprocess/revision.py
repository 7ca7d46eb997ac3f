"""Data as a git revision has them: a folder that DVC tracks in a repository, out of any of its remotes."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ofa.errors import OFAError


@dataclass(frozen=True)
class Tracked:
    """A folder that DVC tracks, at one revision."""

    commit: str
    """Full hash of the git commit."""
    md5: str
    """What DVC knows the folder's content by: it ends in ".dir"."""


def locate(repository: str, path: str, revision: str) -> Tracked:
    """Which content `path` has at a revision; nothing is downloaded but the repository's history.

    Args:
        repository: folder or address of a git repository.
        path: folder in it that DVC tracks.
        revision: commit, branch or tag.

    Raises:
        OFAError: there is no such repository, revision or tracked folder, or git's settings in it cannot be read.
    """
    from dvc.repo import Repo

    _check_settings(repository)
    with _explained(repository, path, revision), Repo.open(repository, rev=revision) as repo:
        (out,) = repo.find_outs_by_path(str(Path(repo.root_dir) / path))
        return Tracked(repo.get_rev(), out.hash_info.value)


def get(repository: str, path: str, revision: str, folder: Path) -> Tracked:
    """Download `path` as the revision has it, as the new folder `folder`, and check the hash of every file.

    Raises:
        OFAError: as `locate`; a file cannot be had from the remotes, or arrived with another content.
    """
    from dvc.repo import Repo

    found = locate(repository, path, revision)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _explained(repository, path, revision):
        Repo.get(repository, path, str(folder), rev=found.commit)
    arrived = folder_md5(folder)
    if arrived != found.md5:
        raise OFAError(
            f"{repository}: {path} at {revision} arrived with hash {arrived}, {found.md5} was asked for; fetch it again"
        )
    return found


def folder_md5(folder: Path) -> str:
    """The hash by which DVC knows a folder: MD5 of the list of its files and their MD5."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = sorted(
        ({"md5": _md5(path), "relpath": path.relative_to(folder).as_posix()} for path in files),
        key=lambda entry: entry["relpath"],
    )
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()


def _check_settings(repository: str) -> None:
    """Refuse a folder whose `.git/config` cannot be read: DVC would stop with an error that names no file."""
    from dulwich.config import ConfigFile

    path = Path(repository, ".git", "config")
    try:
        if path.is_file():
            ConfigFile.from_path(str(path))
    except ValueError as error:
        raise OFAError(f"{path}: cannot be read by git: {error}; mend it, or clone the repository again") from error


@contextmanager
def _explained(repository: str, path: str, revision: str) -> Iterator[None]:
    from dvc.exceptions import DvcException
    from dvc.scm import SCMError
    from pygit2 import GitError

    try:
        yield
    except (DvcException, SCMError, GitError) as error:
        raise OFAError(
            f"{repository}: cannot get {path} at revision {revision}: {' '.join(str(error).split())}"
        ) from error
