"""What the tables of a folder of raw data will hold, row by row, before anything is built."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.preprocess.layout import RawData
from components.preprocess.manifest import Manifest
from components.preprocess.quarantine import read_rejected
from components.preprocess.raw_table import TRAIN, RawTable
from components.preprocess.rows import check_kinds, open_raw
from components.preprocess.selection import PerPicture, Selection
from ofa.data.sources.vqa import build_answers
from ofa.errors import OFAError, nearest


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The tables to build. Made by `make_plan`."""

    data: RawData
    manifest: Manifest
    tables: Sequence[RawTable]
    rejected: Mapping[str, dict[str, str]]
    """By table: reasons by uniq-id of the rows that validation put aside."""
    answers: Mapping[str, list[str]]
    """By suffix of the language: the answers that VQA may give."""
    limits: PerPicture

    def select(self, table: RawTable) -> Selection:
        """The rows of a table that are to be written."""
        rejected = self.rejected.get(table.name, {})
        return Selection(table, rejected, self.limits, self.answers.get(language_of(table)))

    @property
    def origin(self) -> dict[str, Any]:
        """Where the rows come from, for the lineage of what is made from them."""
        commit = self.manifest.settings.get("commit")
        known = {"source": self.manifest.source, "version": self.manifest.version}
        return known | ({"commit": commit} if commit else {})


def make_plan(
    raw: str,
    validated: str = "",
    kinds: Sequence[str] = (),
    splits: Sequence[str] = (),
    captions_per_image: int = 0,
    expressions_per_image: int = 0,
    questions_per_image: int = 0,
    pretraining_per_image: int = 0,
    answers: int = 3129,
    answer_splits: Sequence[str] = (TRAIN,),
) -> Plan:
    """Read annotations and rejected rows; the arguments are those of `components.preprocess.tables.tables`.

    Raises:
        OFAError: a wrong argument, or nothing to build.
    """
    check_kinds(kinds)
    limits = PerPicture(
        caption=captions_per_image,
        refcoco=expressions_per_image,
        vqa=questions_per_image,
        vision_language=pretraining_per_image,
    )
    data = open_raw(raw)
    counted = data.annotations_of(answer_splits)
    return Plan(
        data=data,
        manifest=Manifest.load(raw),
        tables=_choose(data, kinds, splits),
        rejected=read_rejected(validated) if validated else {},
        answers={language: build_answers(paths, answers or None) for language, paths in counted.items()},
        limits=limits,
    )


def language_of(table: RawTable) -> str:
    """The suffix of a table's language: empty for English."""
    return "_zh" if table.name == f"{table.dataset}_zh_{table.split}" else ""


def _choose(data: RawData, kinds: Sequence[str], splits: Sequence[str]) -> list[RawTable]:
    known = sorted({table.split for table in data.tables.values()})
    for split in splits:
        if split not in known:
            raise OFAError(f"unknown split '{split}'{nearest(split, known)} (the data have {', '.join(known)})")
    chosen = [
        table
        for table in data.tables.values()
        if (not kinds or table.kind in kinds) and (not splits or table.split in splits)
    ]
    if not chosen:
        raise OFAError(
            f"{data.folder}: nothing to build for the given kinds and splits; it has {', '.join(data.tables)}"
        )
    return chosen
