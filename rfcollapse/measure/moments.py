"""Moments of samples that come in chunks of rows, one chunk in memory at a time."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Real

from .. import check


class Moments(NamedTuple):
    """First and second moments of samples, all ÷ n."""

    count: int
    """n, the number of samples."""
    mean: Float[np.ndarray, " d"]
    """x̄, the mean."""
    covariance: Float[np.ndarray, "d d"]
    """(1/n) Σ (x − x̄)(x − x̄)ᵀ, centred."""


class PowerSums(NamedTuple):
    """Sums over samples, about a centre c, from which moments follow; an entry for each of g groups of samples."""

    counts: Float[np.ndarray, " g"]
    """Samples in each group."""
    along: Float[np.ndarray, "order g k"]
    """Σ (vᵢᵀ(x − c))^p, p = 1 … order, along k directions vᵢ."""
    shift: Float[np.ndarray, "g d"]
    """Σ (x − c)."""
    norm: Float[np.ndarray, "2 g"]
    """Σ |x − c|² and Σ |x − c|⁴."""


def moments(chunks: Iterable[Real[ArrayLike, "_ d"]]) -> Moments:
    """n, x̄ and (1/n) Σ (x − x̄)(x − x̄)ᵀ of all rows of all chunks.

    The centred sums of two parts are merged as by Chan, Golub and LeVeque (1983), so that a mean far from 0 costs no
    digits.

    Args:
        chunks: at least one finite array, all of one width d, e.g. `data.sample_chunks(path)`, or `[samples]`.

    Example:
        >>> from rfcollapse.measure.moments import moments
        >>> moments([[[1.0, 0.0], [3.0, 0.0]], [[2.0, 3.0]]]).mean
        array([2., 1.])
    """
    count, mean, covariance = 0, None, None
    for chunk in _tables(chunks):
        here = chunk.mean(axis=0)
        centred = chunk - here
        spread = centred.T @ centred / len(chunk)
        if count == 0:
            count, mean, covariance = len(chunk), here, spread
            continue
        weight = len(chunk) / (count + len(chunk))
        shift = here - mean
        count, mean = count + len(chunk), mean + weight * shift
        covariance = (1 - weight) * covariance + weight * spread + weight * (1 - weight) * np.outer(shift, shift)
    if count == 0:
        raise ValueError("chunks must hold at least one array; got none")
    return Moments(count, mean, covariance)


def power_sums(
    chunks: Iterable[Real[ArrayLike, "_ d"]],
    centre: Float[np.ndarray, " d"],
    directions: Float[np.ndarray, "d k"],
    *,
    order: int = 2,
    groups: int = 1,
) -> PowerSums:
    """Σ (vᵢᵀ(x − c))^p over the rows of all chunks, and Σ |x − c|², Σ |x − c|⁴, in groups of every g-th row.

    Args:
        chunks: finite arrays of width d.
        centre: c; close to the mean, for its distance costs digits.
        directions: v₁ … v_k, unit vectors.
        order: the highest power p.
        groups: g ≥ 1; row i belongs to group i mod g, so that an order in the rows does no harm.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.measure.moments import power_sums
        >>> power_sums([[[1.0], [2.0], [3.0]]], np.zeros(1), np.eye(1), groups=2).along[1]
        array([[10.],
               [ 4.]])
    """
    counts, along = np.zeros(groups), np.zeros((order, groups, directions.shape[1]))
    shift, norm = np.zeros((groups, len(centre))), np.zeros((2, groups))
    row = 0
    for chunk in _tables(chunks, len(centre)):
        centred = chunk - centre
        projected, squares = centred @ directions, np.einsum("ij,ij->i", centred, centred)
        for group in range(groups):
            rows = slice((group - row) % groups, None, groups)
            counts[group] += len(squares[rows])
            shift[group] += centred[rows].sum(axis=0)
            norm[:, group] += squares[rows].sum(), (squares[rows] ** 2).sum()
            power = projected[rows]
            for p in range(order):
                along[p, group] += power.sum(axis=0)
                power = power * projected[rows]
        row += len(chunk)
    return PowerSums(counts, along, shift, norm)


def _tables(chunks, width=None) -> Iterator[np.ndarray]:
    for chunk in chunks:
        chunk = check.table("chunks", chunk, minimum=0)
        width = width or chunk.shape[1]
        if chunk.shape[1] != width:
            raise ValueError(f"chunks must all have {width} columns; got {chunk.shape[1]}")
        if len(chunk):
            yield chunk
