"""Scores of visual grounding: how well predicted boxes fit the true ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ofa.errors import OFAError

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


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


def report(predicted: ArrayLike, truth: ArrayLike) -> GroundingReport:
    """All scores of a set of (N, 4) boxes in pixels."""
    values = iou(predicted, truth)
    return GroundingReport(
        accuracy={threshold: _mean(values >= threshold) for threshold in THRESHOLDS},
        mean_iou=_mean(values),
        histogram=tuple(np.histogram(values, bins=10, range=(0, 1))[0].tolist()),
    )


def _mean(values: NDArray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
