"""Boxes and their tokens: each coordinate is one of 1000 bins."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ofa.errors import OFAError


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of a picture: left, top, right, bottom."""

    x0: float
    y0: float
    x1: float
    y1: float
    label: str = ""
    """What is in the box, where a task tells."""
    score: float = 0.0
    """Log-probability of the box, where a model made it."""

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        return self.x0, self.y0, self.x1, self.y1


@dataclass(frozen=True)
class Bins:
    """Quantization of coordinates.

    A coordinate is divided by `max_image_size`, not by the picture's own side: with 480-pixel pictures the largest
    bin is 937. That is how the published checkpoints were trained.
    """

    max_image_size: int = 512
    """Pixels of the resized picture that the last bin stands for."""
    num_bins: int = 1000
    """Number of bins."""

    def quantize(self, coordinates: NDArray[np.float32]) -> list[int]:
        """Bin numbers of pixel coordinates in the resized picture, rounded half to even in single precision.

        Raises:
            OFAError: a coordinate is beyond the last bin or below 0.
        """
        values = np.asarray(coordinates, dtype=np.float32) / np.float32(self.max_image_size)
        bins = np.rint(values * np.float32(self.num_bins - 1)).astype(int).ravel().tolist()
        if min(bins) < 0 or max(bins) >= self.num_bins:
            raise OFAError(
                f"coordinates {np.asarray(coordinates).ravel().tolist()} of the resized picture lie outside "
                f"0..{self.max_image_size}: the box is not inside its picture"
            )
        return bins

    def pixels(self, bins: Sequence[int]) -> NDArray[np.float64]:
        """Pixel coordinates, in the resized picture, of bin numbers."""
        return np.asarray(bins, dtype=np.float64) / (self.num_bins - 1) * self.max_image_size


def parse_box(text: str) -> NDArray[np.float32]:
    """(4,) coordinates of "x0,y0,x1,y1".

    Raises:
        OFAError: these are not four numbers, or the box is empty.
    """
    try:
        box = np.array([float(part) for part in text.strip().split(",")], dtype=np.float32)
    except ValueError as error:
        raise OFAError(f"box {text!r} must be four numbers x0,y0,x1,y1 in pixels") from error
    if box.shape != (4,) or not np.isfinite(box).all():
        raise OFAError(f"box {text!r} must be four numbers x0,y0,x1,y1 in pixels")
    if box[2] <= box[0] or box[3] <= box[1]:
        raise OFAError(f"box {text!r} is empty: x1 must be larger than x0, and y1 than y0")
    return box


def scale(box: NDArray[np.float32], old: tuple[int, int], new: tuple[int, int]) -> NDArray[np.float32]:
    """Boxes (..., 4) of a picture of size `old` (width, height) after resizing it to `new`."""
    ratio = np.array([new[0] / old[0], new[1] / old[1]] * 2, dtype=np.float32)
    return box * ratio
