"""Files at addresses (s3://, gs://, https:// ...): ranges of their bytes, names in folders, and copies of small ones.

Any file system that fsspec knows will do; credentials and endpoints come from where its programs look for them, for S3
the environment's AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL or the files in ~/.aws.
"""

import errno
import fcntl
import hashlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import TypeVar

from ofa.errors import OFAError
from ofa.files import atomic_write

logger = logging.getLogger(__name__)

T = TypeVar("T")

WAITS = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further try to read what could not be read."""
FAILURES = (
    "aiohttp.ClientError",
    "botocore.exceptions.BotoCoreError",
    "botocore.exceptions.ClientError",
)
"""What the libraries of file systems raise beside OSError."""
BLOCK = 8 << 20
"""Bytes that are read in one piece where a whole file is wanted."""
AT_ONCE = 4
"""Pieces that are on their way side by side then."""


class Unreachable(OFAError):
    """A file that is not there, may not be read, or cannot be reached; not the fault of a row."""


def is_address(place: str | os.PathLike) -> bool:
    """Whether a place is an address and not a path of this machine."""
    return "://" in str(place)


def placed(place: str | os.PathLike) -> Path | str:
    """A path, or the address as it is: `Path` would fold its slashes."""
    return str(place) if is_address(place) else Path(place)


def below(folder: str | os.PathLike, name: str) -> Path | str:
    """A file in a folder, either of them local or remote."""
    return f"{str(folder).rstrip('/')}/{name}" if is_address(folder) else Path(folder) / name


def files_like(folder: str | os.PathLike, pattern: str) -> list[Path | str]:
    """The files of a folder whose names fit a shell pattern, sorted; none where there is no such folder."""
    if not is_address(folder):
        return sorted(path for path in Path(folder).glob(pattern) if path.is_file())

    def names() -> list[str]:
        filesystem, root = _open(str(folder))
        filesystem.invalidate_cache()
        try:
            found = filesystem.ls(root, detail=True)
        except FileNotFoundError:
            return []
        return sorted(Path(item["name"]).name for item in found if item["type"] == "file")

    return [below(folder, name) for name in _persistently(str(folder), names) if fnmatch(name, pattern)]


def local_file(place: str | os.PathLike) -> Path:
    """A file on this machine: the path itself, or a copy of what is at an address, kept in `cache_folder()`."""
    if not is_address(place):
        return Path(place)
    remote = RemoteFile(str(place))
    return _copy(remote, remote.cached("files"))


def local_folder(place: str | os.PathLike) -> Path:
    """A folder on this machine: the path itself, or a copy of the files in one at an address, as `local_file` makes."""
    if not is_address(place):
        return Path(place)
    files = [RemoteFile(str(file)) for file in files_like(place, "*")]
    folder = cached(files, "folders")
    for file in files:
        _copy(file, folder)
    return folder


def cache_folder() -> Path:
    """Where copies and indexes of remote files are kept: `ofa` below $XDG_CACHE_HOME, by default ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ofa"


class RemoteFile:
    """A file at an address, as it was when this was made.

    Attributes: `address`; `size` in bytes; `version`, which changes with the content as far as the store tells.

    Raises:
        Unreachable: there is no such file, it may not be read, or the store does not answer.
    """

    def __init__(self, address: str):
        self.address = address

        def describe() -> dict:
            filesystem, path = _open(address)
            filesystem.invalidate_cache()
            return filesystem.info(path)

        info = _persistently(address, describe)
        if info.get("type") == "directory" or info.get("size") is None:
            raise Unreachable(f"{address}: is no file; give the address of a file")
        self.size = int(info["size"])
        self.version = next(
            (str(info[key]) for key in ("ETag", "etag", "md5", "LastModified", "mtime", "created") if info.get(key)), ""
        )

    def read(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes from start to end (exclusive) of each range, asked for side by side.

        A broken connection is taken up again; only what is missing is asked for once more.
        """
        parts: dict[tuple[int, int], bytes] = {}

        def fill() -> None:
            filesystem, path = _open(self.address)
            missing = [span for span in dict.fromkeys(ranges) if span not in parts]
            starts, ends = map(list, zip(*missing, strict=True))
            failures: list[Exception] = []
            arrived = filesystem.cat_ranges([path] * len(missing), starts, ends, on_error="return")
            for (start, end), part in zip(missing, arrived, strict=True):
                if isinstance(part, Exception):
                    failures.append(part)
                elif len(part) != end - start:
                    failures.append(OSError(errno.EIO, f"{len(part)} of {end - start} bytes arrived"))
                else:
                    parts[start, end] = part
            if failures:
                raise failures[0]

        if ranges:
            _persistently(self.address, fill)
        return [parts[span] for span in ranges]

    def blocks(self) -> Iterator[bytes]:
        """The whole content in order, in blocks of `BLOCK` bytes, `AT_ONCE` of them in memory."""
        spans = [(start, min(start + BLOCK, self.size)) for start in range(0, self.size, BLOCK)]
        for first in range(0, len(spans), AT_ONCE):
            yield from self.read(spans[first : first + AT_ONCE])

    def cached(self, kind: str) -> Path:
        """A path on this machine for what is known of this version of the file."""
        return cached([self], kind)


def cached(files: Sequence[RemoteFile], kind: str) -> Path:
    """A path on this machine for what is known of these versions of some files together."""
    lines = [f"{file.address}\t{file.size}\t{file.version}" for file in files]
    return cache_folder() / kind / hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Of several processes that want to make `path`, one after the other does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(f".{path.name}.lock"), "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Turn what file systems raise into one error that names the place and says what to do."""
    login = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what the store asks for"
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise Unreachable(f"{place}: no such folder, file, bucket or address; check the name") from None
    except PermissionError as error:
        raise Unreachable(f"{place}: access denied ({error}); {login}") from None
    except _raised("botocore.exceptions.NoCredentialsError"):
        raise Unreachable(f"{place}: no credentials for this store; {login}") from None
    except (OSError, ValueError, ImportError, *_raised(*FAILURES)) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Unreachable(f"{place}: cannot be read: {error}; check the address and the network") from error


def _copy(remote: RemoteFile, folder: Path) -> Path:
    """Bring a file into a folder, unless it is there."""
    path = folder / remote.address.rpartition("/")[2]
    with locked(path):
        if not path.exists():
            with atomic_write(path, "wb") as file:
                file.writelines(remote.blocks())
    return path


def _open(address: str):
    """The file system of an address (fsspec keeps one a process) and the path there."""
    from fsspec.core import url_to_fs

    return url_to_fs(address)


def _raised(*names: str) -> tuple[type[Exception], ...]:
    """Classes of exceptions by their names; a library that is not loaded, or not installed, raises none."""
    parts = [name.rpartition(".") for name in names]
    return tuple(getattr(sys.modules[module], name) for module, _, name in parts if module in sys.modules)


def _persistently(address: str, action: Callable[[], T]) -> T:
    """Do something again after a broken connection, a busy store or a short answer; never after a plain no."""
    with explained(address):
        for wait in WAITS:
            try:
                return action()
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                raise
            except _raised("botocore.exceptions.NoCredentialsError"):
                raise
            except (OSError, *_raised(*FAILURES)) as error:
                logger.warning("%s: %s; trying again in %g s", address, error or type(error).__name__, wait)
                time.sleep(wait)
        return action()
