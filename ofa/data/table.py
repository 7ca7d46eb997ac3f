"""Tab-separated tables with random access: indexed once, memory-mapped or read in ranges, shared by many workers."""

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import IO

import numpy as np

from ofa.data.remote import placed
from ofa.data.shards import Shard, open_shard
from ofa.errors import OFAError
from ofa.files import atomic_write

Row = dict[str, str | memoryview]

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
    the memory map, so a picture is not copied before it is decoded. Any number of processes may hold the same table,
    and it pickles as its paths.

    The offsets of the rows are kept in `<file>.idx`, made on first use and made anew when size or modification time of
    the table differ. Where that file cannot be written the index stays in memory.

    A file may also lie at an address (`s3://bucket/caption_train.tsv`, see `ofa.data.remote`). Its index is made by
    reading it once and kept in the user's cache; after that only the rows that are asked for travel.

    Attributes: `paths`, `columns`, `shards` (`ofa.data.shards.Shard`, one a file).

    Args:
        path: a file, or the shards of one table in order; paths or addresses.
        columns: the names of all columns, as in `ofa.data.schema.TABLES`.

    Raises:
        OFAError: a file is missing or is no file, or a remote one cannot be reached.
        RowError: on access, a row has another number of columns or is not UTF-8.
    """

    def __init__(self, path: str | os.PathLike | Sequence[str | os.PathLike], columns: Sequence[str]):
        if isinstance(columns, str):
            raise TypeError(f"columns must be a sequence of names, got the string {columns!r}")
        self.paths = [placed(shard) for shard in ([path] if isinstance(path, str | os.PathLike) else path)]
        self.columns = tuple(columns)
        self.shards = [open_shard(shard) for shard in self.paths]
        self._ends = list(accumulate(len(shard) for shard in self.shards))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Row:
        shard, row = self._locate(index)
        return self._parse(shard, row)

    def __iter__(self) -> Iterator[Row]:
        for shard in self.shards:
            for row in range(len(shard)):
                yield self._parse(shard, row)

    def __reduce__(self):
        return Table, (self.paths, self.columns)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(shard.size for shard in self.shards)

    def locate(self, index: int) -> tuple[Path | str, int]:
        """The file that holds row `index`, and the row's number in that file."""
        shard, row = self._locate(index)
        return shard.place, row

    def ahead(self, indices: Iterable[int]) -> None:
        """These rows are read next, so that those of remote files may be fetched side by side."""
        rows: dict[Shard, list[int]] = {}
        for shard, row in map(self._locate, indices):
            rows.setdefault(shard, []).append(row)
        for shard, wanted in rows.items():
            shard.ahead(wanted)

    def line(self, index: int) -> bytes:
        """Row `index` as it stands in the file, without the line's end. Never raises RowError."""
        shard, row = self._locate(index)
        return bytes(shard.line(row))

    def _locate(self, index: int) -> tuple[Shard, int]:
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"row {index} of a table with {len(self)} rows")
        number = bisect_right(self._ends, position)
        return self.shards[number], position - (self._ends[number - 1] if number else 0)

    def _parse(self, shard: Shard, row: int) -> Row:
        line = shard.line(row)
        tabs = np.flatnonzero(np.frombuffer(line, np.uint8) == _TAB)
        bounds = [0, *(tabs + 1).tolist(), len(line) + 1]
        found, expected = len(bounds) - 1, len(self.columns)
        if found != expected:
            uniq_id = bytes(line[: min(bounds[1] - 1, 80)]).decode("utf-8", "replace")
            reason = f"{found} column{'s' if found > 1 else ''} instead of {expected} ({', '.join(self.columns)})"
            raise RowError(shard.place, row, uniq_id, reason)
        values: Row = {}
        for name, left, right in zip(self.columns, bounds[:-1], bounds[1:], strict=True):
            field = line[left : right - 1]
            if name == "image":
                values[name] = field
                continue
            try:
                values[name] = str(field, "utf-8")
            except UnicodeDecodeError as error:
                reason = f"column {name} is not UTF-8: {error.reason} at byte {error.start}"
                raise RowError(shard.place, row, str(values.get("uniq_id", "")), reason) from error
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
