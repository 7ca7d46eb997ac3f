"""Pictures of predictions and of learning curves as files, for Markdown, where no page can be shown."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from components.curves import HISTORY, read_curves
from components.evaluate.gallery import Album, asked, choose, finest, told
from components.evaluate.measure import Row
from components.evaluate.record import Evaluation, load_predictions
from components.train.samples import COLUMNS, PREDICTED, SIDE, TRUE, sheet
from ofa.data.draw import Mark, draw
from ofa.files import atomic_write

COLORS = {"predicted": PREDICTED, "reference": TRUE, "region": PREDICTED}
CURVES = 3
"""Curves side by side."""
FONT = 18
"""Pixels of the texts: a comment shows the picture at about two thirds of its size."""


def write_sheets(evaluations: Mapping[str, tuple[Path, Evaluation]], folder: Path, seed: int = 0) -> dict[str, Path]:
    """A picture of each task with rows of its best, worst and random predictions, beside what is true.

    Args:
        evaluations: folder and record by task.
        folder: gets TASK.jpg; tasks without pictures give none.
        seed: of the random ones.

    Returns:
        The files by task.
    """
    found = {}
    for task, (place, evaluation) in evaluations.items():
        rows, album = load_predictions(place), Album(evaluation)
        metric, prompts = finest(rows, evaluation), asked(rows)
        chosen = choose(rows, metric, COLUMNS, seed)
        tiles = [_tile(row, album, metric, kind, prompts) for kind, some in chosen.items() for row in some]
        if picture := sheet([tile for tile in tiles if tile is not None]):
            found[task] = folder / f"{task}.jpg"
            with atomic_write(found[task], "wb") as file:
                picture.save(file, "JPEG", quality=85, subsampling=0)  # thin lines keep their color
    return found


def write_curves(trainings: Sequence[Path], path: Path, earlier: Path | None = None) -> bool:
    """Draw the loss of trainings, and of the trainings of the same names in the folder `earlier`, as one picture.

    Returns:
        False where no training has a curve.
    """
    from matplotlib.figure import Figure

    found = {run.name: read_curves(run / HISTORY).get("loss") for run in trainings}
    curves = {name: curve for name, curve in found.items() if curve}
    if not curves:
        return False
    columns = min(CURVES, len(curves))
    rows = math.ceil(len(curves) / columns)
    figure = Figure(figsize=(3.2 * columns, 2.4 * rows), layout="constrained")
    for place, (name, curve) in enumerate(curves.items(), 1):
        axes = figure.add_subplot(rows, columns, place)
        before = read_curves(earlier / name / HISTORY).get("loss") if earlier else None
        if before:
            axes.plot(*before, color="0.8", linewidth=4, label="before")  # seen below an equal one, too
        axes.plot(*curve, color="tab:blue", label="now")
        axes.set_title(f"loss of {name}", fontsize=9)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
        if before:
            axes.legend(fontsize=7)
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png", dpi=110)
    return True


def _tile(row: Row, album: Album, metric: str, kind: str, prompt: bool) -> Image.Image | None:
    picture = album.image(row["row"])
    if picture is None:
        return None
    shown = told(row, metric, prompt)
    said = [f"{kind.partition(',')[0]}: {metric} {shown['value']:.3f}", shown["prompt"], shown["prediction"]]
    said += ["(red: predicted, green: true)"] if any(of == "predicted" for of, _ in shown["boxes"]) else []
    said += [f"(true: {reference})" for reference in shown["references"][:1]]
    marks = [Mark(box, "", COLORS[of]) for of, box in shown["boxes"]]
    tile = draw(picture, marks, "\n".join(filter(None, said)), min_side=3 * SIDE // 4, font_size=FONT)
    tile.thumbnail((SIDE, 2 * SIDE))
    return tile
