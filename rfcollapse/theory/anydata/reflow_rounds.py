"""Rounds of Reflow with a ridge τ, for any law in one dimension: quantiles of blurred pools. Ours.

Pairs are seen at y = (1−t)x0 + t x1 + √τ e, and the mean v of x1 − x0 there carries the law of y at t = 0 on to that at
t = 1. In one dimension it keeps order, so that the next model is F(z) = Q(P(z)), P the distribution function of
x0 + √τ e and Q the quantile function of x1 + √τ e, own and real pairs together. For Gaussians these have the standard
deviations √(Q0 + τ) and √(Q1 + τ): the balance law of `rfcollapse.theory.flow`. Which noise belongs to which sample
matters only for what noise the real pairs have.
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
WIDEST = 1.25  # gap of F over √τ: sums over nodes are integrals up to 2 exp(−2π²/WIDEST²)
BULK = 4.5  # |z| within which gaps count
TINY = 1e-300
HALVINGS = 24  # and one step of Newton's method
KINDS = (None, "inverted", "anchored", "redrawn")  # of real noise: N(0, 1), but for "inverted"


def exact(name, value):
    """A scheme whose real noise is N(0, 1), or inverted."""
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
    five rounds by that law, 2.46 for Laplace's and 3.25 for the uniform one. To first order in τ a round of Reflow
    loses τ(½ E (x0² − 1)x1² − 1) of E x². Anchored and fresh pairs are one law here.

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
    mass, share, width = mass / mass.sum(), fraction if real else 0.0, jnp.sqrt(ridge)

    def below(y, values):
        """P(value + √τ e < y)."""
        return ndtr((y[:, None] - values[None]) / width) @ mass

    def one_round(own, _):
        level = ndtr(scores / jnp.sqrt(1 + ridge))
        if real == "inverted":
            level = mixed(level, below(scores, jnp.interp(start, own, scores)), share)

        def pooled(y):
            return mixed(below(y, own), below(y, start), share)

        def halve(_, ends):
            middle = (ends[0] + ends[1]) / 2
            early = pooled(middle) < level
            return jnp.where(early, middle, ends[0]), jnp.where(early, ends[1], middle)

        ends = jnp.minimum(own[0], start[0]), jnp.maximum(own[-1], start[-1])
        ends = (jnp.full_like(scores, end + side * 2 * REACH * width) for end, side in zip(ends, (-1, 1)))
        near = sum(jax.lax.fori_loop(0, HALVINGS, halve, tuple(ends))) / 2
        chance, density = jax.jvp(pooled, (near,), (jnp.ones_like(near),))
        following = near + (level - chance) / jnp.maximum(density, TINY)
        return following, variance(following)

    def variance(values):
        return mass @ values**2 - (mass @ values) ** 2

    return jnp.concatenate([variance(start)[None], jax.lax.scan(one_round, start, length=rounds)[1]])
