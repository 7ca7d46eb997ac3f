"""The learning curves of a run as one picture."""

import csv
import math
from pathlib import Path

from ofa.data.files import atomic_write


def plot_curves(work: str | Path, title: str) -> Path | None:
    """Draw the columns of `work`/history.csv and validation.csv over the steps, one chart each, into curves.png.

    Returns:
        the picture's path, or None where nothing was recorded.
    """
    from matplotlib.figure import Figure

    curves = {}
    for name, prefix in (("history.csv", ""), ("validation.csv", "validation: ")):
        curves |= {prefix + column: points for column, points in _columns(Path(work) / name).items()}
    if not curves:
        return None
    rows = math.ceil(len(curves) / 3)
    figure = Figure(figsize=(12, 2.6 * rows), layout="constrained")
    figure.suptitle(title)
    for axes, (column, points) in zip(figure.subplots(rows, 3, squeeze=False).flat, curves.items(), strict=False):
        axes.plot(*zip(*points, strict=True), marker="." if len(points) < 30 else "")
        axes.set_title(column, fontsize=9)
        axes.grid(alpha=0.3)
    for axes in figure.axes[len(curves) :]:
        axes.remove()
    path = Path(work) / "curves.png"
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png", dpi=100)
    return path


def _columns(path: Path) -> dict[str, list[tuple[int, float]]]:
    """(step, value) of every column of a history whose values are numbers."""
    if not path.exists():
        return {}
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in (rows[0] if rows else ()) if name != "step"]
    points = {name: [(int(row["step"]), float(row[name])) for row in rows] for name in names}
    finite = {name: [(x, y) for x, y in values if math.isfinite(y)] for name, values in points.items()}
    return {name: values for name, values in finite.items() if values}
