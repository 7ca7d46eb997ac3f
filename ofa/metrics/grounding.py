"""Scores of visual grounding: how well predicted boxes fit the true ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ofa.errors import OFAError

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)

SIZES = {"small": (0.0, 0.05), "medium": (0.05, 0.2), "large": (0.2, np.inf)}
"""Classes of boxes by their share of the picture's area (from, below)."""

LENGTHS = {"1-2": (1, 3), "3-5": (3, 6), "6-10": (6, 11), "11+": (11, np.inf)}
"""Classes of expressions by number of words (from, below)."""


def iou(predicted: ArrayLike, truth: ArrayLike) -> NDArray[np.float32]:
    """Intersection over union of boxes, pair by pair.

    Single precision, and 1e-6 square pixels added to the union, as in the original: a box on the threshold counts as
    it does there. Boxes that do not overlap get 0; the original multiplies two negative sides, but does not count it.

    Args:
        predicted, truth: (N, 4) boxes x0, y0, x1, y1.

    Returns:
        (N,) values in 0..1.
    """
    a, b = (np.asarray(boxes, dtype=np.float32).reshape(-1, 4) for boxes in (predicted, truth))
    if a.shape != b.shape:
        raise OFAError(f"{len(a)} predicted boxes cannot be compared with {len(b)} true ones")
    sides = (np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])).clip(min=0)
    overlap = sides.prod(axis=1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (a, b)]
    return overlap / (areas[0] + areas[1] - overlap + np.float32(1e-6))


def accuracy(predicted: ArrayLike, truth: ArrayLike, threshold: float = 0.5) -> float:
    """Share of boxes with an intersection over union of at least `threshold` (Acc@0.5 of RefCOCO); NaN for no boxes."""
    return _mean(iou(predicted, truth) >= threshold)


@dataclass(frozen=True)
class GroundingReport:
    """Scores of a set of boxes."""

    accuracy: dict[float, float]
    """Share of boxes by smallest intersection over union."""
    mean_iou: float
    histogram: tuple[int, ...]
    """Number of boxes by intersection over union in ten steps of 0.1."""
    by_size: dict[str, tuple[float, int]]
    """Acc@0.5 and number of boxes by class of size, see `SIZES`."""
    by_length: dict[str, tuple[float, int]]
    """Acc@0.5 and number of boxes by length of the expression, see `LENGTHS`."""


def report(
    predicted: ArrayLike, truth: ArrayLike, picture_sizes: Sequence[tuple[int, int]], texts: Sequence[str]
) -> GroundingReport:
    """All scores of a set.

    Args:
        predicted, truth: (N, 4) boxes in pixels of the pictures.
        picture_sizes: width and height of each picture.
        texts: the expressions.
    """
    values = iou(predicted, truth)
    boxes = np.asarray(truth, dtype=np.float64).reshape(-1, 4)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) / np.prod(np.asarray(picture_sizes).reshape(-1, 2), axis=1)
    words = np.array([len(text.split()) for text in texts])
    return GroundingReport(
        accuracy={threshold: _mean(values >= threshold) for threshold in THRESHOLDS},
        mean_iou=_mean(values),
        histogram=tuple(np.histogram(values, bins=10, range=(0, 1))[0].tolist()),
        by_size=_by_class(values >= 0.5, area, SIZES),
        by_length=_by_class(values >= 0.5, words, LENGTHS),
    )


def _by_class(hit: NDArray, value: NDArray, classes: dict[str, tuple[float, float]]) -> dict[str, tuple[float, int]]:
    members = {name: hit[(value >= low) & (value < high)] for name, (low, high) in classes.items()}
    return {name: (_mean(hits), len(hits)) for name, hits in members.items() if len(hits)}


def _mean(values: NDArray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
