"""How far apart two sets of samples, or two Gaussians, are: moments and Wasserstein distances.

W2 is the 2-Wasserstein distance, in the units of the samples; what is called Fréchet distance in the image literature
is a *squared* W2, between fitted Gaussians. Samples are rows; float64 throughout.
"""

from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray, Real
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from .. import check


class Moments(NamedTuple):
    """First and second moments of samples, all ÷ n."""

    count: int
    """n, the number of samples."""
    mean: Float[Array, " d"]
    """x̄, the mean."""
    covariance: Float[Array, "d d"]
    """(1/n) Σ (x − x̄)(x − x̄)ᵀ, centred."""

    @property
    def second_moment(self) -> Float[Array, "d d"]:
        """(1/n) Σ x xᵀ, not centred."""
        return self.covariance + self.mean[:, None] * self.mean[None, :]


def second_moment(samples: Real[ArrayLike, "n d"]) -> Float[Array, "d d"]:
    """(1/n) Σ x xᵀ over the rows x, not centred. samples: n ≥ 1 finite rows, else ValueError."""
    samples = check.samples("samples", samples)
    return samples.T @ samples / samples.shape[0]


def moments(chunks: Iterable[Real[ArrayLike, "_ d"]]) -> Moments:
    """n, x̄ and (1/n) Σ (x − x̄)(x − x̄)ᵀ of all rows of all chunks, one chunk in memory at a time.

    chunks: arrays of one width d, e.g. `data.sample_chunks(path)`, or `[samples]`. The centred sums of two parts are
    merged as by Chan, Golub and LeVeque (1983), so that a mean far from 0 costs no digits. Raises ValueError where
    there is no chunk, or one of another width.
    """
    total = None
    for chunk in chunks:
        chunk = check.samples("chunks", chunk)
        part = Moments(len(chunk), *_mean_and_covariance(chunk))
        if total is not None and part.mean.shape != total.mean.shape:
            raise ValueError(f"chunks must all have {len(total.mean)} columns, as the first; got {len(part.mean)}")
        total = part if total is None else _merged(total, part)
    if total is None:
        raise ValueError("chunks must hold at least one array; got none")
    return total


@jax.jit
def _mean_and_covariance(samples):
    mean = samples.mean(axis=0)
    centred = samples - mean[None]
    return mean, centred.T @ centred / len(samples)


def _merged(one, two):
    weight = two.count / (one.count + two.count)
    shift = two.mean - one.mean
    between = weight * (1 - weight) * shift[:, None] * shift[None, :]
    covariance = (1 - weight) * one.covariance + weight * two.covariance + between
    return Moments(one.count + two.count, one.mean + weight * shift, covariance)


def gaussian_w2(
    covariance: Real[ArrayLike, "d d"],
    other_covariance: Real[ArrayLike, "d d"],
    *,
    mean: Real[ArrayLike, " d"] | None = None,
    other_mean: Real[ArrayLike, " d"] | None = None,
) -> Float[Array, ""]:
    """W2(N(μ, Σ), N(ν, Τ)) = √(|μ − ν|² + tr Σ + tr Τ − 2 tr (Σ^½ Τ Σ^½)^½) (Bures; Dowson and Landau 1982).

    covariance, other_covariance: Σ and Τ, symmetric positive semi-definite, singular ones too. mean, other_mean: μ and
    ν, 0 where not given. Raises ValueError for other matrices or shapes that differ.

    Computed as min over orthogonal U of |Σ^½ − Τ^½ U| (Procrustes), with roots by eigenvalues: no cancellation where
    the two Gaussians are nearly alike. Rounding of relative size ε in a null eigenvalue of Σ enters W2 as √ε.
    """
    pair = check.covariance("covariance", covariance), check.covariance("other_covariance", other_covariance)
    if pair[0].shape != pair[1].shape:
        raise ValueError(
            f"covariance and other_covariance must have one shape; got {pair[0].shape} and {pair[1].shape}"
        )
    means = [
        jnp.zeros(len(pair[0])) if value is None else check.real(name, value)
        for name, value in (("mean", mean), ("other_mean", other_mean))
    ]
    for name, value in zip(("mean", "other_mean"), means):
        if value.shape != pair[0].shape[:1]:
            raise ValueError(f"{name} must have shape {pair[0].shape[:1]}; got {value.shape}")
    return _gaussian_w2(jnp.stack(pair), means[0] - means[1])


