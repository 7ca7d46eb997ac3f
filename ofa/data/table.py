"""Tab-separated tables with random access: memory-mapped, indexed once, shared by all workers of a machine."""

import mmap
import os
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import IO

import numpy as np

from ofa.data.files import atomic_write
from ofa.errors import OFAError

Row = dict[str, str | memoryview]

_MAGIC = b"OFATSV01"
_HEADER = np.dtype([("magic", "S8"), ("size", "<i8"), ("mtime_ns", "<i8"), ("rows", "<i8")])
_TAB, _NEWLINE, _RETURN = 9, 10, 13


class RowError(OFAError):
    """A row that cannot be used.

    Attributes: `table` (path of the file), `row` (0-based, as in `Table(path, columns)[row]`), `uniq_id` (may be
    empty), `reason`.
    """

    def __init__(self, table: str | os.PathLike, row: int, uniq_id: str, reason: str):
        self.table, self.row, self.uniq_id, self.reason = str(table), row, uniq_id, reason
        name = f" (uniq-id {uniq_id})" if uniq_id else ""
        super().__init__(f"{self.table}, row {row}{name}: {reason}")

    def __reduce__(self):
        return RowError, (self.table, self.row, self.uniq_id, self.reason)


class Table(Sequence[Row]):
    """Read-only view of a table stored in one file or in several shards.

    `table[i]` is a dictionary from column name to text; the column `image` is a memoryview of its base64 bytes inside
    the memory map, so a picture is not copied before it is decoded. Nothing is read ahead: any number of processes may
    hold the same table, and it pickles as its paths.

    The offsets of the rows are kept in `<file>.idx`, made on first use and made anew when size or modification time of
    the table differ. Where that file cannot be written the index stays in memory.

    Args:
        path: a file, or the shards of one table in order.
        columns: the names of all columns, as in `ofa.data.schema.TABLES`.

    Raises:
        OFAError: a file is missing or is no file.
        RowError: on access, a row has another number of columns or is not UTF-8.
    """

    def __init__(self, path: str | os.PathLike | Sequence[str | os.PathLike], columns: Sequence[str]):
        if isinstance(columns, str):
            raise TypeError(f"columns must be a sequence of names, got the string {columns!r}")
        self.paths = [Path(path)] if isinstance(path, str | os.PathLike) else [Path(shard) for shard in path]
        self.columns = tuple(columns)
        self._shards = [_Shard(shard) for shard in self.paths]
        self._ends = list(accumulate(len(shard) for shard in self._shards))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Row:
        shard, row = self._locate(index)
        return self._parse(shard, row)

    def __iter__(self) -> Iterator[Row]:
        for shard in self._shards:
            for row in range(len(shard)):
                yield self._parse(shard, row)

    def __reduce__(self):
        return Table, (self.paths, self.columns)

    def locate(self, index: int) -> tuple[Path, int]:
        """The file that holds row `index`, and the row's number in that file."""
        shard, row = self._locate(index)
        return shard.path, row

    def line(self, index: int) -> bytes:
        """Row `index` as it stands in the file, without the line's end. Never raises RowError."""
        shard, row = self._locate(index)
        start, end = shard.span(row)
        return bytes(shard.view[start:end])

    def _locate(self, index: int) -> tuple["_Shard", int]:
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"row {index} of a table with {len(self)} rows")
        number = bisect_right(self._ends, position)
        return self._shards[number], position - (self._ends[number - 1] if number else 0)

    def _parse(self, shard: "_Shard", row: int) -> Row:
        start, end = shard.span(row)
        tabs = np.flatnonzero(shard.data[start:end] == _TAB)
        bounds = [start, *(tabs + (start + 1)).tolist(), end + 1]
        found, expected = len(bounds) - 1, len(self.columns)
        if found != expected:
            uniq_id = bytes(shard.view[start : min(bounds[1] - 1, start + 80)]).decode("utf-8", "replace")
            reason = f"{found} column{'s' if found > 1 else ''} instead of {expected} ({', '.join(self.columns)})"
            raise RowError(shard.path, row, uniq_id, reason)
        values: Row = {}
        for name, left, right in zip(self.columns, bounds[:-1], bounds[1:], strict=True):
            field = shard.view[left : right - 1]
            if name == "image":
                values[name] = field
                continue
            try:
                values[name] = str(field, "utf-8")
            except UnicodeDecodeError as error:
                reason = f"column {name} is not UTF-8: {error.reason} at byte {error.start}"
                raise RowError(shard.path, row, str(values.get("uniq_id", "")), reason) from error
        return values


