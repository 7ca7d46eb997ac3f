"""What a table holds, in counts that can be added up: for the report of a build and the page of `ofa data stats`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.preprocess.records import Box, count_words, parse_answers, parse_box, parse_boxes

GRID = 10
"""Positions and areas of boxes are counted in tenths of the picture."""


@dataclass
class Statistics:
    """Counts over the rows of one table."""

    rows: int = 0
    """Rows of the table."""
    bytes: int = 0
    """Size of its file."""
    pictures: int = 0
    """Different pictures that its rows show."""
    shrunk: int = 0
    """Rows whose picture was made smaller than its file."""
    counts: dict[str, Counter] = field(default_factory=dict)
    """By name of a property, how many texts, boxes, answers or pictures have which value; a picture counts once for
    rows in sequence that show it."""

    def add_picture(self, size: tuple[int, int], length: int) -> None:
        """Count a picture of `size` (width, height) in a file of `length` bytes."""
        self.pictures += 1
        self._count("picture_size", "{}x{}".format(*size))
        self._count("picture_kilobytes", round(length / 1000))

    def add_row(self, kind: str, row: Mapping[str, str], size: tuple[int, int] | None) -> None:
        """Count the columns of a row of a table of `kind`; `size` is that of its picture.

        Raises ValueError if a column cannot be read.
        """
        self.rows += 1
        for column in ("caption", "text", "question", "hypothesis", "source", "sentence1", "sentence2"):
            if row.get(column):
                for text in row[column].split("&&"):
                    self._count("words", count_words(text))
        if row.get("target"):
            self._count("summary_words", count_words(row["target"]))
        if row.get("question"):
            self._count("question_begins", " ".join(row["question"].lower().split()[:2]))
        for column in ("type", "dataset", "label"):
            if row.get(column):  # labels of test splits may be secret
                self._count(column, row[column])
        for name in filter(None, row.get("objects", "").split("&&")):
            self._count("labels", name)
        if kind == "vqa" or row.get("type") == "qa":
            self._add_answers(row["answers"])
        if size is not None:
            self._add_boxes(kind, row, size)

    def merge(self, other: "Statistics") -> None:
        """Add the counts of another part of the same table."""
        self.rows += other.rows
        self.bytes += other.bytes
        self.pictures += other.pictures
        self.shrunk += other.shrunk
        for name, counter in other.counts.items():
            self.counts.setdefault(name, Counter()).update(counter)

    def to_dict(self, most: int | None = None) -> dict[str, Any]:
        """For JSON: the most frequent values of each property, at most `most`, the most frequent first."""
        counts = {name: dict(counter.most_common(most)) for name, counter in sorted(self.counts.items())}
        numbers = {"rows": self.rows, "bytes": self.bytes, "pictures": self.pictures, "shrunk": self.shrunk}
        return numbers | {"counts": counts}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Statistics":
        """The inverse of `to_dict`."""
        counts = {name: Counter(counter) for name, counter in values["counts"].items()}
        return cls(values["rows"], values["bytes"], values["pictures"], values["shrunk"], counts)

    def _add_answers(self, text: str) -> None:
        answers = parse_answers(text) if text else []
        if answers:
            confidence, answer = max(answers, key=lambda pair: pair[0])
            self._count("answers", answer)
            self._count("confidence", round(confidence, 1))
        self._count("answers_a_question", len(answers))

    def _add_boxes(self, kind: str, row: Mapping[str, str], size: tuple[int, int]) -> None:
        boxes: Sequence[Box] = ()
        if kind == "refcoco":
            boxes = [parse_box(row["box"])]
        elif row.get("type") == "visual_grounding":
            boxes = [parse_box(row["answers"])]
        elif kind == "detection":
            objects = parse_boxes(row["boxes"])
            boxes = [box for box, _, _ in objects]
            self._count("objects", len(objects))
            for _, _, name in objects:
                self._count("labels", name)
        width, height = size
        for x0, y0, x1, y1 in boxes:
            self._count("box_area", _tenth((x1 - x0) * (y1 - y0) / (width * height)))
            self._count("box_center", f"{_tenth((x0 + x1) / 2 / width)},{_tenth((y0 + y1) / 2 / height)}")

    def _count(self, name: str, value: str | int | float) -> None:
        # Keys are text, as in JSON, so that counts read from a file add up with new ones.
        self.counts.setdefault(name, Counter())[str(value)] += 1


def _tenth(share: float) -> int:
    return min(GRID - 1, max(0, int(share * GRID)))
