"""A cheap score of detected objects, for validation during training."""

from collections.abc import Sequence
from typing import Protocol

from ofa.metrics.grounding import iou


class Labeled(Protocol):
    """A box with a label."""

    label: str

    @property
    def xyxy(self) -> tuple[float, float, float, float]: ...


def f1(found: Sequence[Sequence[Labeled]], truth: Sequence[Sequence[Labeled]], threshold: float = 0.5) -> float:
    """F1 over all objects of all pictures; each true object is matched at most once, best overlap first.

    Args:
        found, truth: for each picture its objects.
        threshold: smallest intersection over union of a match, whose labels must be equal.

    Returns:
        2 * matches / (found + true objects); 1 when there is none of either.
    """
    matches = sum(_matches(ours, theirs, threshold) for ours, theirs in zip(found, truth, strict=True))
    total = sum(map(len, found)) + sum(map(len, truth))
    return 2 * matches / total if total else 1.0


def _matches(found: Sequence[Labeled], truth: Sequence[Labeled], threshold: float) -> int:
    pairs = [(i, j) for i, a in enumerate(found) for j, b in enumerate(truth) if a.label == b.label]
    overlaps = iou([found[i].xyxy for i, _ in pairs], [truth[j].xyxy for _, j in pairs]).tolist()
    free_found, free_truth, count = set(range(len(found))), set(range(len(truth))), 0
    for overlap, (i, j) in sorted(zip(overlaps, pairs, strict=True), reverse=True):
        if overlap >= threshold and i in free_found and j in free_truth:
            free_found.remove(i)
            free_truth.remove(j)
            count += 1
    return count
