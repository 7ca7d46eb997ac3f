"""What a network says of a few validation pictures while it trains, as pictures for people."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image

from ofa.data.draw import Mark, draw
from ofa.data.images import open_image
from ofa.tasks.base import Prediction
from ofa.tasks.boxes import Box, Region
from ofa.tasks.vision_language import Truth

SHOWN = 8
"""Pictures on a sheet."""
COLUMNS, SIDE, GAP = 4, 320, 12
"""Pictures in a row, pixels of a picture's longer side, and between pictures."""
PREDICTED, TRUE = "#e6194b", "#3cb44b"


class Samples:
    """A callback of training that shows the last validation's first predictions.

    Args:
        log: takes a sheet and its step.
    """

    def __init__(self, log: Callable[[Image.Image, int], None]):
        self.log = log
        self.sheet: Image.Image | None = None

    def keep(self, rows: Sequence[Mapping[str, Any]], predictions: Sequence[Prediction], truths: Sequence) -> None:
        """Draw the sheet of a validation, of rows that have a picture."""
        found = [item for item in zip(rows, predictions, truths, strict=False) if "image" in item[0]][:SHOWN]
        self.sheet = sheet([sample(open_image(row["image"]), p.value, truth) for row, p, truth in found])

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log the sheet of the validation whose metrics these are."""
        if self.sheet is not None and any(name.startswith("validation/") for name in metrics):
            self.log(self.sheet, step)
            self.sheet = None


def sample(picture: Image.Image, value: Any, truth: Any) -> Image.Image:
    """A picture with what is predicted of it and what is true: as boxes, or as texts below."""
    if isinstance(truth, Truth):
        truth = truth.value
    if isinstance(value, Box) and isinstance(truth, Region):
        marks = [Mark(value.xyxy, "", PREDICTED)]
        if truth.box is not None:
            marks.append(Mark(truth.box, "", TRUE))
        drawn = draw(picture, marks, f"{truth.text}\n(red: predicted, green: true)", min_side=SIDE // 2)
    else:
        drawn = draw(picture, (), f"{value}\n(true: {_words(truth)})", min_side=SIDE // 2)
    drawn.thumbnail((SIDE, 2 * SIDE))
    return drawn


def sheet(pictures: Sequence[Image.Image]) -> Image.Image | None:
    """Pictures side by side on white, some in a row; None of none."""
    if not pictures:
        return None
    rows = [pictures[start : start + COLUMNS] for start in range(0, len(pictures), COLUMNS)]
    width = max(picture.width for picture in pictures) + GAP
    heights = [max(picture.height for picture in row) + GAP for row in rows]
    canvas = Image.new("RGB", (width * min(COLUMNS, len(pictures)), sum(heights)), "white")
    for line, row in enumerate(rows):
        for column, picture in enumerate(row):
            canvas.paste(picture, (column * width, sum(heights[:line])))
    return canvas


def _words(truth: Any) -> str:
    if isinstance(truth, Mapping):
        return max(truth, key=truth.get, default="")
    return str(truth[0] if isinstance(truth, list | tuple) and truth else truth)
