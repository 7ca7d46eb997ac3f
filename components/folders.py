"""Results that are folders: made beside their place, then renamed, so that nobody sees half of one."""

import os
import shutil
from pathlib import Path

from ofa.errors import OFAError


def check_place(folder: Path, marker: str) -> None:
    """Raise OFAError if `folder` holds something that no step made: it has content, but no file `marker`."""
    is_free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not is_free and not (folder / marker).is_file():
        raise OFAError(f"{folder}: exists and was not made by this step (no {marker} in it); name another or remove it")


def staging_path(folder: Path) -> Path:
    """The hidden folder beside `folder` in which it is prepared; it may hold what an interrupted run left."""
    return folder.with_name(f".{folder.name}.partial")


def make_staging(folder: Path, keep: bool = False) -> Path:
    """Make the folder `staging_path`, without what an interrupted run left there unless `keep` is true.

    Raises:
        OFAError: it cannot be made.
    """
    staging = staging_path(folder)
    try:
        if staging.exists() and not keep:
            shutil.rmtree(staging)
        staging.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OFAError(f"cannot write {folder}: {error.strerror}; check the path and its permissions") from error
    return staging


def replace_folder(staging: Path, folder: Path) -> None:
    """Give `staging` the name `folder`, in place of the folder that has it now."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(staging, folder)
    shutil.rmtree(old, ignore_errors=True)
