"""Moments of samples that come in chunks of rows, one chunk in memory at a time."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Real, Shaped

from .. import check
from ..check import ArrayLike


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


def within_and_between(
    rows: Real[ArrayLike, "n d"], groups: Shaped[ArrayLike, " n"], weights: Real[ArrayLike, " n"] | None = None
) -> tuple[float, float]:
    """Total variance within groups, Σ p_g Var(x | g), and between them, Σ p_g |x̄_g − x̄|²; they add up to the whole.

    Args:
        rows: finite samples, or the values that a law takes.
        groups: of each row, by any names.
        weights: ≥ 0, of each row; None: all alike.

    Example:
        >>> from rfcollapse.measure.moments import within_and_between
        >>> within_and_between([[-3.0], [-1.0], [2.0]], [0, 0, 1], [1, 1, 2])
        (0.5, 4.0)
    """
    rows, groups = check.table("rows", rows), np.asarray(groups)
    mass = np.ones(len(rows)) if weights is None else check.nonnegative("weights", weights)
    mass = mass / mass.sum()
    mean = mass @ rows
    parts = (groups == np.unique(groups[mass > 0])[:, None]) * mass  # (groups, n)
    share = parts.sum(axis=1)
    between = share @ ((parts @ rows / share[:, None] - mean) ** 2).sum(axis=1)
    return float(mass @ ((rows - mean) ** 2).sum(axis=1) - between), float(between)


def power_sums(
    chunks: Iterable[Real[ArrayLike, "_ d"]],
    centre: Float[np.ndarray, " d"],
    directions: Float[np.ndarray, "d k"],
    *,
    order: int = 2,
    groups: int = 1,
) -> PowerSums:
    """Σ (vᵢᵀ(x − c))^p over the rows of all chunks, in groups of every g-th row.

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
    row = 0
    for chunk in _tables(chunks, len(centre)):
        projected = (chunk - centre) @ directions
        for p in range(order):
            power = projected if p == 0 else power * projected
            along[p] += _by_group(power, row, groups)
        counts += _by_group(np.ones((len(chunk), 1)), row, groups)[:, 0]
        row += len(chunk)
    return PowerSums(counts, along)


def _by_group(values, row, groups):
    """Sums over every g-th row, the first of which is the row-th of all."""
    whole = len(values) // groups * groups
    sums = values[:whole].reshape(-1, groups, values.shape[1]).sum(axis=0)
    sums[: len(values) - whole] += values[whole:]
    return np.roll(sums, row % groups, axis=0)


def _tables(chunks, width=None) -> Iterator[np.ndarray]:
    for chunk in chunks:
        chunk = check.table("chunks", chunk, minimum=0)
        width = width or chunk.shape[1]
        if chunk.shape[1] != width:
            raise ValueError(f"chunks must all have {width} columns; got {chunk.shape[1]}")
        if len(chunk):
            yield chunk
