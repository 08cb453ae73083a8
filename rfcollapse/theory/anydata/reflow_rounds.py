"""Rounds of Reflow with a ridge, for any law in one dimension: the exact velocity, followed exactly. Ours.

The model of a round is an increasing map x1 = F(x0) of x0 ~ N(0, 1), given on scores z. A pair is seen at
y = (1−t)x0 + t x1 + √τ e, and the velocity v(t, y) is the mean of x1 − x0 there, over own pairs (z, F(z)) and real
ones; dy/dt = v from y = z leads to the next F(z). For Gaussian data and no real ones this is the balance law of
`rfcollapse.theory.flow`; real and own pairs of different laws are no Gaussian together.
"""

import math
from functools import partial
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from ... import check
from ...check import FractionScalar, PositiveScalar, Whole
from ...schemes import SCHEMES, mixed
from .quantiles import ordered

REACH = 7.0  # of the scores: what lies beyond is 2e-9 of a Laplace law's variance
STEPS = 40  # of Heun's method
WIDEST = 1.25  # gap of F over √τ: sums over nodes are integrals up to 2 exp(−2π²/WIDEST²)
BULK = 4.5  # |z| within which gaps count
KINDS = (None, "inverted", "anchored", "redrawn")  # of real noise: a map's, or independent


def exact(name, value):
    """A scheme whose pairs are maps or independent."""
    known = [scheme for scheme, row in SCHEMES.items() if row.own == "kept" and row.real in KINDS and not row.refreshed]
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r}")
    return value


@check.arguments
def reflow_variances(
    quantiles: Annotated[Real[ArrayLike, " quantiles"], ordered],
    rounds: Whole,
    ridge: PositiveScalar,
    *,
    scheme: Annotated[str, exact] = "reflow",
    real_fraction: FractionScalar = 0.0,
    nodes: Annotated[int, partial(check.integer, minimum=9)] = 257,
) -> Float[Array, "rounds_and_start"]:
    """Variances of what the models of rounds 0 … J generate, of data of any shape; round 0 generates the data.

    For Gaussian data under Reflow this is g² ← (g² + τ)/(1 + τ) of `theory.flow.scheme_trajectory`. Heavy tails keep
    less than that law says and bounded data more: with anchored pairs, τ = .2 and α = .3, a variance of 4 is 2.88 after
    five rounds by that law, 2.46 for Laplace's and 3.25 for the uniform one.

    Args:
        quantiles: the data in units of the noise, in order: sorted samples, or quantiles at even levels.
        rounds: J ≥ 0.
        ridge: τ > 0.
        scheme: "reflow", "ra", "anchored" or "fresh", a row of `rfcollapse.schemes.SCHEMES`.
        real_fraction: α in [0, 1].
        nodes: scores z.

    Raises:
        ValueError: too few nodes for this ridge: between modes F is steep, and its gaps must stay within 1.25 √τ.

    Example:
        >>> import numpy as np
        >>> from scipy import stats
        >>> from rfcollapse.theory import anydata
        >>> values = stats.laplace(scale=2**0.5).ppf((np.arange(20_000) + 0.5) / 20_000)
        >>> anydata.reflow_variances(values, 2, 0.2, scheme="anchored", real_fraction=0.3).round(2).tolist()
        [4.0, 3.23, 2.84]
    """
    levels = (np.arange(len(quantiles)) + 0.5) / len(quantiles)
    scores = jnp.linspace(-REACH, REACH, nodes)
    start = jnp.interp(ndtr(scores), levels, quantiles)
    gap = max(float(jnp.diff(start)[jnp.abs(scores[1:]) < BULK].max()), 2 * REACH / (nodes - 1))
    if gap > WIDEST * ridge**0.5:
        fewest = math.ceil(nodes * gap / (WIDEST * ridge**0.5))
        raise ValueError(f"nodes must be about {fewest} for these data and a ridge of {float(ridge):g}; got {nodes}")
    return _variances(scores, start, rounds, SCHEMES[scheme].real, ridge, real_fraction)


@partial(jax.jit, static_argnums=(2, 3))
def _variances(scores, start, rounds, real, ridge, fraction):
    mass = jnp.exp(-(scores**2) / 2)
    mass = mass / mass.sum()

    def variance(values):
        return mass @ values**2 - (mass @ values) ** 2

    def one_round(own, _):
        paired = {"inverted": jnp.interp(start, own, scores), "anchored": scores}  # the noise of real data

        def velocity(t, y):
            chance, moved = _seen(t, y, mass, scores, own, ridge)
            if real is not None:
                alone = real == "redrawn"
                sums = (_independent if alone else partial(_seen, x0=paired[real]))(t, y, mass, x1=start, ridge=ridge)
                chance, moved = (mixed(*both, fraction) for both in zip((chance, moved), sums))
            return moved / jnp.maximum(chance, 1e-300)

        def step(i, y):
            t, h = i / STEPS, 1 / STEPS
            first = velocity(t, y)
            return y + h / 2 * (first + velocity(t + h, y + h * first))

        following = jax.lax.fori_loop(0, STEPS, step, scores)
        return following, variance(following)

    later = jax.lax.scan(one_round, start, length=rounds)[1]
    return jnp.concatenate([variance(start)[None], later])


def _seen(t, y, mass, x0, x1, ridge):
    """The density of y, and that times the mean of x1 − x0 there, of pairs (x0, x1) of these masses; each × √2πτ."""
    away = y[:, None] - ((1 - t) * x0 + t * x1)[None]
    chance = jnp.exp(-(away**2) / (2 * ridge)) * mass[None]
    return chance.sum(axis=1), chance @ (x1 - x0)


def _independent(t, y, mass, x1, ridge):
    """The same where x0 is drawn anew: Gaussian given x1 and y."""
    spread = (1 - t) ** 2 + ridge
    away = y[:, None] - t * x1[None]
    chance = jnp.exp(-(away**2) / (2 * spread)) * (jnp.sqrt(ridge / spread) * mass)[None]
    return chance.sum(axis=1), (chance * (x1[None] - (1 - t) / spread * away)).sum(axis=1)