@jax.jit
def _gaussian_w2(covariances, shift):
    eigenvalues, basis = jnp.linalg.eigh(covariances)  # both in one call
    roots = jnp.sqrt(jnp.maximum(eigenvalues, 0))[:, :, None] * jnp.swapaxes(basis, 1, 2)  # FᵀF = Σ
    return jnp.sqrt(jnp.sum(shift**2) + _procrustes(roots[0], roots[1]))


def frechet_distance(samples: Real[ArrayLike, "n d"], other: Real[ArrayLike, "m d"]) -> Float[Array, ""]:
    """W2² of the Gaussians with the means and covariances (÷ n, ÷ m) of two sets of samples (Heusel et al. 2017, FID).

    samples, other: n, m ≥ 1 rows; in pixels, principal components or the features of a network, whichever is wanted.
    Its unit is theirs, squared. Biased upwards at finite n and m: compare it with the distance between two real sets of
    these sizes. Raises ValueError for tables of other shapes or widths.

    The roots of the covariances come from QR factors of the centred samples, so that directions without variance are
    exact to rounding: ~1e-15 of the total variance, n < d included.
    """
    return _frechet_distance(*_pair(samples, other))


@jax.jit
def _frechet_distance(samples, other):
    means = samples.mean(axis=0), other.mean(axis=0)
    roots = [
        jnp.linalg.qr((rows - mean[None]) / jnp.sqrt(float(len(rows))), mode="r")
        for rows, mean in zip((samples, other), means)
    ]
    rows = max(len(root) for root in roots)
    roots = [jnp.pad(root, ((0, rows - len(root)), (0, 0))) for root in roots]
    return jnp.sum((means[0] - means[1]) ** 2) + _procrustes(*roots)


def _procrustes(root, other):
    """min over orthogonal U of |F − U G|², F and G factors of the covariances FᵀF and GᵀG: Bures' distance squared."""
    left, _, right = jnp.linalg.svd(root @ other.T)
    return jnp.sum((root - left @ (right @ other)) ** 2)


def sliced_w2(
    key: PRNGKeyArray, samples: Real[ArrayLike, "n d"], other: Real[ArrayLike, "m d"], *, projections: int = 256
) -> Float[Array, ""]:
    """√(mean over directions θ of W2(θᵀx, θᵀy)²), θ uniform on the unit sphere (Bonneel et al. 2015).

    key: draws the directions; another key shows the error they leave, which falls as 1/√projections. samples, other:
    n, m ≥ 1 rows; in one dimension W2 is exact, ∫ (F⁻¹ − G⁻¹)² du, also for n ≠ m. projections: number of directions,
    ≥ 1. Raises ValueError for other shapes.
    """
    samples, other = _pair(samples, other)
    directions = jax.random.normal(
        key, (check.integer("projections", projections, 1), samples.shape[1]), dtype=jnp.float64
    )
    return _sliced_w2(samples, other, directions)


@jax.jit
def _sliced_w2(samples, other, directions):
    n, m = len(samples), len(other)
    # Both quantile functions are constant between the levels i/n and j/m; in units of 1/(nm) the levels are whole.
    levels = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)
    weight = jnp.asarray(np.diff(levels) / (n * m))
    at_n, at_m = levels[:-1] // m, levels[:-1] // n

    def squared_w2(direction):
        direction = direction / jnp.linalg.norm(direction)
        gap = jnp.sort(samples @ direction)[at_n] - jnp.sort(other @ direction)[at_m]
        return jnp.sum(weight * gap**2)

    return jnp.sqrt(jnp.mean(jax.lax.map(squared_w2, directions)))


def exact_w2(samples: Real[ArrayLike, "n d"], other: Real[ArrayLike, "n d"]) -> Float[Array, ""]:
    """√(min over permutations π of (1/n) Σ |x_i − y_π(i)|²), by solving the assignment problem.

    samples, other: n ≥ 1 rows each. O(n³) time and 8 n² bytes: seconds at n = 2,000. Not for use inside jit. Raises
    ValueError for tables of different shapes.
    """
    samples, other = _pair(samples, other)
    if samples.shape != other.shape:
        raise ValueError(f"samples and other must have as many rows; got {len(samples)} and {len(other)}")
    cost = cdist(np.asarray(samples), np.asarray(other), "sqeuclidean")
    return jnp.sqrt(jnp.asarray(cost[linear_sum_assignment(cost)].mean()))


def _pair(samples, other):
    samples, other = check.samples("samples", samples), check.samples("other", other)
    if samples.shape[1] != other.shape[1]:
        raise ValueError(f"samples and other must have as many columns; got {samples.shape[1]} and {other.shape[1]}")
    return samples, other
