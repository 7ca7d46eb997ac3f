"""A page that shows what is in tables: numbers, distributions and examples, in one file that needs no network."""

import base64
import io
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from components.preprocess.charts import Chart, charts
from components.preprocess.pages import render
from components.preprocess.rows import table_kind
from components.preprocess.show import draw_boxes, open_table, row_texts
from components.preprocess.statistics import Statistics
from ofa.data import RowError, Table
from ofa.data.images import ImageError, measure
from ofa.data.remote import files_like, placed
from ofa.errors import OFAError
from ofa.files import atomic_write
from ofa.progress import track

_HEADER = 4 << 14
_SHOWN_BAD = 10
_SIDE = 240


@dataclass(frozen=True)
class Example:
    """A row as the page shows it."""

    image: str
    """The picture with its boxes drawn, as the data URL of a JPEG file."""
    texts: list[str]
    """What is said about it."""


@dataclass
class Summary:
    """What the page shows of one table."""

    name: str
    """Name of the file without suffix."""
    kind: str
    """Kind of table."""
    statistics: Statistics
    """Counts over its good rows."""
    bad: list[str] = field(default_factory=list)
    """The first of its bad rows."""
    bad_rows: int = 0
    """How many rows are bad."""
    charts: list[Chart] = field(default_factory=list)
    """Distributions of its properties."""
    examples: list[Example] = field(default_factory=list)
    """Some of its rows."""


def stats(tables: Sequence[str] | str, out: str, examples: int = 6) -> list[Summary]:
    """Write an HTML page with the distributions of tables.

    Args:
        tables: TSV files whose names are `KIND_SPLIT.tsv`, or the folder that holds them, or a pattern (`*`) of their
            names in a folder; paths or addresses.
        out: the HTML file to write.
        examples: how many rows of each table to show, evenly spread.

    Raises:
        OFAError: a table is missing, or its name says no kind.
    """
    paths = [path for place in ([tables] if isinstance(tables, str) else tables) for path in _files(place)]
    summaries = [_summarize(path, examples) for path in paths]
    with atomic_write(out) as file:
        file.write(render("stats.html.j2", tables=summaries))
    return summaries


def _files(place: str) -> list[Path | str]:
    """The table at a place, or those in a folder or of a shell pattern there."""
    if "*" not in str(place) and (str(place).endswith(".tsv") or Path(place).is_file()):
        return [placed(place)]
    folder, pattern = os.path.split(place) if "*" in str(place) else (place, "*.tsv")
    found = [path for path in files_like(folder, pattern) if Path(path).stem != "rejected"]
    if not found:
        raise OFAError(f"{place}: no tables there; build them with `ofa data build`")
    return found


def _summarize(path: Path | str, examples: int) -> Summary:
    table, kind = open_table(str(path)), table_kind(path)
    summary = Summary(Path(path).stem, kind, Statistics(bytes=table.size))
    shown: set[int] = set()
    size, previous = None, None
    for number in track(range(len(table)), label=f"Counting {summary.name}", unit="row"):
        try:
            row = table[number]
            if "image" in row:
                picture = zlib.crc32(row["image"])
                if picture != previous:
                    size = _measure(row["image"])
                    summary.statistics.add_picture(size, len(row["image"]) * 3 // 4)
                previous = picture
                shown.add(picture)
            columns = {name: value for name, value in row.items() if name != "image"}
            summary.statistics.add_row(kind, columns, size)
        except (RowError, ImageError, ValueError) as error:
            summary.bad_rows += 1
            if len(summary.bad) < _SHOWN_BAD:
                reason = error.reason if isinstance(error, RowError) else error
                summary.bad.append(f"row {number}: {reason}")
    summary.statistics.pictures = len(shown)
    summary.charts = charts(summary.statistics.counts)
    if "image" in table.columns and len(table):
        spread = sorted({round(number * (len(table) - 1) / max(examples - 1, 1)) for number in range(examples)})
        summary.examples = [example for number in spread if (example := _example(table, kind, number))]
    return summary


def _measure(text: memoryview) -> tuple[int, int]:
    """Width and height of a picture, from the first part of its base64 if that is enough."""
    try:
        return measure(text[:_HEADER])
    except ImageError:
        return measure(text)


def _example(table: Table, kind: str, number: int) -> Example | None:
    """A row for the page; None for a bad row."""
    try:
        row = table[number]
        drawn = draw_boxes(kind, row, _SIDE)
    except (RowError, ImageError, ValueError):
        return None
    drawn.thumbnail((_SIDE, _SIDE))
    content = io.BytesIO()
    drawn.save(content, "JPEG", quality=80)
    url = f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
    return Example(url, [text.replace("&&", " · ").replace("|!+", " ") for text in row_texts(row)])
