"""Rounds of a flow trained on its own samples and sampled with N Euler steps, for any law in one dimension. Ours.

x0 ~ N(0, 1), v(x, t) = E[x1 − x0 | x_t = x] of the pool, exact. A step x + v/N has the slope 1 − (1 − D')/(N − i), with
D' ≥ 0 that of the conditional mean of x1: it increases, and so what N steps make of the noise's quantiles are those of
the next round. A law is carried as a mixture, of which each round keeps mean and variance exactly: a standard normal z
is ζ + δε, ζ ~ N(0, 1 − δ²), on an even grid of ζ, and what an increasing map makes of z given ζ counts as normal.

Data that are Gaussian obey `theory.flow` only where the pool is, at α = 0 or in the first round: own and real data of
different variances are no Gaussian together, and the exact velocity loses more of them than a linear one.
"""

from functools import lru_cache, partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from ... import check
from ...check import Count, Fraction, Whole
from .quantiles import Masses

REACH = 6.0  # of ζ and z: the rest of a Laplace law is 2e-6 of its variance
NODES = 49  # an error of .1 % of what a round loses of a Laplace law, a tenth of that with 97; see `components`, too
WIDTH = 0.8  # δ over the grid's spacing: sums over ζ are integrals up to 2 exp(−2π² WIDTH²)
STILL = 1e-6  # relative change of the variance in a round, with which it has settled
MOST_ROUNDS = 5000
TINY = 1e-300


class Components(NamedTuple):
    """A law as normal components of fixed masses, in order; any leading axes are laws of their own."""

    mean: Float[ArrayLike, "*batch nodes"]
    """Of each component."""
    variance: Float[ArrayLike, "*batch nodes"]
    """Of each component, ≥ 0."""

    @property
    def square(self) -> Float[ArrayLike, "*batch"]:
        """E x² of the law."""
        return (self.variance + self.mean**2) @ _grid(self.mean.shape[-1])[0]

    @property
    def total(self) -> Float[ArrayLike, "*batch"]:
        """The variance of the law, about its own mean."""
        return self.square - (self.mean @ _grid(self.mean.shape[-1])[0]) ** 2


def ordered(name, value):
    """Finite numbers that do not fall along the first axis, as float64."""
    array = check.finite(name, value)
    if not array.ndim or not len(array) or np.any(np.diff(array, axis=0) < 0):
        raise ValueError(f"{name} must be in order along the first axis, see np.sort; got shape {array.shape}")
    return array


@check.arguments
def components(
    quantiles: Annotated[Real[ArrayLike, "n *batch"], ordered],
    mass: Annotated[Real[ArrayLike, " n"], Masses.__metadata__[0]] | None = None,
    *,
    nodes: Annotated[int, partial(check.integer, minimum=9)] = NODES,
) -> Components:
    """The law of some values, smoothed: component k is what has the normal scores ζ_k + δε, with its mean and variance.

    Value i has the scores from Φ⁻¹(mass below it) to Φ⁻¹(mass up to it). Mean and variance of the law stay as they are.
    Between modes the map is steep, and too smooth here: of ±1.91 with a standard deviation of .6 a round of ten steps
    then loses .628 of 4 with 49 nodes, .584 with 385, and .582 in truth (`euler_loss`), always too much.

    Args:
        quantiles: values in order, as samples sorted along axis 0, or points; further axes are laws of their own.
        mass: the probability of each, adding up to 1; None: all alike.
        nodes: how many components; their scores lie 12/(nodes − 1) apart, δ is .8 of that.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import anydata
        >>> law = anydata.components(np.sort([0.0, 1.0, 5.0, 2.0]))
        >>> law.mean.shape, round(float(law.total), 9)  # that of the four numbers
        ((49,), 3.5)
    """
    mass = jnp.full(len(quantiles), 1 / len(quantiles)) if mass is None else mass
    found = _smoothed(quantiles.reshape(len(mass), -1), mass, nodes)
    return Components(*(x.T.reshape(*quantiles.shape[1:], nodes) for x in found))


@check.arguments
def flow_round(
    own: Components, steps: Count, *, real_fraction: Fraction = 0.0, real: Components | None = None
) -> Components:
    """The law that N uniform Euler steps of the exact velocity generate, fitted to (1−α) own and α real data.

    Args:
        own: of the last round.
        steps: N ≥ 1.
        real_fraction: α in [0, 1], one, or one for each law.
        real: as many laws as own; needed when α > 0.

    Example:
        >>> import numpy as np
        >>> from scipy import stats
        >>> from rfcollapse.theory import anydata, flow
        >>> law = anydata.components(2 * stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000))
        >>> round(float(anydata.flow_round(law, 10).total), 3), round(float(flow.euler_gain(4.0, 10)) ** 2, 3)
        (2.969, 2.969)
    """
    check.real_given(real_fraction, real=real)
    return _each(_advanced, steps, real_fraction, own, own if real is None else real)


@check.arguments
def flow_variances(
    real: Components, steps: Count, rounds: Whole, *, real_fraction: Fraction = 0.0
) -> Float[Array, "rounds_and_start *batch"]:
    """Variances of rounds 0 … J, from the real data, with α of them in every pool: `flow_round` again and again.

    Args:
        real: round 0.
        steps: N ≥ 1.
        rounds: J ≥ 0.
        real_fraction: α in [0, 1], one, or one for each law.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import anydata
        >>> points = np.linspace(-40, 40, 20_001)
        >>> law = anydata.components(points, np.exp(-abs(points)) / np.exp(-abs(points)).sum())  # Laplace, 2
        >>> anydata.flow_variances(law, 10, 2).round(2).tolist()
        [2.0, 1.41, 1.02]
    """

    later = _each(_path, (steps, rounds), real_fraction, real)
    return jnp.concatenate([real.total[None], jnp.moveaxis(later, -1, 0)])


