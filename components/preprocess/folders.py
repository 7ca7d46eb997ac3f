"""Results that are folders: made beside their place, then renamed, so that nobody sees half of one."""

import os
import shutil
from pathlib import Path

from ofa.errors import OFAError


def staging_folder(folder: Path, marker: str) -> Path:
    """The hidden folder beside `folder` in which a step prepares it; it may hold what an interrupted run left.

    Raises:
        OFAError: `folder` holds something that no step made: it has content, but no file `marker`.
    """
    is_free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not is_free and not (folder / marker).is_file():
        raise OFAError(f"{folder}: exists and was not made by this step (no {marker} in it); name another or remove it")
    return folder.with_name(f".{folder.name}.partial")


def replace_folder(staging: Path, folder: Path) -> None:
    """Give `staging` the name `folder`, in place of the folder that has it now."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(staging, folder)
    shutil.rmtree(old, ignore_errors=True)
