"""Boxes and their tokens: each coordinate is one of 1000 bins (arXiv 2202.03052, section 3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import torch
from torch import FloatTensor

from ofa.errors import OFAError
from ofa.tasks.base import ImageSettings


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

    def quantize(self, boxes: FloatTensor) -> list[int]:
        """Bin numbers of coordinates (any shape) in the resized picture: single precision, half to even.

        Raises:
            OFAError: a coordinate is beyond the last bin or below 0.
        """
        bins = (boxes / self.max_image_size * (self.num_bins - 1)).round().long().flatten().tolist()
        if bins and (min(bins) < 0 or max(bins) >= self.num_bins):
            raise OFAError(
                f"coordinates {boxes.flatten().tolist()} of the resized picture lie outside 0..{self.max_image_size}: "
                "the box is not inside its picture"
            )
        return bins

    def box(self, bins: Sequence[int], side: int, size: tuple[int, int], clip: bool = True) -> Box:
        """The box that four bin numbers stand for; missing numbers count as 0.

        Args:
            bins: left, top, right, bottom.
            side: the side of the square that the picture was resized to.
            size: width and height of the original picture, in whose pixels the box is.
            clip: move corners outside the picture to its edge.
        """
        numbers = torch.tensor([*bins[:4], *[0] * (4 - len(bins))])
        corners = (numbers / (self.num_bins - 1) * self.max_image_size).view(2, 2) * torch.tensor(size) / side
        if clip:
            corners = corners.clamp(torch.zeros(2), torch.tensor(size))
        return Box(*corners.flatten().tolist())


@dataclass(frozen=True, kw_only=True)
class BoxSettings(ImageSettings):
    """Settings of tasks that read or write boxes."""

    num_bins: int = 1000
    """Coordinate bins."""
    max_image_size: int = 512
    """Pixels of the resized picture that the last bin stands for; at least `patch_image_size`."""

    def __post_init__(self):
        super().__post_init__()
        if self.patch_image_size > self.max_image_size:
            raise OFAError(f"patch_image_size {self.patch_image_size} exceeds max_image_size {self.max_image_size}")

    @property
    def bins(self) -> Bins:
        """The quantization."""
        return Bins(self.max_image_size, self.num_bins)


@dataclass(frozen=True)
class Region:
    """The truth of a grounding sample."""

    size: tuple[int, int]
    """Width and height of the original picture."""
    box: tuple[float, float, float, float] | None
    """The true box in its pixels; None at inference."""
    text: str
    """The expression after cleaning."""


def parse_box(text: str) -> FloatTensor:
    """(4,) coordinates of "x0,y0,x1,y1".

    Raises:
        OFAError: these are not four numbers, or the box is empty.
    """
    try:
        corners = [float(part) for part in text.strip().split(",")]
    except ValueError:
        corners = []
    if len(corners) != 4 or not all(map(isfinite, corners)):
        raise OFAError(f"box {text!r} must be four numbers x0,y0,x1,y1 in pixels")
    if corners[2] <= corners[0] or corners[3] <= corners[1]:
        raise OFAError(f"box {text!r} is empty: x1 must be larger than x0, and y1 than y0")
    return torch.tensor(corners)