@check.arguments
def flow_settled(
    real: Components, steps: Count, real_fraction: Fraction, *, start: Components | None = None
) -> Components:
    """The law at which rounds with a fraction α of real data settle; its `total` is the variance that is kept.

    Round by round, until one changes the variance by less than 10⁻⁶ of it; two rounds are mixed, as by Anderson.

    Args:
        real: the real data's law.
        steps: N ≥ 1.
        real_fraction: α in [0, 1], one, or one for each law.
        start: the first own law; None: the real one.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import anydata
        >>> points = np.linspace(-40, 40, 20_001)
        >>> law = anydata.components(points, np.exp(-abs(points)) / np.exp(-abs(points)).sum())  # Laplace, 2
        >>> round(float(anydata.flow_settled(law, 10, 0.5).total / law.total), 2)  # .62 by the Gaussian law
        0.55
    """

    return _each(_settle, steps, real_fraction, real, real if start is None else start)


@lru_cache
def _grid(nodes):
    """Masses of the components, and of the scores z in each of them, (component, z); the scores, and δ."""
    scores = np.linspace(-REACH, REACH, nodes)
    width = WIDTH * (scores[1] - scores[0])
    weight = np.exp(-(scores**2) / 2 / (1 - width**2))
    inside = np.exp(-((scores - scores[:, None]) ** 2) / 2 / width**2)
    return weight / weight.sum(), inside / inside.sum(axis=1, keepdims=True), scores, width


@partial(jax.jit, static_argnums=2)
def _smoothed(values, mass, nodes):
    """Means and variances of the components, (nodes, laws)."""
    weight, _, scores, width = _grid(nodes)
    below, above = jnp.cumsum(mass), jnp.cumsum(mass[::-1])[::-1]
    inner = jnp.where(below[:-1] < 0.5, ndtri(below[:-1]), -ndtri(above[1:]))
    edges = jnp.concatenate([jnp.array([-jnp.inf]), inner, jnp.array([jnp.inf])])
    chance = jnp.diff(ndtr((edges[None] - scores[:, None]) / width), axis=1)
    centre = mass @ values
    away = values - centre[None]
    mean = chance @ away
    variance = jnp.maximum(chance @ away**2 - mean**2, 0.0)
    # The sums over ζ keep the moments to 1e-5, less where tails are heavy; this keeps them as they are.
    mean = mean - (weight @ mean)[None]
    whole = weight @ (variance + mean**2)
    ratio = jnp.sqrt(mass @ away**2 / jnp.where(whole > 0, whole, 1.0))
    return centre[None] + ratio[None] * mean, ratio[None] ** 2 * variance


@partial(jax.jit, static_argnums=(0, 1))
def _each(function, fixed, fraction, *laws):
    """function(fixed, α, law, …) of one law at a time, over all of them: what it needs stays in the cache."""
    shape = laws[0].mean.shape[:-1]
    fraction = jnp.broadcast_to(fraction, shape).reshape(-1)
    flat = jax.tree.map(lambda x: x.reshape(-1, x.shape[-1]), laws)
    found = jax.lax.map(lambda one: function(fixed, *one), (fraction, *flat))
    return jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), found)


def _path(fixed, fraction, real):
    """The variances of rounds 1 … J."""
    steps, rounds = fixed

    def one_round(own, _):
        following = _advanced(steps, fraction, own, real)
        return following, following.total

    return jax.lax.scan(one_round, real, length=rounds)[1]


def _settle(steps, fraction, real, own):
    """Rounds, each begun where the line through the last two changes points to no change."""

    def advance(state):
        own, last, last_change, _, j = state
        following = _advanced(steps, fraction, own, real)
        here = following.mean - own.mean
        turn = here - last_change
        part = here @ turn / jnp.maximum(turn @ turn, TINY)
        mixed = jax.tree.map(lambda x, before: x - part * (x - before), following, last)
        mixed = mixed._replace(variance=jnp.maximum(mixed.variance, 0.0))
        return mixed, following, here, jnp.abs(following.total - own.total) > STILL * own.total, j + 1

    def moving(state):
        return state[3] & (state[4] < MOST_ROUNDS)

    first = _advanced(steps, fraction, own, real)
    return jax.lax.while_loop(moving, advance, (first, first, first.mean - own.mean, True, 1))[1]


def _advanced(steps, fraction, own, real):
    """One round of one law."""
    weight, inside, scores, _ = _grid(len(own.mean))
    mean, variance = (jnp.concatenate(both) for both in zip(own, real))
    log_mass = jnp.concatenate([jnp.log(weight) + jnp.log1p(-fraction), jnp.log(weight) + jnp.log(fraction)])

    def step(i, x):
        t = i / steps
        seen = t**2 * variance + (1 - t) ** 2
        gain = t * variance / seen
        off = x[:, None] - (t * mean)[None]
        log_chance = (log_mass - jnp.log(seen) / 2)[None] - off**2 / (2 * seen)[None]
        chance = jnp.exp(log_chance - log_chance.max(axis=1, keepdims=True))
        total, slope, level = (chance @ jnp.stack([jnp.ones_like(gain), gain, mean * (1 - t * gain)], axis=1)).T
        return x + ((level + slope * x) / total - x) / (steps - i)

    x = jax.lax.fori_loop(0, steps, step, jnp.asarray(scores))
    mean = inside @ x
    return Components(mean, jnp.maximum(inside @ x**2 - mean**2, 0.0))
