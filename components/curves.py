"""The learning curves of a training, from the files of numbers that it leaves."""

import csv
import math
from pathlib import Path

from ofa.errors import OFAError

HISTORY, VALIDATION = "history.csv", "validation.csv"

Curve = tuple[list[float], list[float]]
"""Steps and values."""


def trainings(folder: Path) -> list[Path]:
    """The folder, if a training is in it, else those of the trainings below, in the order of their ends."""
    histories = [folder / HISTORY] if (folder / HISTORY).is_file() else folder.glob(f"*/{HISTORY}")
    return [path.parent for path in sorted(histories, key=lambda path: path.stat().st_mtime)]


def read_curves(path: Path) -> dict[str, Curve]:
    """The finite values of each column of a CSV file with a column `step`; none where there is no file.

    Raises:
        OFAError: it is not such a file.
    """
    if not path.is_file():
        return {}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        columns = {
            name: [(float(row["step"]), float(row[name] or "nan")) for row in rows]
            for name in (rows[0] if rows else ())
            if name != "step"
        }
    except (KeyError, ValueError, TypeError) as error:
        raise OFAError(f"{path}: expected numbers in columns, one of them 'step' ({error})") from error
    finite = {name: [point for point in points if math.isfinite(point[1])] for name, points in columns.items()}
    return {name: tuple(map(list, zip(*points, strict=True))) for name, points in finite.items() if points}
