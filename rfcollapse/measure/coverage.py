"""Fidelity and diversity by nearest neighbours: what second moments cannot see, such as a lost mode."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Real

from .. import check
from ..check import ArrayLike

BLOCK = 512  # rows compared with all others at a time: 8 BLOCK n bytes


class Coverage(NamedTuple):
    """Three fractions, each 1 for the best model; on finite sets the real distribution itself stays below 1."""

    precision: float
    """Share of generated samples within the k-NN ball of some real sample (fidelity)."""
    recall: float
    """Share of real samples within the k-NN ball of some generated sample (diversity)."""
    coverage: float
    """Share of real samples whose own k-NN ball holds some generated sample (diversity, robust to outliers)."""


def coverage(real: Real[ArrayLike, "n d"], generated: Real[ArrayLike, "m d"], *, neighbours: int = 5) -> Coverage:
    """Precision, recall and coverage from balls B(x), each reaching to the k-th nearest neighbour of x in x's own set.

    precision = share of generated y that lie in B(x) for some real x; recall = the same with the two sets exchanged
    (Kynkäänniemi et al. 2019, arXiv 1904.06991; k = 3 there). coverage = share of real x with some generated y in B(x)
    (Naeem et al. 2020, arXiv 2002.09797; k = 5 there, for all three). Where the two distributions agree, the expected
    coverage is 1 − Π_{i=1}^{k} (n − i)/(n + m − i), whatever they are: a value to compare with (their Lemma 2).

    Args:
        real, generated: n and m rows in the space in which distances mean something. O((n + m)² d) time: seconds on a
            CPU for 8,000 + 8,000 images of 768 pixels.
        neighbours: k, from 1 to min(n, m) − 1; a point is no neighbour of itself.

    Example:
        >>> from rfcollapse.measure.coverage import coverage
        >>> coverage([[0.0], [1.0], [10.0], [11.0]], [[0.2], [0.8]], neighbours=1)  # the mode at 10 is lost
        Coverage(precision=1.0, recall=0.5, coverage=0.5)
    """
    from sklearn.metrics.pairwise import euclidean_distances  # heavy
    from sklearn.neighbors import NearestNeighbors

    real, generated = check.table("real", real), check.table("generated", generated)
    if real.shape[1] != generated.shape[1]:
        raise ValueError(f"real and generated must have as many columns; got {real.shape[1]} and {generated.shape[1]}")
    fewest = min(len(real), len(generated))
    if fewest < 2:
        raise ValueError(f"real and generated must have at least 2 rows each; got {len(real)} and {len(generated)}")
    balls = NearestNeighbors(n_neighbors=check.integer("neighbours", neighbours, 1, fewest - 1))
    centre = real.mean(axis=0)  # near the origin the gaps below lose few digits
    real, generated = real - centre, generated - centre
    real_radii, generated_radii = (balls.fit(points).kneighbors()[0][:, -1] for points in (real, generated))
    precise, recalled, covered = np.zeros(len(generated), bool), np.zeros(len(real), bool), np.zeros(len(real), bool)
    for start in range(0, len(real), BLOCK):
        rows = slice(start, start + BLOCK)
        gaps = euclidean_distances(real[rows], generated)
        within = gaps <= real_radii[rows, None]
        precise |= within.any(axis=0)
        covered[rows] = within.any(axis=1)
        recalled[rows] = (gaps <= generated_radii).any(axis=1)
    return Coverage(*(float(hits.mean()) for hits in (precise, recalled, covered)))
