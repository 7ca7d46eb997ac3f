"""Scores of classification: accuracy, F1 of one class, and Matthews' correlation."""

from collections.abc import Hashable, Sequence
from math import sqrt

from ofa.errors import OFAError


def accuracy(predicted: Sequence[Hashable], truth: Sequence[Hashable]) -> float:
    """Share of equal pairs."""
    _check(predicted, truth)
    return sum(p == t for p, t in zip(predicted, truth, strict=True)) / len(truth)


def f1(predicted: Sequence[Hashable], truth: Sequence[Hashable], positive: Hashable) -> float:
    """Harmonic mean of precision and recall of the class `positive`; 0 if it is neither found nor there."""
    _check(predicted, truth)
    both = sum(p == t == positive for p, t in zip(predicted, truth, strict=True))
    either = sum(p == positive for p in predicted) + sum(t == positive for t in truth)
    return 2 * both / either if either else 0.0


def matthews(predicted: Sequence[Hashable], truth: Sequence[Hashable], positive: Hashable) -> float:
    """Matthews' correlation of two classes, -1..1; 0 if one of the sequences is constant."""
    _check(predicted, truth)
    p, t = [value == positive for value in predicted], [value == positive for value in truth]
    n, both, found, there = len(t), sum(a and b for a, b in zip(p, t, strict=True)), sum(p), sum(t)
    spread = sqrt(found * (n - found) * there * (n - there))
    return (n * both - found * there) / spread if spread else 0.0


def _check(predicted: Sequence, truth: Sequence) -> None:
    if len(predicted) != len(truth) or not truth:
        raise OFAError(f"{len(predicted)} predictions cannot be compared with {len(truth)} true values")
