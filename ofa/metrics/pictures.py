"""How close painted pictures are to real ones, from what a network sees in them: FID and IS; how evenly codes are used.

FID is the Fréchet distance of Gaussians fitted to features of Inception v3 (arXiv 1706.08500), IS the exponential of
the mean divergence of its class probabilities (arXiv 1606.03498). The network is in `ofa.metrics.inception`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ofa.errors import OFAError


@dataclass(frozen=True)
class Gaussian:
    """The distribution of features."""

    mean: NDArray
    """(D,)"""
    root: NDArray
    """(R, D) a root of the covariance, root^T root; of few pictures it is much smaller than the covariance."""

    @classmethod
    def of(cls, features: NDArray) -> "Gaussian":
        """Fitted to features (N, D) of N pictures, N at least 2; the covariance is divided by N - 1."""
        features = np.asarray(features, dtype=np.float64)
        if features.ndim != 2 or len(features) < 2:
            raise OFAError(f"a distribution needs features of at least 2 pictures, got an array {features.shape}")
        mean = features.mean(axis=0)
        root = (features - mean) / np.sqrt(len(features) - 1)
        return cls(mean, root if len(root) <= len(mean) else np.linalg.qr(root, mode="r"))

    @classmethod
    def load(cls, path: str | Path) -> "Gaussian":
        """From a file of `mu` and `sigma`, such as the original's gt_stat.npz of COCO's test pictures."""
        try:
            with np.load(path, allow_pickle=False) as file:
                mean, covariance = file["mu"], file["sigma"]
        except (OSError, ValueError, KeyError) as error:
            raise OFAError(f"{path}: not a .npz file of mu and sigma: {error}") from None
        values, vectors = np.linalg.eigh(covariance)
        return cls(mean, (vectors * np.sqrt(values.clip(min=0))).T)


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """|mean difference|^2 + Tr(A + B - 2 (A B)^(1/2)), with A and B the covariances.

    With A = X^T X and B = Y^T Y the trace of the root is the sum of the singular values of X Y^T. So it stays exact
    where there are fewer pictures than features, and the reference implementations add to the diagonal.

    Raises:
        OFAError: the features differ in number.
    """
    if a.mean.shape != b.mean.shape:
        raise OFAError(f"features of {a.mean.shape[0]} and of {b.mean.shape[0]} numbers cannot be compared")
    difference = a.mean - b.mean
    common = np.linalg.svd(a.root @ b.root.T, compute_uv=False).sum()
    return float(difference @ difference + np.square(a.root).sum() + np.square(b.root).sum() - 2 * common)


def inception_score(probabilities: NDArray, splits: int = 1) -> tuple[float, float]:
    """exp of the mean Kullback-Leibler divergence of each picture's classes from those of all pictures.

    Args:
        probabilities: (N, K) of N pictures.
        splits: parts, one after the other, that are scored alone; what is left over is not used. The original has 1.

    Returns:
        Mean and standard deviation over the parts.
    """
    size = len(probabilities) // splits
    if size < 1:
        raise OFAError(f"{len(probabilities)} pictures cannot be split into {splits} parts")
    scores = []
    for start in range(0, size * splits, size):
        part = np.asarray(probabilities[start : start + size], dtype=np.float64)
        overall = part.mean(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(part > 0, part * (np.log(part) - np.log(overall)), 0.0)
        scores.append(np.exp(terms.sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def perplexity(counts: NDArray) -> float:
    """exp of the entropy of counts (K,): K when all are alike, 1 when all but one are 0."""
    shares = counts[counts > 0] / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
