"""The learning curves of a run as one picture."""

import math
from pathlib import Path

from components.curves import HISTORY, VALIDATION, read_curves
from ofa.files import atomic_write


def plot_curves(work: str | Path, title: str) -> Path | None:
    """Draw the columns of `work`/history.csv and validation.csv over the steps, one chart each, into curves.png.

    Returns:
        the picture's path, or None where nothing was recorded.
    """
    from matplotlib.figure import Figure

    curves = {}
    for name, prefix in ((HISTORY, ""), (VALIDATION, "validation: ")):
        curves |= {prefix + column: curve for column, curve in read_curves(Path(work) / name).items()}
    if not curves:
        return None
    rows = math.ceil(len(curves) / 3)
    figure = Figure(figsize=(12, 2.6 * rows), layout="constrained")
    figure.suptitle(title)
    for axes, (column, curve) in zip(figure.subplots(rows, 3, squeeze=False).flat, curves.items(), strict=False):
        axes.plot(*curve, marker="." if len(curve[0]) < 30 else "")
        axes.set_title(column, fontsize=9)
        axes.grid(alpha=0.3)
    for axes in figure.axes[len(curves) :]:
        axes.remove()
    path = Path(work) / "curves.png"
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png", dpi=100)
    return path
