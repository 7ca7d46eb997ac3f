"""Copy files from folders, archives and addresses into one folder; an interrupted copy goes on where it stopped.

Any file system that fsspec knows will do: a local path, https://, s3://, gs://, memory:// ... Archives are unpacked
where they lie, so `train2017.zip` becomes `train2017/`. What the files mean is not this module's concern.
"""

import errno
import hashlib
import json
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs

from ofa.data.files import atomic_write, ensure_space
from ofa.errors import OFAError
from ofa.progress import bar

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
JOURNAL = ".transfer.json"
_AT_ONCE = 64


@dataclass(frozen=True)
class Item:
    """One file to copy."""

    filesystem: AbstractFileSystem
    """The file system that holds it."""
    path: str
    """Its path there."""
    name: str
    """Its path in the new folder, relative, with forward slashes."""
    size: int | None
    """Bytes, where the file system says so before reading."""
    version: str
    """Changes when the content does, as far as the file system tells: time of modification or entity tag."""


def listing(sources: Sequence[str], options: dict[str, Any] | None = None) -> list[Item]:
    """All files of `sources`, each a folder or a file (local or an address); hidden files are left out.

    `options` are passed to fsspec's file systems (credentials, endpoint).

    Raises:
        OFAError: a source is missing, cannot be reached or holds no file, or two sources hold a file of one name.
    """
    items: dict[str, Item] = {}
    for source in sources:
        with _explained(source):
            filesystem, root = url_to_fs(source, **(options or {}))
            found = filesystem.find(root, detail=True)
        if not found:
            raise OFAError(f"{source}: no such folder, file or address, or no file in it; check `source`")
        for path, info in found.items():
            relative = path.removeprefix(root.rstrip("/")).lstrip("/") or PurePosixPath(path).name
            if any(part.startswith(".") for part in PurePosixPath(relative).parts):
                continue
            if relative in items:
                raise OFAError(f"{path}: {items[relative].path} has the same name {relative}; name folders apart")
            version = next(
                (str(info[key]) for key in ("ETag", "etag", "md5", "LastModified", "mtime") if key in info), ""
            )
            items[relative] = Item(filesystem, path, relative, info.get("size"), version)
    return list(items.values())


def fingerprint(items: Sequence[Item]) -> str:
    """A hash that changes when a file is added, removed or, as far as the file system tells, changed."""
    lines = sorted(f"{item.name}\t{item.size}\t{item.version}" for item in items)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def transfer(items: Sequence[Item], folder: Path) -> list[str]:
    """Copy `items` into `folder` and unpack archives; the relative paths of all resulting files.

    A journal in the folder remembers what is being copied, so a second call after an interruption copies only what is
    missing; when the source has changed since, everything is copied anew. The caller renames the folder when it is
    whole and removes the journal.

    Raises:
        OFAError: a file cannot be read, an archive is damaged or unsafe, or the disk is too small.
    """
    journal = _start(folder, fingerprint(items))
    missing = [item for item in items if not _is_there(item, folder, journal)]
    ensure_space(folder, sum(item.size or 0 for item in missing))
    with bar(len(items), "copy", "file", initial=len(items) - len(missing)) as progress:
        for start in range(0, len(missing), _AT_ONCE):
            chunk = missing[start : start + _AT_ONCE]
            for filesystem in {id(item.filesystem): item.filesystem for item in chunk}.values():
                _copy([item for item in chunk if item.filesystem is filesystem], folder)
            progress.update(len(chunk))
    for item in items:
        if item.name.endswith(ARCHIVES) and item.name not in journal["unpacked"]:
            _unpack(folder / item.name)
            journal["unpacked"].append(item.name)
            _write_journal(folder, journal)
            (folder / item.name).unlink()
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return [path.as_posix() for path in files if not any(part.startswith(".") for part in path.parts)]


def _start(folder: Path, version: str) -> dict[str, Any]:
    """The journal of an interrupted copy of the same files, or a new one in an empty folder."""
    try:
        journal = json.loads((folder / JOURNAL).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        journal = None
    if journal is None or journal["version"] != version:
        shutil.rmtree(folder, ignore_errors=True)
        journal = {"version": version, "unpacked": []}
        _write_journal(folder, journal)
    return journal


def _write_journal(folder: Path, journal: dict[str, Any]) -> None:
    with atomic_write(folder / JOURNAL) as file:
        json.dump(journal, file)


def _is_there(item: Item, folder: Path, journal: dict[str, Any]) -> bool:
    if item.name in journal["unpacked"]:
        return True
    path = folder / item.name
    # A file of unknown size may be half a file.
    return item.size is not None and path.is_file() and path.stat().st_size == item.size


def _copy(items: Sequence[Item], folder: Path) -> None:
    targets = [folder / item.name for item in items]
    for parent in {target.parent for target in targets}:
        parent.mkdir(parents=True, exist_ok=True)
    with _explained(items[0].path):
        items[0].filesystem.get([item.path for item in items], [str(target) for target in targets])
    for item, target in zip(items, targets, strict=True):
        size = target.stat().st_size if target.is_file() else 0
        if item.size is not None and size != item.size:
            raise OFAError(f"{item.path}: {size} of {item.size} bytes arrived; run the same command again to go on")


def _unpack(archive: Path) -> None:
    """Unpack beside the archive. Never writes outside the archive's folder."""
    folder = archive.parent
    try:
        if archive.name.endswith(".zip"):
            with zipfile.ZipFile(archive) as opened:
                members = opened.infolist()
                _refuse_escapes(archive, [member.filename for member in members])
                ensure_space(folder, sum(member.file_size for member in members))
                with bar(len(members), f"unpack {archive.name}", "file") as progress:
                    for member in members:
                        opened.extract(member, folder)
                        progress.update()
        else:
            with tarfile.open(archive) as opened:
                members = opened.getmembers()
                ensure_space(folder, sum(member.size for member in members))
                opened.extractall(folder, members, filter="data")
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, RuntimeError) as error:
        raise OFAError(f"{archive.name}: cannot be unpacked: {error}; get the archive again") from error


def _refuse_escapes(archive: Path, names: Sequence[str]) -> None:
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise OFAError(f"{archive.name}: cannot be unpacked: member {name!r} would land outside the folder")


@contextmanager
def _explained(source: str) -> Iterator[None]:
    """Turn what the file systems raise into one error that names the source."""
    from aiohttp import ClientError
    from botocore.exceptions import BotoCoreError
    from botocore.exceptions import ClientError as ServiceError

    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise OFAError(f"{source}: no such folder, file or address; check `source`") from None
    except (OSError, ValueError, ImportError, ClientError, BotoCoreError, ServiceError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OFAError(f"{source}: cannot be read: {error}") from error
