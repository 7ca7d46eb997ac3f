"""Which rows go into a table: not the rejected ones, not more of a picture than asked for, answers of the list only."""

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

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


def select(
    table: RawTable, rejected: Mapping[str, str], limits: PerPicture, answers: Collection[str] | None
) -> tuple[dict[int, SourceRow], dict[str, int]]:
    """The rows of a table that are to be written by their number, and how many were left out for which reason.

    Rows keep their order, but for those of vision_language: there the rows of a picture come together, whatever their
    type, so that training can read them together (`ofa.data.mixing.Source.block`).

    Args:
        table: where the rows come from.
        rejected: reasons by uniq-id of the rows that validation put aside.
        limits: apply to the split `train`, and to pretraining; which rows of a picture stay is arbitrary, but always
            the same.
        answers: in the split `train`, only these answers stay, and the questions that have one of them.
    """
    left_out: dict[str, int] = {}

    def leave_out(reason: str) -> None:
        left_out[reason] = left_out.get(reason, 0) + 1

    rows = {}
    for number, row in enumerate(table.rows()):
        if reason := rejected.get(row["uniq_id"]):
            leave_out(reason)
        elif answers is not None and table.kind == "vqa" and table.split == TRAIN:
            kept = [(confidence, text) for confidence, text in parse_answers(row["answers"]) if text in answers]
            if kept:
                rows[number] = row | {"answers": "&&".join(f"{confidence}|!+{text}" for confidence, text in kept)}
            else:
                leave_out("no answer of the list of answers")
        else:
            rows[number] = row
    limit = getattr(limits, table.kind, 0)
    if limit and (table.split == TRAIN or table.kind == "vision_language"):
        chosen = _some_of_each(rows, limit)
        left_out["enough rows of the picture"] = len(rows) - len(chosen)
        rows = chosen
    return (_by_picture(rows) if table.kind == "vision_language" else rows), left_out


def _by_picture(rows: Mapping[int, SourceRow]) -> dict[int, SourceRow]:
    """The rows of a picture together, pictures in the order of their first rows."""
    groups: dict[str, list[int]] = {}
    for number, row in rows.items():
        groups.setdefault(row["image_path"], []).append(number)
    return {number: rows[number] for group in groups.values() for number in group}


def _some_of_each(rows: Mapping[int, SourceRow], limit: int) -> dict[int, SourceRow]:
    """At most `limit` rows of each picture and type, in their order."""
    groups: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for number, row in rows.items():
        group = groups.setdefault((row["image_path"], row.get("type", "")), [])
        group.append((zlib.crc32(row["uniq_id"].encode()), number))
    chosen = sorted(number for group in groups.values() for _, number in sorted(group)[:limit])
    return {number: rows[number] for number in chosen}
