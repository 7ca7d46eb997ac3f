"""From the counts of a table to what a page draws: rankings, columns and maps."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from components.preprocess.statistics import GRID

_RANKED = 12
_COLUMNS = 40


@dataclass(frozen=True)
class Bar:
    """One value, or range of values, of a property."""

    label: str
    """The value."""
    count: int
    """How often it occurs."""
    share: float
    """Of all occurrences, 0 to 1."""
    length: float
    """Of the longest bar, 0 to 1."""


@dataclass(frozen=True)
class Chart:
    """The distribution of one property."""

    title: str
    """What is counted."""
    form: str
    """"ranking": horizontal bars, the most frequent first; "columns": in order; "map": 10 x 10 cells, row by row."""
    bars: tuple[Bar, ...]
    """What to draw."""
    values: int
    """How many different values there are; more than bars where only the most frequent are drawn."""


def charts(counts: Mapping[str, Counter]) -> list[Chart]:
    """The charts of the properties in `Statistics.counts`, in a fixed order."""
    return [
        Chart(title, form, tuple(_BARS[form](counts[name])), len(counts[name]))
        for name, (title, form) in _PROPERTIES.items()
        if counts.get(name)
    ]


def _ranking(counter: Counter) -> list[Bar]:
    return _bars(counter.most_common(_RANKED), counter.total())


def _columns(counter: Counter) -> list[Bar]:
    """A column a whole number, or a range of them where there are many."""
    low, high = min(map(int, counter)), max(map(int, counter))
    width = math.ceil((high - low + 1) / _COLUMNS)
    columns = [0] * math.ceil((high - low + 1) / width)
    for value, count in counter.items():
        columns[(int(value) - low) // width] += count
    starts = [low + number * width for number in range(len(columns))]
    labels = [str(start) if width == 1 else f"{start} to {start + width - 1}" for start in starts]
    return _bars(list(zip(labels, columns, strict=True)), counter.total())


def _tenths(counter: Counter) -> list[Bar]:
    pairs = [(f"{tenth / GRID:.1f} to {(tenth + 1) / GRID:.1f}", counter[str(tenth)]) for tenth in range(GRID)]
    return _bars(pairs, counter.total())


def _map(counter: Counter) -> list[Bar]:
    pairs = [(f"{x},{y}", counter[f"{x},{y}"]) for y in range(GRID) for x in range(GRID)]
    return _bars(pairs, counter.total())


def _bars(pairs: list[tuple[str, int]], total: int) -> list[Bar]:
    longest = max(count for _, count in pairs)
    return [Bar(label, count, count / total, count / longest) for label, count in pairs]


_BARS: dict[str, Callable[[Counter], list[Bar]]] = {
    "ranking": _ranking,
    "columns": _columns,
    "tenths": _tenths,
    "map": _map,
}
_PROPERTIES = {
    "words": ("Words of a text", "columns"),
    "type": ("Type of the row", "ranking"),
    "dataset": ("Data set", "ranking"),
    "summary_words": ("Words in a headline", "columns"),
    "label": ("Label", "ranking"),
    "question_begins": ("Beginnings of questions", "ranking"),
    "answers": ("Most certain answers", "ranking"),
    "confidence": ("Confidence of the most certain answer", "ranking"),
    "answers_a_question": ("Different answers to a question", "columns"),
    "labels": ("Names of objects", "ranking"),
    "objects": ("Objects in a picture", "columns"),
    "box_area": ("Area of boxes as a share of the picture", "tenths"),
    "box_center": ("Centers of boxes in the picture", "map"),
    "picture_size": ("Width x height of pictures in pixels", "ranking"),
    "picture_kilobytes": ("Size of picture files in kB", "columns"),
}