class TableWriter:
    """Write a table row by row; the file appears under its name when the writer is closed without an error.

    Use as a context manager: an exception inside the block discards the file.

    Args:
        path: the file to write.
        columns: the names of all columns in their order.
    """

    def __init__(self, path: str | os.PathLike, columns: Sequence[str]):
        self.path, self.columns, self.rows = Path(path), tuple(columns), 0
        self._context = atomic_write(self.path, "wb")
        self._file: IO[bytes] | None = None

    def __enter__(self) -> "TableWriter":
        self._file = self._context.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self._file = None
        self._context.__exit__(*error)

    def write(self, row: Mapping[str, object]) -> None:
        """Append one row. Values are text, or bytes-like for base64; numbers are written with str().

        Raises RowError when the columns are not exactly the table's, or a value holds a tab or a line break.
        """
        if self._file is None:
            raise ValueError(f"the writer of {self.path} is not open: use it in a with block")
        if row.keys() != set(self.columns):
            reason = f"columns {', '.join(row)} instead of {', '.join(self.columns)}"
            raise RowError(self.path, self.rows, str(row.get("uniq_id", "")), reason)
        fields = []
        for name in self.columns:
            value = row[name]
            try:
                field = bytes(value) if isinstance(value, bytes | bytearray | memoryview) else str(value).encode()
            except UnicodeEncodeError as error:
                reason = f"column {name} cannot be written as UTF-8: {error.reason}"
                raise RowError(self.path, self.rows, str(row.get("uniq_id", "")), reason) from error
            if any(character in field for character in (_TAB, _NEWLINE, _RETURN)):
                reason = f"column {name} holds a tab or a line break, which the format cannot store"
                raise RowError(self.path, self.rows, str(row.get("uniq_id", "")), reason)
            fields.append(field)
        self._file.write(b"\t".join(fields) + b"\n")
        self.rows += 1


class _Shard:
    """One mapped file and the offsets of its rows."""

    def __init__(self, path: Path):
        self.path = path
        try:
            with open(path, "rb") as file:
                status = os.fstat(file.fileno())
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if status.st_size else b""
        except OSError as error:
            raise OFAError(f"cannot read the table {path}: {error.strerror}; check the path") from error
        self.view = memoryview(mapped)
        self.data = np.frombuffer(self.view, np.uint8) if status.st_size else np.empty(0, np.uint8)
        self.offsets = _offsets(path, status)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def span(self, row: int) -> tuple[int, int]:
        """First byte and end of a row, without its line end (newline, carriage return and newline, or end of file)."""
        start, end = int(self.offsets[row]), int(self.offsets[row + 1])
        if end > start and self.view[end - 1] == _NEWLINE:
            end -= 1
            if end > start and self.view[end - 1] == _RETURN:
                end -= 1
        return start, end


def _offsets(path: Path, status: os.stat_result) -> np.ndarray:
    """Where each row starts, and the size of the file: (rows + 1,) int64; from the index file if it fits the table."""
    index = path.with_name(path.name + ".idx")
    header = np.array([(_MAGIC, status.st_size, status.st_mtime_ns, 0)], _HEADER)
    offsets = _load_index(index, header)
    if offsets is not None:
        return offsets
    with open(path, "rb") as file:
        offsets = _scan(file)
    header["rows"] = len(offsets) - 1
    try:
        with atomic_write(index, "wb") as file:
            file.write(header.tobytes())
            file.write(offsets.tobytes())
    except OFAError:
        # A read-only or full disk: the index in memory serves as well.
        return offsets
    return offsets


def _load_index(index: Path, expected: np.ndarray) -> np.ndarray | None:
    try:
        header = np.fromfile(index, _HEADER, 1)
        length = index.stat().st_size
    except OSError:
        return None
    fits = len(header) == 1 and all(header[name] == expected[name] for name in ("magic", "size", "mtime_ns"))
    if not fits or length != _HEADER.itemsize + 8 * (int(header["rows"][0]) + 1):
        return None
    return np.memmap(index, "<i8", "r", offset=_HEADER.itemsize)


def _scan(file: IO[bytes], chunk: int = 1 << 20) -> np.ndarray:
    """Row starts and the end of a file, found in chunks of bytes that fit the processor's cache.

    The file is read, not mapped: pages of a mapping that were looked at count as memory of the process.
    """
    ends, size = [np.zeros(1, np.int64)], 0
    while content := file.read(chunk):
        ends.append(np.flatnonzero(np.frombuffer(content, np.uint8) == _NEWLINE) + (size + 1))
        size += len(content)
    offsets = np.concatenate(ends).astype("<i8")
    return offsets if offsets[-1] == size else np.append(offsets, size).astype("<i8")
