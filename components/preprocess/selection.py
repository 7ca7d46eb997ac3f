"""Which rows go into a table: not the rejected ones, not more of a picture than asked for, answers of the list only."""

import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from components.preprocess.raw_table import TRAIN, RawTable
from components.preprocess.records import parse_answers
from ofa.data.sources.records import SourceRow
from ofa.errors import OFAError


@dataclass(frozen=True, kw_only=True)
class PerPicture:
    """How many rows of one picture training tables may hold, since each row repeats the picture; 0 means all."""

    caption: int = 0
    """Rows of the caption table."""
    refcoco: int = 0
    """Rows of the tables of referring expressions."""
    vqa: int = 0
    """Rows of the table of questions."""
    vision_language: int = 0
    """Rows of each type (caption, qa, visual_grounding) of the pretraining table."""

    def __post_init__(self) -> None:
        for kind, value in vars(self).items():
            if value < 0:
                raise OFAError(f"{_KEYS[kind]}: rows of a picture must be at least 0 (0: all), got {value}")


_KEYS = {
    "caption": "captions_per_image",
    "refcoco": "expressions_per_image",
    "vqa": "questions_per_image",
    "vision_language": "pretraining_per_image",
}
"""How the settings call them."""


@dataclass
class Selection:
    """The rows of a table that are to be written, read anew each time; few of them are in memory at once.

    Rows keep their order, but for those of vision_language: there the rows of a picture come together, whatever their
    type, so that training can read them together (`ofa.data.mixing.Source.block`). These are held in memory.
    """

    table: RawTable
    """Where the rows come from."""
    rejected: Mapping[str, str]
    """Reasons by uniq-id of the rows that validation put aside."""
    limits: PerPicture
    """They apply to the split `train`, and to pretraining; which rows of a picture stay is arbitrary, but always the
    same."""
    answers: Collection[str] | None
    """In the split `train`, only these answers stay, and the questions that have one of them."""
    left_out: dict[str, int] = field(default_factory=dict, init=False)
    """How many rows were left out for which reason; known once the rows were read to their end."""

    def __iter__(self) -> Iterator[SourceRow]:
        for _, row in self._numbered():
            yield row

    def numbers(self, places: Collection[int]) -> dict[int, int]:
        """The number in the table of the row at each of some places in this selection."""
        wanted = set(places)
        found = enumerate(self._numbered()) if wanted else ()
        return {place: number for place, (number, _) in found if place in wanted}

    def _numbered(self) -> Iterator[tuple[int, SourceRow]]:
        left_out: Counter[str] = Counter()
        rows = self._usable(left_out)
        if (chosen := self._chosen) is not None:
            rows = _only(rows, chosen, left_out)
        yield from _by_picture(rows) if self.table.kind == "vision_language" else rows
        self.left_out = dict(left_out)

    def _usable(self, left_out: Counter[str]) -> Iterator[tuple[int, SourceRow]]:
        """Rows that are good to write; the others are counted."""
        filtered = self.answers is not None and self.table.kind == "vqa" and self.table.split == TRAIN
        for number, row in enumerate(self.table.rows()):
            if reason := self.rejected.get(row["uniq_id"]):
                left_out[reason] += 1
            elif filtered:
                kept = [
                    (confidence, text) for confidence, text in parse_answers(row["answers"]) if text in self.answers
                ]
                if kept:
                    yield number, row | {"answers": "&&".join(f"{confidence}|!+{text}" for confidence, text in kept)}
                else:
                    left_out["no answer of the list of answers"] += 1
            else:
                yield number, row

    @cached_property
    def _chosen(self) -> set[int] | None:
        """Numbers of the rows that stay where a picture may have a few only."""
        limit = getattr(self.limits, self.table.kind, 0)
        if not limit or (self.table.split != TRAIN and self.table.kind != "vision_language"):
            return None
        groups: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for number, row in self._usable(Counter()):
            group = groups.setdefault((row["image_path"], row.get("type", "")), [])
            group.append((zlib.crc32(row["uniq_id"].encode()), number))
        return {number for group in groups.values() for _, number in sorted(group)[:limit]}


def _only(
    rows: Iterable[tuple[int, SourceRow]], chosen: Collection[int], left_out: Counter[str]
) -> Iterator[tuple[int, SourceRow]]:
    for number, row in rows:
        if number in chosen:
            yield number, row
        else:
            left_out["enough rows of the picture"] += 1


def _by_picture(rows: Iterable[tuple[int, SourceRow]]) -> Iterator[tuple[int, SourceRow]]:
    """The rows of a picture together, pictures in the order of their first rows."""
    groups: dict[str, list[tuple[int, SourceRow]]] = {}
    for number, row in rows:
        groups.setdefault(row["image_path"], []).append((number, row))
    for group in groups.values():
        yield from group
