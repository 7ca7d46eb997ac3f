"""A table that raw data can give, before it is built."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ofa.data.sources.records import SourceRow

TRAIN = "train"


@dataclass(frozen=True)
class RawTable:
    """A table that can be built."""

    name: str
    """Its name, and that of its file: `caption_train`, `refcocoplus_testA`, `vqa_zh_val`."""
    kind: str
    """Its columns: a key of `ofa.data.schema.TABLES`."""
    dataset: str
    """Tables of one data set share their splits: refcoco and refcocog do not."""
    split: str
    """train, val, test, testA ..."""
    rows: Callable[[], Iterator[SourceRow]]
    """Yields the rows in order, each time from the start."""
    annotations: Path | None = None
    """VQA's file that says the types of the questions."""


class Remembered:
    """Rows of a table that are read often: kept in memory after the first time, unless they are too many."""

    MOST = 100_000

    def __init__(self, read: Callable[[], Iterator[SourceRow]]):
        self._read = read
        self._kept: list[SourceRow] | None = None

    def __call__(self) -> Iterator[SourceRow]:
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[SourceRow] = []
        for row in self._read():
            if len(kept) <= self.MOST:
                kept.append(row)
            yield row
        self._kept = kept if len(kept) <= self.MOST else None
