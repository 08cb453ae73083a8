"""Ways in which self-training loses variance, by name: one round of each, direction by direction, and what follows.

A round is trained on a pool m = (1−α)λ + αλ0 of own data (λ) and real data (λ0) and multiplies nothing but the variance
of each principal direction. What no closed form gives (cycles, most trajectories) is computed from that one round.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from .. import check
from ..theory import dae as dae_law
from ..theory import flow as flow_law

NAMES = ("dae", "flow", "reflow", "refit", "rate")
DEAD = 1e-30  # of the real variance, taken as nothing
SCAN, BISECTIONS = 64, 60  # points between the real variance and what is dead; halvings after that
LEAST_FRACTION = 1e-9


class Mechanism(NamedTuple):
    """One way of self-training, its parameters fixed."""

    name: str
    """One of `NAMES`."""
    assumptions: str
    """What must hold for its law to hold, in a sentence or two."""
    end: str
    """What `lifetime` counts the rounds to."""
    one_round: Callable
    """(λ, α, λ0) → the variance of the next round."""
    lifetime: Callable
    """λ0 → rounds without real data until the end."""
    limit: Callable | None = None
    """(λ0, α) → the variance that is kept in the end, where there is a closed form."""


def dae(noise_std: float, resample_std: float | None = None) -> Mechanism:
    """λ' = w²(m + s²), w = m/(m + σ²): a linear denoising autoencoder that passes its pool on (`theory.dae`).

    noise_std: σ > 0, resample_std: s ≥ 0, None is σ, both in the units of the data. ValueError outside these ranges.
    """
    check.positive("noise_std", noise_std)
    resample_std = noise_std if resample_std is None else float(check.nonnegative("resample_std", resample_std))

    def one_round(variance, fraction, real):
        law = {"resample_std": resample_std, "real_fraction": fraction, "real_variance": real}
        return dae_law.next_variance(variance, noise_std, **law)

    return Mechanism(
        "dae",
        f"a linear denoising autoencoder, fitted to its optimum on many samples with noise σ = {noise_std:g}; each "
        f"round passes its training pool through it with noise s = {resample_std:g} (both in units of the data)",
        "the noise outweighs the direction (λ ≤ σ²)",
        one_round,
        lambda real: dae_law.lifetime(real, noise_std, resample_std=resample_std),
        lambda real, fraction: dae_law.retained_variance(real, noise_std, fraction, resample_std=resample_std),
    )


def flow(steps: int) -> Mechanism:
    """λ' = g_N(m)²: a rectified flow trained on its own samples and sampled with N Euler steps (`theory.flow`).

    steps: N ≥ 2 uniform steps, else ValueError.
    """
    check.integer("steps", steps, 2)

    def one_round(variance, fraction, real):
        pool = (1 - fraction) * variance + fraction * real
        return flow_law.self_consuming_trajectory(pool, steps, 1)[1]

    return Mechanism(
        "flow",
        f"a rectified flow from N(0, 1), trained to its optimum on pairs of fresh noise and its own samples, sampled "
        f"with {steps} uniform Euler steps; Gaussian directions, data in units of the flow's noise",
        "its variance reaches zero, by the leading law in the number of steps",
        one_round,
        lambda real: flow_law.self_consuming_lifetime(real, float(steps)),
    )


def reflow(ridge: float, scheme: str = "fresh") -> Mechanism:
    """λ' = (Q1 + τ)/(Q0 + τ): Reflow fitted with ridge τ to the pairs of a scheme (`theory.flow`).

    ridge: τ > 0, the strength of weight decay against data of variance 1. scheme: "reflow", "ra", "anchored" or
    "fresh". ValueError for others.
    """
    ridge = float(check.positive("ridge", ridge))
    check.one_of("scheme", scheme, ("reflow", "ra", "anchored", "fresh"))

    def one_round(variance, fraction, real):
        law = {"ridge": ridge, "real_fraction": fraction, "anchor_variance": real, "initial_variance": variance}
        return flow_law.scheme_trajectory(scheme, real, 1, **law)[1]

    def limit(real, fraction):
        law = {"ridge": ridge, "real_fraction": fraction, "anchor_variance": real}
        return flow_law.scheme_limit(scheme, real, **law)

    return Mechanism(
        "reflow",
        f"Reflow of a linear velocity model with ridge {ridge:g}, real pairs by the scheme {scheme!r}; variances drift "
        "towards the noise's, 1, from above and from below; data in units of that noise",
        "nine tenths of its distance from the noise's variance are gone",
        one_round,
        lambda real: jnp.full_like(real, np.log(10) / np.log1p(ridge)),
        limit,
    )


def refit(samples: int) -> Mechanism:
    """λ' = m(1 − δ): a Gaussian refitted by maximum likelihood to n samples, αn of them real and new each round. Ours.

    The fitted mean is estimated, too: δ = 1/n without real data; with them δ = 1/(n(2−α)), since the fitted mean then
    wanders about the real one, by m/(nα(2−α)) in variance, and the mixture's spread takes that in. That is the law of
    the mean over runs, exact in the end; on its way there the wander is still smaller.

    samples: n ≥ 2, else ValueError.
    """
    samples = check.integer("samples", samples, 2)

    def one_round(variance, fraction, real):
        loss = jnp.where(fraction > 0, 1 / (2 - fraction), 1.0) / samples
        return ((1 - fraction) * variance + fraction * real) * (1 - loss)

    def limit(real, fraction):
        kept = 1 - 1 / (samples * (2 - fraction))
        return jnp.where(fraction > 0, kept * fraction * real / (1 - (1 - fraction) * kept), 0.0 * real)

    return Mechanism(
        "refit",
        f"a Gaussian refitted by maximum likelihood to {samples} samples a round, real ones among them new each time; "
        "variances are means over runs, single runs scatter around them and die sooner",
        "a tenth of the mean variance is left",
        one_round,
        lambda real: jnp.full_like(real, -np.log(10) / np.log1p(-1 / samples)),
        limit,
    )


def rate(log_decay: float) -> Mechanism:
    """λ' = e^(−r) m: nothing is known but the log-variance lost in a round.

    log_decay: r > 0, else ValueError.
    """
    log_decay = float(check.positive("rate", log_decay))

    return Mechanism(
        "rate",
        f"every round multiplies every variance by exp(-{log_decay:g}), at whatever level. A rate belongs to the level "
        "it was measured at: where it grows as the variance falls, this promises too much; measure again near the "
        "level to be kept",
        "a tenth of its variance is left",
        lambda variance, fraction, real: jnp.exp(-log_decay) * ((1 - fraction) * variance + fraction * real),
        lambda real: jnp.full_like(real, np.log(10) / log_decay),
        lambda real, fraction: real * flow_law.retention_rule(log_decay, fraction),
    )


def share(variance: Real[ArrayLike, "*#shape"], real: Real[ArrayLike, "*#shape"]) -> Float[Array, "*shape"]:
    """min(λ/λ0, λ0/λ): the part of a variance that is kept; one that has grown has lost as much as its inverse.

    variance: λ ≥ 0 (∞ allowed). real: λ0 > 0.
    """
    ratio = jnp.asarray(variance) / jnp.asarray(real)
    return jnp.minimum(ratio, 1 / jnp.maximum(ratio, 1.0))


def total_share(variance: Real[ArrayLike, "*#batch d"], real: Real[ArrayLike, "*#batch d"]) -> Float[Array, "*batch"]:
    """Σ λ0 share / Σ λ0 over the last axis: where nothing grows, the part of the total variance that is kept."""
    real = jnp.asarray(real)
    return (real * share(variance, real)).sum(axis=-1) / real.sum(axis=-1)


def trajectory(
    mechanism: Mechanism, real: Real[ArrayLike, "*shape"], fractions: Real[ArrayLike, " rounds"]
) -> Float[Array, "rounds_and_start *shape"]:
    """λ_0 … λ_J from λ_0 = λ0, with the fraction α_j of real data in round j = 0 … J − 1.

    real: λ0 > 0. fractions: any J numbers in [0, 1]; α_0 matters not, all data being real then. ValueError otherwise.
    """
    return _trajectory(mechanism, check.positive("real", real), check.fraction("fractions", fractions))


@functools.partial(jax.jit, static_argnums=0)
def _trajectory(mechanism, real, fractions):
    def one_round(variance, fraction):
        variance = mechanism.one_round(variance, fraction, real)
        return variance, variance

    return jnp.concatenate([real[None], jax.lax.scan(one_round, real, fractions)[1]])


def retained(
    mechanism: Mechanism, real: Real[ArrayLike, "*#shape"], fraction: Real[ArrayLike, "*#shape"], *, every: int = 1
) -> Float[Array, "*shape"]:
    """λ*, the variance kept for ever with a fraction α of real data in every K-th round: as it is just before that.

    By the mechanism's closed form for K = 1, if it has one; else the first fixed point of the K rounds that is met on
    the way from λ0, on a grid of 64 points over 30 decades, refined by bisection. Below 10⁻³⁰ of λ0 counts as dead.

    real: λ0 > 0. fraction: α in [0, 1]. every: K ≥ 1. ValueError outside these ranges.
    """
    real, fraction = check.positive("real", real), check.fraction("fraction", fraction)
    check.broadcastable(real=real, fraction=fraction)
    real, fraction = jnp.broadcast_arrays(real, fraction)
    if check.integer("every", every, 1) == 1 and mechanism.limit is not None:
        return mechanism.limit(real, fraction)
    return _settled(mechanism, every, real, fraction)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _settled(mechanism, every, real, fraction):
    def cycle(variance):
        variance = mechanism.one_round(variance, fraction, real)
        alone = lambda _, variance: mechanism.one_round(variance, jnp.zeros_like(fraction), real)  # noqa: E731
        return jax.lax.fori_loop(1, every, alone, variance)

    falls = cycle(real) <= real

    def passed(variance):
        return jnp.where(falls, cycle(variance) >= variance, cycle(variance) <= variance)

    far = jnp.where(falls, jnp.maximum(cycle(DEAD * real), DEAD * real), real / DEAD)

    def look(i, bracket):
        near, end, found = bracket
        point = jnp.where(i == SCAN, far, real * (far / real) ** (i / SCAN))
        hit = passed(point) & ~found
        return jnp.where(found | hit, near, point), jnp.where(hit, point, end), found | hit

    near, end, _ = jax.lax.fori_loop(1, SCAN + 1, look, (real, far, jnp.zeros_like(falls)))

    def halve(_, bracket):
        near, end = bracket
        middle = jnp.sqrt(near) * jnp.sqrt(end)
        beyond = passed(middle)
        return jnp.where(beyond, near, middle), jnp.where(beyond, middle, end)

    return jax.lax.fori_loop(0, BISECTIONS, halve, (near, end))[1]


def required_fraction(
    mechanism: Mechanism,
    real: Real[ArrayLike, "*batch d"],
    retention: Real[ArrayLike, ""],
    *,
    every: int = 1,
    total: bool = True,
) -> Float[Array, "..."]:
    """min {α : share kept ≥ R}, for the total of the spectrum or for each direction on its own, by bisection in ln α.

    Taken to grow with α. ∞ where even α = 1 does not do, as a model may lose more than 1 − R in its one round; 0 where
    nothing is needed, and no answer between 0 and 10⁻⁹.

    real: λ0 > 0, (…, d). retention: R in [0, 1]. every: K ≥ 1, real data in every K-th round only. total: over the last
    axis. ValueError outside these ranges.
    """
    real, retention = check.positive("real", real), check.fraction("retention", retention)
    return _required(mechanism, check.integer("every", every, 1), total, real, retention)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _required(mechanism, every, total, real, retention):
    def holds(fraction):
        kept = retained(mechanism, real, fraction[..., None] if total else fraction, every=every)
        return (total_share if total else share)(kept, real) >= retention - 1e-12

    def halve(_, bracket):
        low, high = bracket
        middle = (low + high) / 2
        enough = holds(jnp.exp(middle))
        return jnp.where(enough, low, middle), jnp.where(enough, middle, high)

    shape = real.shape[:-1] if total else real.shape
    start = jnp.full(shape, np.log(LEAST_FRACTION)), jnp.zeros(shape)
    _, high = jax.lax.fori_loop(0, BISECTIONS, halve, start)
    needed = jnp.where(holds(jnp.ones(shape)), jnp.exp(high), jnp.inf)
    return jnp.where(holds(jnp.zeros(shape)), 0.0, needed)
