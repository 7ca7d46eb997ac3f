"""Where the rows to validate come from: raw files, or tables that are built already."""

import os
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path

from components.preprocess.layout import RawData
from components.preprocess.manifest import BUILT_IN, Manifest
from components.preprocess.metadata import Item, Source
from components.preprocess.raw_table import RawTable
from components.preprocess.records import COLUMNS
from ofa.data import TABLES, RowError, Table
from ofa.data.images import decode_base64
from ofa.data.table import Row
from ofa.errors import OFAError, nearest

_PREFIXES = {"refcocoplus": "refcoco", "refcocog": "refcoco", **{kind: kind for kind in TABLES}}


def open_raw(folder: str | Path) -> RawData:
    """The raw data in a folder that `fetch` made. Raises OFAError if it is unfinished, or a file changed its size."""
    return RawData(folder, BUILT_IN if Manifest.load(folder).source == BUILT_IN else "coco")


def raw_sources(data: RawData, kinds: Sequence[str] = ()) -> list[Source]:
    """Sources for the tables that raw data can give; only those of `kinds` unless it is empty."""
    check_kinds(kinds)
    tables = [table for table in data.tables.values() if not kinds or table.kind in kinds]
    if not tables:
        raise OFAError(f"{data.folder}: no data for {', '.join(kinds)}; it has {', '.join(data.tables)}")
    read = partial(_read_file, data.folder)
    return [Source(t.name, t.kind, t.dataset, t.split, partial(_raw_items, t, data.folder), read) for t in tables]


def table_sources(paths: Sequence[str], kinds: Sequence[str] = ()) -> list[Source]:
    """Sources for TSV files whose names are `KIND_SPLIT.tsv`; only those of `kinds` unless it is empty.

    Raises:
        OFAError: a file is missing, or its name begins with no known kind.
    """
    check_kinds(kinds)
    sources = []
    for path in map(Path, paths):
        dataset, split = dataset_and_split(path)
        kind = _PREFIXES[dataset]
        if kind in COLUMNS and (not kinds or kind in kinds):
            table = _Remapped(path, kind)
            items, read = partial(_table_items, table), partial(_read_cell, table)
            sources.append(Source(path.stem, kind, dataset, split, items, read))
    if not sources:
        raise OFAError(f"no table to validate among {', '.join(map(str, paths))}; kinds are {', '.join(COLUMNS)}")
    return sources


def check_kinds(kinds: Sequence[str]) -> None:
    """Raise OFAError if one of `kinds` is no kind of table that can be validated."""
    for kind in kinds:
        if kind not in COLUMNS:
            known = list(COLUMNS)
            raise OFAError(f"unknown kind of table '{kind}'{nearest(kind, known)} (known: {', '.join(known)})")


def table_kind(path: str | Path) -> str:
    """The kind (key of `TABLES`) of a table by its file name `KIND_SPLIT.tsv`; raises OFAError for another name."""
    return _PREFIXES[dataset_and_split(Path(path))[0]]


def dataset_and_split(path: Path) -> tuple[str, str]:
    """What a file is named after: ("refcocoplus", "val") for `refcocoplus_val.tsv`, ("vqa", "val") for `vqa_zh_val`."""
    for prefix in sorted(_PREFIXES, key=len, reverse=True):
        if path.stem.startswith(f"{prefix}_"):
            return prefix, path.stem.removeprefix(f"{prefix}_").removeprefix("zh_")
    raise OFAError(f"{path}: a table's name must be KIND_SPLIT.tsv with a kind of {', '.join(_PREFIXES)}")


def _raw_items(table: RawTable, folder: Path) -> Iterator[Item]:
    prefix = f"{folder}{os.sep}"
    for number, row in enumerate(table.rows()):
        path = row.get("image_path")
        if path and ".." in path:
            path = os.path.normpath(path)
        yield Item(number, row["uniq_id"], row, path and path.removeprefix(prefix))


def _read_file(folder: Path, picture: str, row: int, wanted: int | None) -> tuple[bytes, int]:
    with open(folder / picture, "rb") as file:
        return file.read(wanted), os.fstat(file.fileno()).st_size


class _Remapped:
    """A table that is mapped anew now and then: pages of a mapping that were read count as this process's memory."""

    MOST = 1 << 28
    PAGES = 1 << 12  # a short row still brings a page into memory

    def __init__(self, path: Path, kind: str):
        self._table, self._read = Table(path, TABLES[kind]), 0

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, number: int) -> Row:
        if self._read > self.MOST:
            self._table, self._read = Table(self._table.paths, self._table.columns), 0
        row = self._table[number]
        self._read += len(row.get("image", "")) + self.PAGES
        return row


def _table_items(table: _Remapped) -> Iterator[Item]:
    for number in range(len(table)):
        try:
            row = table[number]
        except RowError as error:
            yield Item(number, error.uniq_id, {}, None, error.reason)
            continue
        values = {name: value for name, value in row.items() if name != "image"}
        uniq_id = row.get("uniq_id", str(number))
        yield Item(number, uniq_id, values, _picture_name(row) if "image" in row else None)


def _picture_name(row: Row) -> str:
    """Equal for rows that show the same picture: not every table has an id of its own for each."""
    name = row.get("image_id", row.get("uniq_id"))
    if name is None:
        return blake2b(row["image"], digest_size=8).hexdigest()
    return f"{name} ({zlib.crc32(row['image']):08x})"


def _read_cell(table: _Remapped, picture: str, row: int, wanted: int | None) -> tuple[bytes, int]:
    text = table[row]["image"]
    # Whole groups of four characters are three bytes each.
    start = text if wanted is None else text[: -(-wanted // 3) * 4]
    return decode_base64(start), len(text) * 3 // 4
