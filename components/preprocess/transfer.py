"""Copy files from folders, archives and addresses into one folder; an interrupted copy goes on where it stopped.

Any file system that fsspec knows will do: a local path, https://, s3://, gs://, memory:// ... Archives are unpacked
where they lie, so `train2017.zip` becomes `train2017/`. What the files mean is not this module's concern.
"""

import hashlib
import os
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs

from ofa.data.remote import explained
from ofa.errors import OFAError
from ofa.files import atomic_write, ensure_space
from ofa.progress import bar

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
JOURNAL = ".transfer"
_AT_ONCE = 16


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

    A source NAME=PLACE is laid into the folder NAME: `ocr=/data/receipts`.

    `options` are passed to fsspec's file systems (credentials, endpoint).

    Raises:
        OFAError: a source is missing, cannot be reached or holds no file, or two sources hold a file of one name.
    """
    items: dict[str, Item] = {}
    for given in sources:
        place, source = _placed(given)
        with explained(source):
            filesystem, root = url_to_fs(source, **(options or {}))
            found = filesystem.find(root, detail=True)
        if not found:
            raise OFAError(f"{source}: no such folder, file or address, or no file in it; check `source`")
        for path, info in found.items():
            relative = path.removeprefix(root.rstrip("/")).lstrip("/") or PurePosixPath(path).name
            if "http" in filesystem.protocol:
                relative = unquote(relative)
            relative = place + relative
            if any(part.startswith(".") for part in PurePosixPath(relative).parts):
                continue
            if relative in items:
                raise OFAError(f"{path}: {items[relative].path} has the same name {relative}; name folders apart")
            version = next(
                (str(info[key]) for key in ("ETag", "etag", "md5", "LastModified", "mtime") if key in info), ""
            )
            items[relative] = Item(filesystem, path, relative, info.get("size"), version)
    return list(items.values())


def _placed(source: str) -> tuple[str, str]:
    """The folder that a source is laid into ("ocr/", or "" for the whole), and where it comes from."""
    name, mark, place = source.partition("=")
    if mark and place and re.fullmatch(r"[\w.+-]+", name) and not os.path.exists(source):
        return f"{name}/", place
    return "", source


def fingerprint(items: Sequence[Item]) -> str:
    """A hash that changes when a file is added, removed or, as far as the file system tells, changed."""
    lines = sorted(f"{item.name}\t{item.size}\t{item.version}" for item in items)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def transfer(items: Sequence[Item], folder: Path) -> list[str]:
    """Copy `items` into `folder` and unpack archives; the relative paths of all resulting files.

    A journal in the folder remembers what is done, so a second call after an interruption copies only what is missing;
    when the source has changed since, everything is copied anew. The caller renames the folder when it is whole and
    removes the journal.

    Raises:
        OFAError: a file cannot be read, an archive is damaged or unsafe, or the disk is too small.
    """
    journal = _Journal(folder, fingerprint(items))
    missing = [item for item in items if not journal.has(item)]
    ensure_space(folder, sum(item.size or 0 for item in missing))
    with bar(len(items), "Copying files", "file", initial=len(items) - len(missing)) as progress:
        for start in range(0, len(missing), _AT_ONCE):
            chunk = missing[start : start + _AT_ONCE]
            for filesystem in {id(item.filesystem): item.filesystem for item in chunk}.values():
                _copy([item for item in chunk if item.filesystem is filesystem], folder)
            journal.note(chunk)
            progress.update(len(chunk))
    for item in items:
        if item.name.endswith(ARCHIVES) and (folder / item.name).is_file():
            _unpack(folder / item.name)
            journal.note([item], unpacked=True)
            (folder / item.name).unlink()
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return [path.as_posix() for path in files if not any(part.startswith(".") for part in path.parts)]


class _Journal:
    """What is done of a copy: a file with the version of the source, then a line a file.

    A folder that holds a copy of another version is emptied.
    """

    def __init__(self, folder: Path, version: str):
        self._folder, self._path = folder, folder / JOURNAL
        try:
            first, *lines = self._path.read_text(encoding="utf-8").splitlines()
        except (FileNotFoundError, NotADirectoryError, ValueError):
            first, lines = "", []
        if first != version:
            shutil.rmtree(folder, ignore_errors=True)
            lines = []
            with atomic_write(self._path) as file:
                file.write(version + "\n")
        # A last line without its end was being written when the copy was killed; it matches no name.
        self._done = {name: state for state, _, name in (line.partition("\t") for line in lines)}

    def has(self, item: Item) -> bool:
        """Whether a file need not be copied."""
        if self._done.get(item.name) == "unpacked":
            return True
        path = self._folder / item.name
        if not path.is_file():
            return False
        return item.name in self._done if item.size is None else path.stat().st_size == item.size

    def note(self, items: Sequence[Item], unpacked: bool = False) -> None:
        """Remember that files are copied, or unpacked."""
        state = "unpacked" if unpacked else "copied"
        with open(self._path, "a", encoding="utf-8") as file:
            file.writelines(f"{state}\t{item.name}\n" for item in items)
            file.flush()
            os.fsync(file.fileno())


def _copy(items: Sequence[Item], folder: Path) -> None:
    targets = [folder / item.name for item in items]
    for parent in {target.parent for target in targets}:
        parent.mkdir(parents=True, exist_ok=True)
    with explained(items[0].path):
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
                with bar(len(members), f"Unpacking {archive.name}", "file") as progress:
                    for member in members:
                        opened.extract(member, folder)
                        progress.update()
        else:
            with tarfile.open(archive) as opened:
                members = opened.getmembers()
                # By hand, since Python 3.11 has filters for this from its fourth release on.
                _refuse_escapes(archive, [member.name for member in members])
                if odd := [member.name for member in members if not (member.isfile() or member.isdir())]:
                    raise tarfile.TarError(f"member {odd[0]!r} is no file: links and devices are not unpacked")
                ensure_space(folder, sum(member.size for member in members))
                with bar(len(members), f"Unpacking {archive.name}", "file") as progress:
                    for member in members:
                        opened.extract(member, folder, set_attrs=False)
                        progress.update()
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, RuntimeError) as error:
        raise OFAError(f"{archive.name}: cannot be unpacked: {error}; get the archive again") from error


def _refuse_escapes(archive: Path, names: Sequence[str]) -> None:
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise OFAError(f"{archive.name}: cannot be unpacked: member {name!r} would land outside the folder")
