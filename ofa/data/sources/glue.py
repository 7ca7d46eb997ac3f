"""GLUE: the seven text tasks that OFA was evaluated on, in their official TSV files."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from ofa.data.schema import TABLES
from ofa.data.sources.records import SourceRow, read_lines, spaced
from ofa.errors import OFAError


@dataclass(frozen=True, kw_only=True)
class Format:
    """How the files of one task look."""

    folder: str
    """Name of the folder that holds them."""
    columns: dict[str, str]
    """Our column -> theirs in the first line of a file."""
    labels: dict[str, str] = field(default_factory=dict)
    """Their label -> ours, where they differ."""
    headless: dict[str, int] = field(default_factory=dict)
    """Our column -> place in the files that have no such first line."""


PAIR = {"sentence1": "sentence1", "sentence2": "sentence2", "label": "label"}
FORMATS = {
    "cola": Format(
        folder="CoLA", columns={"sentence1": "sentence", "label": "label"}, headless={"label": 1, "sentence1": 3}
    ),
    "mnli": Format(
        folder="MNLI",
        columns=PAIR | {"label": "gold_label"},
        labels={"neutral": "0", "entailment": "1", "contradiction": "2"},
    ),
    "mrpc": Format(folder="MRPC", columns={"sentence1": "#1 String", "sentence2": "#2 String", "label": "Quality"}),
    "qnli": Format(folder="QNLI", columns=PAIR | {"sentence1": "question", "sentence2": "sentence"}),
    "qqp": Format(
        folder="QQP",
        columns={
            "uniq_id": "id",
            "question1_id": "qid1",
            "question2_id": "qid2",
            "sentence1": "question1",
            "sentence2": "question2",
            "label": "is_duplicate",
        },
    ),
    "rte": Format(folder="RTE", columns=PAIR),
    "sst2": Format(folder="SST-2", columns={"sentence1": "sentence", "label": "label"}),
}
"""By task."""


def rows(path: str | os.PathLike, task: str) -> Iterator[SourceRow]:
    """Rows of the table of a GLUE task, one a line of `train.tsv`, `dev.tsv`, `test.tsv`, which quote nothing.

    Labels that are secret, as in test files, are empty. A line that is too short, of which QQP has some, gives empty
    columns, which validation puts aside.

    Args:
        path: the file.
        task: a key of `FORMATS`.

    Raises:
        OFAError: the file is missing, or its first line names no sentences.
    """
    known = FORMATS[task]
    lines = read_lines(path)
    header = next(lines, "").split("\t")
    places = {
        ours: header.index(theirs)
        for ours, theirs in ({"uniq_id": "index"} | known.columns).items()
        if theirs in header
    }
    sentences = [name for name in TABLES[task] if name.startswith("sentence")]
    if not set(sentences) <= places.keys():
        if not known.headless:
            wanted = ", ".join(known.columns[name] for name in sentences)
            raise OFAError(
                f"{path}: no columns {wanted} in its first line ({', '.join(header)}): is it the right file?"
            )
        places, lines = known.headless, read_lines(path)
    for number, line in enumerate(lines):
        fields = line.split("\t")
        found = {name: spaced(fields[place]) for name, place in places.items() if place < len(fields)}
        row = {"uniq_id": str(number), **dict.fromkeys(TABLES[task], "")} | found
        row["uniq_id"] = row["uniq_id"] or str(number)
        row["label"] = known.labels.get(row["label"], row["label"])
        yield row
