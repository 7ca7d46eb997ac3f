"""Files that are either whole or absent: write beside, then rename; and plain answers when the disk is full."""

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ofa.errors import OFAError

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "w") -> Iterator[IO]:
    """Open a temporary file beside `path` and rename it to `path` when the block ends without an error.

    Readers see the old file or the new one, never a part of it; after an error the temporary file is gone and `path`
    is as it was. Missing parent folders are made. `mode` is "w" (UTF-8, newlines unchanged) or "wb".

    Raises OFAError when the folder cannot be written or the disk is full.
    """
    if mode not in ("w", "wb"):
        raise ValueError(f"atomic_write mode must be 'w' or 'wb', got {mode!r}")
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(temporary, mode.replace("w", "x"), **text)
    except OSError as error:
        raise _explain(error, path) from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        # Only a write to our own file has no file name in its error: others are the caller's and pass unchanged.
        if error.errno in _DISK_FULL and error.filename is None:
            raise _explain(error, path, temporary.stat().st_size) from error
        if error.filename == str(temporary):
            raise _explain(error, path) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def ensure_space(path: str | os.PathLike, needed: int) -> None:
    """Raise OFAError if the disk that holds `path` (which need not exist yet) has fewer than `needed` bytes free."""
    path = Path(path).absolute()
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise OFAError(
            f"not enough disk space for {path}: {_size(needed)} needed, {_size(free)} free; "
            "free some space or choose another folder"
        )


def sha256_file(path: str | os.PathLike) -> str:
    """The SHA-256 of a file's content, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _explain(error: OSError, path: Path, written: int = 0) -> OFAError:
    if error.errno not in _DISK_FULL:
        return OFAError(f"cannot write {path}: {error.strerror}; check the path and its permissions")
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    return OFAError(
        f"no space left on the disk while writing {path}: more than {_size(written)} needed, "
        f"{_size(written + shutil.disk_usage(folder).free)} available; free some space or choose another folder"
    )


def _size(count: int) -> str:
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def sync(path: Path) -> None:
    """Make a file, or what was renamed in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
