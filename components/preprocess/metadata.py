"""The database of records that Great Expectations looks at: small, on disk, filled in chunks.

One SQL table a kind (all splits together) and the table `picture` with one row per distinct picture. Memory stays
bounded whatever the number of rows: filling, looking at pictures and every expectation work through SQLite.
"""

import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from components.preprocess.records import COLUMNS, describe_row
from ofa.data.images import FORMATS, ImageError, decode, measure
from ofa.errors import OFAError
from ofa.progress import bar, track

PICTURE = "picture"
_COMMON = {
    "source": "TEXT",
    "row": "INTEGER",
    "uniq_id": "TEXT",
    "key": "TEXT",
    "dataset": "TEXT",
    "split": "TEXT",
    "image_id": "TEXT",
    "picture": "TEXT",
    "error": "TEXT",
}
_FOUND = {
    "bytes": "INTEGER",
    "format": "TEXT",
    "width": "INTEGER",
    "height": "INTEGER",
    "decoded": "INTEGER",
    "error": "TEXT",
}
_PICTURE = {"source": "TEXT", "row": "INTEGER", "uniq_id": "TEXT PRIMARY KEY", **_FOUND}
_CHUNK = 5_000
_HEADER = 1 << 16
_SIGNATURES = {b"\xff\xd8": "JPEG", b"\x89PNG": "PNG", b"RIFF": "WEBP", b"GIF8": "GIF", b"BM": "BMP", b"II*": "TIFF"}


@dataclass(frozen=True)
class Item:
    """One row of a table that is to be validated."""

    row: int
    """Number of the row in its table, from 0."""
    uniq_id: str
    """The row's id."""
    values: Mapping[str, str]
    """The row's columns without the picture; empty when the row is unreadable."""
    picture: str | None = None
    """What names the picture: equal for rows that show the same one; None without a picture."""
    error: str | None = None
    """Why the row cannot be read at all."""


@dataclass(frozen=True)
class Source:
    """One table that is to be validated, from raw files or from a TSV file."""

    name: str
    """Name of the table: `caption_train`."""
    kind: str
    """Kind of table, a key of `COLUMNS`."""
    dataset: str
    """Tables of one data set share their splits."""
    split: str
    """train, val, test ..."""
    items: Callable[[], Iterator[Item]]
    """Its rows in order."""
    read: Callable[[str, int, int | None], tuple[bytes, int]]
    """The first bytes of a picture file and its size, given its name, the row that shows it and how many bytes are
    wanted (None: all). Raises OSError or ImageError."""


