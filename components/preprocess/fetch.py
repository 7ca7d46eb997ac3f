"""Get the raw data: the built-in pictures, or real data in the layout of COCO from elsewhere."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.folders import check_place, replace_folder, staging_path
from components.preprocess.layout import RawData
from components.preprocess.manifest import BUILT_IN, NAME, Manifest, data_version, describe
from components.preprocess.origins import origin
from components.preprocess.transfer import JOURNAL
from ofa.errors import OFAError


def fetch(
    out: str,
    source: str | Sequence[str] = BUILT_IN,
    scenes: Mapping[str, Any] | None = None,
    license: str = "",
    options: Mapping[str, Any] | None = None,
    revision: str = "",
    path: str = "data/raw",
) -> Manifest:
    """Make the folder `out` of raw data with a manifest of its content.

    The data are made or copied beside `out` and take its name when they are whole, so `out` is never half-written. A
    copy that was interrupted goes on where it stopped, and one that is already whole is not made again.

    Args:
        out: the folder to make. An older one that this step made is replaced.
        source: "scenes" for the built-in pictures; otherwise folders, archives or addresses of real data, which are
            laid into one folder (see `ofa.data.sources` for the layout). NAME=SOURCE is laid into the folder NAME,
            which says what data set it is: snli_ve, image_classify, ocr, glue, gigaword.
        scenes: what to change about the built-in pictures: fields of `ofa.data.scenes.SceneConfig`. Other sources have
            no use for it.
        license: the terms of the data for the manifest; without it, the license files that came with them.
        options: credentials and such for the file system of an address, passed on to fsspec.
        revision: commit, branch or tag: `source` is then a git repository, whose folder `path` DVC tracks.
        path: that folder.

    Raises:
        OFAError: a source is missing or cannot be read, a setting is wrong, the disk is too small, or `out` holds
            something else.
    """
    folder = Path(out)
    staging = staging_path(folder)
    check_place(folder, NAME)
    sources = [source] if isinstance(source, str) else list(source)
    found = origin(sources, scenes, options, revision, path)
    if not found.made and (present := _present(folder, found.settings)):
        return present
    paths = [path for path in found.bring(staging) if path != NAME]  # a copy of raw data gets a manifest of its own
    terms = sorted(path for path in paths if "license" in path.lower())
    counts = RawData(staging).count()
    described = describe(staging, paths)
    Manifest(found.name, dict(found.settings), license or ", ".join(terms), counts, described).save(staging)
    replace_folder(staging, folder)
    (folder / JOURNAL).unlink(missing_ok=True)
    return Manifest.load(folder)


def find_version(
    source: str | Sequence[str] = BUILT_IN,
    scenes: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    revision: str = "",
    path: str = "data/raw",
    **_: Any,
) -> str:
    """The version that `Manifest.version` would have after `fetch` with the same arguments; nothing is copied.

    Raises:
        OFAError: a source is missing or cannot be read, or a setting is wrong.
    """
    sources = [source] if isinstance(source, str) else list(source)
    return data_version(origin(sources, scenes, options, revision, path).settings)


def _present(folder: Path, version: Mapping[str, Any]) -> Manifest | None:
    """The manifest of `folder` if it is whole and of this version."""
    try:
        manifest = Manifest.load(folder)
    except OFAError:
        return None
    return manifest if manifest.settings == version else None
