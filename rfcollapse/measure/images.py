"""Generated images against real ones: what is far off, what is missing, and which principal directions have died."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Real

from .. import check
from ..check import ArrayLike
from .coverage import coverage
from .distances import frechet_distance

COMPONENTS = 32  # principal components that the Fréchet distance is taken in
NULL = 1e-9  # of the largest variance: below it a direction is blank in every image


class Reference(NamedTuple):
    """Real images, and the axes that others are measured along; from `reference`."""

    held: Float[np.ndarray, "m d"]
    """Real images that no model was trained on."""
    directions: Float[np.ndarray, "d k"]
    """Unit eigenvectors of the covariance of the training images, the largest variance first."""
    variances: Float[np.ndarray, " k"]
    """λ > 0 along them."""
    features: Callable | None
    """Rows to their features, such as `Classifier.features`; None: no Fréchet distance there."""


class Quality(NamedTuple):
    """Of one set of generated images."""

    frechet_pca: Float[np.ndarray, ""]
    """Fréchet distance to the held-out images in the first 32 principal components of the real ones."""
    frechet_features: Float[np.ndarray, ""]
    """The same in features; NaN where there are none."""
    precision: float
    """See `rfcollapse.measure.coverage`; in the same principal components."""
    recall: float
    """Likewise."""
    coverage: float
    """Likewise."""
    variance_ratio: Float[np.ndarray, " k"]
    """Variance along each real principal direction, over that of the training images: 1 is alive, 0 dead."""


def reference(
    train: Real[ArrayLike, "n d"], held: Real[ArrayLike, "m d"], features: Callable | None = None
) -> Reference:
    """The axes along which images are measured; directions below 10⁻⁹ of the largest variance are left out.

    Args:
        train: the real images that models are trained on, which give the axes.
        held: others.
        features: see `Reference`.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.measure import images
        >>> train = np.random.default_rng(0).normal(size=(500, 3)) * [2.0, 1.0, 0.0]
        >>> images.variance_ratio(images.reference(train, train), 0.5 * train).round(6).tolist()
        [0.25, 0.25]
    """
    train, held = check.table("train", train, 2), check.table("held", held, 2)
    if held.shape[1] != train.shape[1]:
        raise ValueError(f"held must have {train.shape[1]} columns, as train; got {held.shape[1]}")
    variances, directions = np.linalg.eigh(np.cov(train, rowvar=False, bias=True))
    alive = np.flatnonzero(variances > NULL * variances[-1])[::-1]
    return Reference(held, directions[:, alive], variances[alive], features)


def quality(reference: Reference, samples: Real[ArrayLike, "n d"]) -> Quality:
    """Distances, balls and variances of generated images, against the real ones.

    The distances are biased upwards at finite n and m, the balls depend on them too: compare with the `quality` of as
    many training images.

    Args:
        reference: from `reference`.
        samples: n ≥ 6 rows.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.measure import images
        >>> rng = np.random.default_rng(0)
        >>> real, held, half = rng.normal(size=(3, 200, 2)) * [[[1.0]], [[1.0]], [[0.5]]]
        >>> quality = images.quality(images.reference(real, held), half)
        >>> print(f"{quality.frechet_pca:.2f} {quality.precision:.2f} {quality.recall:.2f}")
        0.58 1.00 0.81
    """
    samples = check.table("samples", samples, 6)
    axes = reference.directions[:, :COMPONENTS]
    real, generated = reference.held @ axes, samples @ axes
    balls = coverage(real, generated)
    distance = np.array(np.nan)
    if reference.features is not None:
        distance = frechet_distance(reference.features(reference.held), reference.features(samples))
    ratio = variance_ratio(reference, samples)
    return Quality(frechet_distance(real, generated), distance, *balls, ratio)


def variance_ratio(reference: Reference, samples: Real[ArrayLike, "n d"]) -> Float[np.ndarray, " k"]:
    """vᵢᵀ cov(samples) vᵢ / λᵢ for every real principal direction vᵢ.

    Args:
        reference: from `reference`.
        samples: n ≥ 2 rows.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.measure import images
        >>> train = np.random.default_rng(0).normal(size=(500, 2))
        >>> images.variance_ratio(images.reference(train, train), 0.1 * train).round(6).tolist()
        [0.01, 0.01]
    """
    return (check.table("samples", samples, 2) @ reference.directions).var(axis=0) / reference.variances
