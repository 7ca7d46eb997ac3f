"""Confidence by resampling: how much would a score, or a difference of two models, move on other pictures?

Whole pictures are drawn, not rows: several questions or expressions about one picture are right or wrong together, and
drawing them one by one would promise more certainty than there is (a cluster bootstrap; Efron and Tibshirani 1993,
Koehn 2004 for paired comparisons).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
_CHUNK = 2_000_000  # drawn picture indices held at once


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over rows and how sure it is."""

    mean: float
    """Of all rows as they are."""
    low: float
    """Lower end of the confidence interval (percentiles of the resampled means)."""
    high: float
    """Upper end."""
    p_value: float
    """Two-sided: how often a mean of the other sign, or zero, comes up; at least 1 / (resamples + 1)."""


def bootstrap(
    values: Sequence[float],
    groups: Sequence[Hashable] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate the mean of `values` (for a comparison: differences row by row).

    Args:
        values: (N,) one number a row.
        groups: (N,) the picture of each row; None takes each row for itself.
        resamples: number of samples drawn, each of as many pictures as there are.
        seed: of the draws.
        confidence: probability mass of the interval.

    Raises:
        ValueError: there is no value.
    """
    sums, counts = _by_group(np.asarray(values, dtype=np.float64), groups)
    means = _resampled_means(sums, counts, resamples, np.random.default_rng(seed))
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    beyond = min((means <= 0).sum(), (means >= 0).sum())
    return Estimate(
        mean=float(sums.sum() / counts.sum()),
        low=float(low),
        high=float(high),
        p_value=min(1.0, float(2 * (beyond + 1) / (resamples + 1))),
    )


def _by_group(values: np.ndarray, groups: Sequence[Hashable] | None) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the values and number of rows of each picture, both (G,)."""
    if not len(values):
        raise ValueError("cannot estimate the mean of no values")
    if groups is None:
        return values, np.ones_like(values)
    number: dict[Hashable, int] = {}
    members = np.array([number.setdefault(group, len(number)) for group in groups])
    return np.bincount(members, values), np.bincount(members).astype(np.float64)


def _resampled_means(sums: np.ndarray, counts: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """(resamples,) means over rows of pictures drawn with replacement."""
    size = len(sums)
    rows = max(1, _CHUNK // size)
    means = []
    for start in range(0, resamples, rows):
        drawn = rng.integers(0, size, (min(rows, resamples - start), size), dtype=np.int32)
        means.append(sums[drawn].sum(1) / counts[drawn].sum(1))
    return np.concatenate(means)
