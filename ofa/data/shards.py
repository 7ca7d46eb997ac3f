"""The files of a table, on this machine or at an address: where their rows start, and the bytes of a row."""

import hashlib
import mmap
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ofa.data.remote import RemoteFile, Unreachable, is_address, locked
from ofa.errors import OFAError
from ofa.files import atomic_write
from ofa.progress import bar

_MAGIC = b"OFATSV01"
_HEADER = np.dtype([("magic", "S8"), ("size", "<i8"), ("mtime_ns", "<i8"), ("rows", "<i8")])
_NEWLINE, _RETURN = 10, 13

AHEAD = 4 << 20
"""Bytes that are read at once of a remote table whose rows are read one after the other."""


def open_shard(place: Path | str) -> "Shard":
    """The file of a table at a path or an address."""
    return _Remote(place) if is_address(place) else _Mapped(place)


class Shard(ABC):
    """One file and the offsets of its rows.

    Attributes: `place`, the path or address; `size` in bytes; `offsets`, (rows + 1,) where each row starts, and the
    size of the file.
    """

    place: Path | str
    size: int
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def line(self, row: int) -> memoryview:
        """A row without its line end (newline, carriage return and newline, or end of file)."""
        content = self._content(row)
        if content and content[-1] == _NEWLINE:
            content = content[:-1]
            if content and content[-1] == _RETURN:
                content = content[:-1]
        return content

    @abstractmethod
    def ahead(self, rows: Sequence[int]) -> None:
        """These rows are read next: a remote file fetches them side by side."""

    @abstractmethod
    def blocks(self) -> Iterator[bytes]:
        """The whole file in order, read and not mapped: pages of a mapping that were looked at count as memory of the
        process."""

    @abstractmethod
    def _content(self, row: int) -> memoryview:
        """A row with its line end."""

    def _span(self, row: int) -> tuple[int, int]:
        return int(self.offsets[row]), int(self.offsets[row + 1])


class _Mapped(Shard):
    """A file of this machine, mapped into memory: all processes share its pages."""

    def __init__(self, path: Path):
        self.place = path
        try:
            with open(path, "rb") as file:
                status = os.fstat(file.fileno())
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if status.st_size else b""
        except OSError as error:
            raise OFAError(f"cannot read the table {path}: {error.strerror}; check the path") from error
        self.size, self._view = status.st_size, memoryview(mapped)
        self.offsets = self._read_offsets(path.with_name(path.name + ".idx"), status.st_mtime_ns)

    def ahead(self, rows: Sequence[int]) -> None:
        """Nothing to do: the file is at hand."""

    def blocks(self) -> Iterator[bytes]:
        with open(self.place, "rb") as file:
            while block := file.read(1 << 20):
                yield block

    def _content(self, row: int) -> memoryview:
        start, end = self._span(row)
        return self._view[start:end]

    def _read_offsets(self, index: Path, mtime_ns: int) -> np.ndarray:
        offsets = load_index(index, self.size, mtime_ns)
        if offsets is not None:
            return offsets
        offsets = scan(self.blocks())
        try:
            save_index(index, offsets, self.size, mtime_ns)
        except OFAError:
            # A read-only or full disk: the index in memory serves as well.
            return offsets
        return offsets


class _Remote(Shard):
    """A file at an address. Its index and its SHA-256 are made in one pass and kept on this machine; rows are read as
    ranges of bytes: many at once where `ahead` names them, large blocks where they are read in order."""

    def __init__(self, address: str):
        self.place, self._file = address, RemoteFile(address)
        self.size = self._file.size
        self.offsets = self._read_offsets()
        self._held: dict[int, memoryview] = {}
        self._last = -2

    def ahead(self, rows: Sequence[int]) -> None:
        missing = sorted({row for row in rows if row not in self._held})
        fetched = self._fetch(missing)
        self._held = {row: self._held[row] for row in rows if row in self._held} | fetched

    def blocks(self) -> Iterator[bytes]:
        return self._file.blocks()

    def _content(self, row: int) -> memoryview:
        if row not in self._held:
            self._held = self._fetch(self._following(row) if row == self._last + 1 else [row])
        self._last = row
        return self._held[row]

    def _following(self, row: int) -> range:
        end = int(np.searchsorted(self.offsets, self.offsets[row] + AHEAD, "right")) - 1
        return range(row, min(max(end, row + 1), len(self)))

    def _fetch(self, rows: Sequence[int]) -> dict[int, memoryview]:
        runs: list[list[int]] = []
        for row in rows:
            if runs and runs[-1][1] == row and self.offsets[row + 1] - self.offsets[runs[-1][0]] <= AHEAD:
                runs[-1][1] = row + 1
            else:
                runs.append([row, row + 1])
        parts = self._file.read([(int(self.offsets[first]), int(self.offsets[end])) for first, end in runs])
        held: dict[int, memoryview] = {}
        for (first, end), part in zip(runs, map(memoryview, parts), strict=True):
            begin = int(self.offsets[first])
            for row in range(first, end):
                held[row] = part[int(self.offsets[row]) - begin : int(self.offsets[row + 1]) - begin]
                if row + 1 < len(self) and held[row][-1] != _NEWLINE:
                    raise Unreachable(f"{self.place}: was replaced while it was read; start again")
        return held

    def _read_offsets(self) -> np.ndarray:
        index = self._file.cached("tables")
        with locked(index):
            offsets = load_index(index, self.size, 0)
            if offsets is not None:
                return offsets
            digest = hashlib.sha256()
            with bar(self.size, f"Indexing {self.place}", "B") as progress:

                def blocks() -> Iterator[bytes]:
                    for block in self._file.blocks():
                        digest.update(block)
                        progress.update(len(block))
                        yield block

                offsets = scan(blocks())
            with atomic_write(index.with_suffix(".sha256")) as file:
                file.write(digest.hexdigest())
            save_index(index, offsets, self.size, 0)
        return offsets


def scan(blocks: Iterable[bytes]) -> np.ndarray:
    """Row starts and the end of a file that comes in blocks, which fit the processor's cache best."""
    ends, size = [np.zeros(1, np.int64)], 0
    for content in blocks:
        ends.append(np.flatnonzero(np.frombuffer(content, np.uint8) == _NEWLINE) + (size + 1))
        size += len(content)
    offsets = np.concatenate(ends).astype("<i8")
    return offsets if offsets[-1] == size else np.append(offsets, size).astype("<i8")


def load_index(index: Path, size: int, mtime_ns: int) -> np.ndarray | None:
    """The offsets in an index file, if it is whole and belongs to a table of this size and time of modification."""
    try:
        header = np.fromfile(index, _HEADER, 1)
        length = index.stat().st_size
    except OSError:
        return None
    expected = {"magic": _MAGIC, "size": size, "mtime_ns": mtime_ns}
    fits = len(header) == 1 and all(header[name] == value for name, value in expected.items())
    if not fits or length != _HEADER.itemsize + 8 * (int(header["rows"][0]) + 1):
        return None
    return np.memmap(index, "<i8", "r", offset=_HEADER.itemsize)


def save_index(index: Path, offsets: np.ndarray, size: int, mtime_ns: int) -> None:
    """Write what `load_index` reads."""
    with atomic_write(index, "wb") as file:
        file.write(np.array([(_MAGIC, size, mtime_ns, len(offsets) - 1)], _HEADER).tobytes())
        file.write(offsets.tobytes())