class Metadata:
    """The records of `sources` in the SQLite file `path`, which is made anew."""

    def __init__(self, path: Path, sources: Sequence[Source]):
        self.path, self.sources = path, {source.name: source for source in sources}
        path.unlink(missing_ok=True)
        self.database = sqlite3.connect(path, isolation_level=None)
        # The file can be made again at any time, so it needs no journal and no waiting for the disk.
        self.database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        _create(self.database, PICTURE, _PICTURE)
        for kind, columns in COLUMNS.items():
            outside = {"outside": "REAL"} if "x0" in columns else {}
            _create(self.database, kind, {**_COMMON, **columns, **outside})

    def __enter__(self) -> "Metadata":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        self.database.close()
        if isinstance(error, sqlite3.OperationalError):
            raise OFAError(f"cannot write {self.path}: {error}; is the disk full?") from error

    def fill(self) -> None:
        """Read every row of every source into its record, and note the pictures that they show."""
        rows, start = 0, time.monotonic()
        with bar(len(self.sources), "Reading rows", "table") as progress:
            for source in self.sources.values():
                for read in self._fill(source):
                    rows += read
                    rate = rows / (time.monotonic() - start)
                    progress.set_postfix_str(f"{source.name}, {rows:,} rows, {rate:,.0f} rows/s", refresh=False)
                    progress.update(0)
                progress.update()

    def _fill(self, source: Source) -> Iterator[int]:
        """The numbers of rows read at a time."""
        names = [*_COMMON, *COLUMNS[source.kind]]
        insert = f"INSERT INTO {source.kind} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        note = f"INSERT OR IGNORE INTO {PICTURE} (source, row, uniq_id) VALUES (?, ?, ?)"
        items = source.items()
        while chunk := list(islice(items, _CHUNK)):
            with self.database:
                self.database.execute("BEGIN")
                self.database.executemany(insert, (_record(source, item) for item in chunk))
                shown = ((source.name, item.row, item.picture) for item in chunk if item.picture is not None)
                self.database.executemany(note, shown)
            yield len(chunk)

    def look(self, rate: float) -> None:
        """Read the header of every picture, and decode the share `rate` of them, always the same ones.

        Fills the sizes of the pictures and how far (in pixels) boxes stick out of theirs.
        """
        found = ", ".join(f"{name} = ?" for name in _FOUND)
        update = f"UPDATE {PICTURE} SET {found} WHERE uniq_id = ?"
        pictures = track(self._pictures(), self.count(PICTURE), "Looking at pictures", "picture")
        looked = ((*_look(self.sources[source], name, row, rate), name) for name, row, source in pictures)
        while chunk := list(islice(looked, _CHUNK)):
            with self.database:
                self.database.execute("BEGIN")
                self.database.executemany(update, chunk)
        for kind, columns in COLUMNS.items():
            if "x0" in columns:
                self.database.execute(
                    f"UPDATE {kind} SET outside = (SELECT max(0, -x0, -y0, x1 - width, y1 - height) "
                    f"FROM {PICTURE} WHERE {PICTURE}.uniq_id = {kind}.picture)"
                )

    def count(self, table: str, where: str = "TRUE") -> int:
        """Number of rows of an SQL table."""
        return self.database.execute(f"SELECT COUNT(*) FROM {table} WHERE {where}").fetchone()[0]

    def shares(self, table: str, column: str) -> dict[str, float]:
        """The share of each value of a column, the most frequent first."""
        query = f"SELECT {column}, COUNT(*) FROM {table} WHERE {column} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
        counts = self.database.execute(query).fetchall()
        total = sum(count for _, count in counts)
        return {value: count / total for value, count in counts}

    def _pictures(self) -> Iterator[tuple[str, int, str]]:
        """uniq_id, row and source of all pictures, in pages between which the table may be changed."""
        query = f"SELECT rowid, uniq_id, row, source FROM {PICTURE} WHERE rowid > ? ORDER BY rowid LIMIT {_CHUNK}"
        last = 0
        while page := self.database.execute(query, (last,)).fetchall():
            last = page[-1][0]
            yield from (row[1:] for row in page)


def _create(database: sqlite3.Connection, table: str, columns: Mapping[str, str]) -> None:
    defined = ", ".join(f"{name} {type}" for name, type in columns.items())
    database.execute(f"CREATE TABLE {table} ({defined}) STRICT")


def _record(source: Source, item: Item) -> tuple:
    error, record = item.error, {}
    if error is None:
        try:
            record = describe_row(source.kind, item.values)
        except ValueError as reason:
            error = str(reason)
    key = f"{source.name}/{item.uniq_id}"
    image_id = item.values.get("image_id")
    common = (source.name, item.row, item.uniq_id, key, source.dataset, source.split, image_id, item.picture, error)
    return *common, *(record.get(name) for name in COLUMNS[source.kind])


def _look(source: Source, name: str, row: int, rate: float) -> tuple:
    """What is found about a picture: the values of `_FOUND`."""
    whole = zlib.crc32(name.encode()) < rate * 2**32
    size = kind = width = height = error = None
    try:
        data, size = source.read(name, row, None if whole else _HEADER)
        kind = next((kind for start, kind in _SIGNATURES.items() if data.startswith(start)), "unknown")
        if kind not in FORMATS:
            raise ImageError(f"format {kind}; {', '.join(FORMATS)} can be read")
        try:
            width, height = measure(data)
        except ImageError:
            # Some headers are longer than what was read.
            data, size = source.read(name, row, None)
            width, height = measure(data)
        if whole:
            decode(data)
    except OSError as reason:
        error = f"cannot read {name}: {reason.strerror}"
    except ImageError as reason:
        error = f"{name}: {reason}"
    return size, kind, width, height, int(whole), error
