"""Refitting a Gaussian, or the shares of words, to its own samples, exact in law.

The Gaussian goes by sufficient statistics where there are any.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, UInt32

from .. import check
from ..check import Count, Nonnegative, NonnegativeScalar, Whole, choice
from ..schemes import REFIT_SCHEDULES, SCHEDULES


@check.arguments
def run(
    key: Key[Array, ""] | UInt32[Array, "2"],
    dimension: Count,
    *,
    samples: int,
    rounds: Whole,
    seeds: Count = 1,
    known_mean: bool = True,
    unbiased: bool = False,
    schedule: choice(REFIT_SCHEDULES) = "replace",
    sampling_bias: NonnegativeScalar = 1.0,
) -> Float[Array, "seeds rounds_and_one dimension"]:
    """ln L_ii of the fitted covariance C_j = L Lᵀ, L lower triangular, at rounds 0…J; C_0 = I.

    L_ii is the std of coordinate i given the earlier ones: in one dimension the std, in d the i-th direction of the
    Lyapunov spectrum, and Σ_i ln L_ii = ½ ln det C. One round is L ← L K with K triangular and independent of L, so
    that logs add, and no direction is lost to rounding however small it has become:

    - "replace": K Kᵀ = T Tᵀ/c, T the Bartlett factor of ν degrees of freedom: only the χ's on its diagonal matter;
    - "accumulate", from N = jn points to N + n: K Kᵀ = (c_N I + T Tᵀ + z zᵀ N/(N + n))/c_{N+n}, z ~ N(0, I) the offset
      of the new cohort's mean (no such term for a known mean), c_N the divisor at N points;
    - "subsample": n of the jn points without replacement. A subset is not a function of sufficient statistics, and a
      point may be drawn again in later rounds: the points themselves are kept, seeds·rounds·n·d numbers.

    What a round draws has b times the covariance of the fit: T and z are multiplied by √b.

    With fewer than d degrees of freedom the directions beyond them have ln L_ii = −∞ from round 1 on.

    Source: Bartlett's decomposition; the reductions are ours.

    Args:
        key: a JAX random key.
        dimension: d ≥ 1.
        samples: n ≥ 1 a round; ≥ 2 for an unbiased fit with estimated mean; for "subsample" ≥ d, or d + 1 with
            estimated mean.
        rounds: J ≥ 0.
        seeds: independent runs, ≥ 1.
        known_mean: fit about the known mean 0; otherwise about the fitted one, which then wanders.
        unbiased: divide by N − 1 rather than N (estimated mean only).
        schedule: "replace", "accumulate" or "subsample".
        sampling_bias: b ≥ 0.

    Example:
        >>> import jax
        >>> from rfcollapse.simulate import resampling
        >>> resampling.run(jax.random.key(0), 2, samples=10, rounds=5, seeds=3).shape
        (3, 6, 2)
    """
    smallest = 2 if unbiased and not known_mean else 1
    if schedule == "subsample":
        smallest = max(smallest, dimension if known_mean else dimension + 1)
    samples = check.integer("samples", samples, smallest)
    fitted = 0 if known_mean else 1  # degrees of freedom that the mean takes
    lost = fitted if unbiased else 0  # and those that the divisor leaves out: c_N = N − lost
    start, scale = jnp.zeros((seeds, 1, dimension)), jnp.sqrt(sampling_bias)
    if schedule == "subsample":
        logs = _subsample(key, dimension, samples, fitted, lost, rounds, seeds, scale)
        return jnp.concatenate([start, logs], axis=1)
    reduced = _replace if schedule == "replace" else _accumulate
    steps = reduced(key, dimension, float(samples), float(fitted), float(lost), rounds, seeds, scale)
    return jnp.concatenate([start, jnp.cumsum(steps, axis=1)], axis=1)


@check.arguments
@partial(jax.jit, static_argnames=("samples", "rounds", "seeds", "schedule"))
def words(
    key: Key[Array, ""] | UInt32[Array, "2"],
    shares: Nonnegative,
    *,
    samples: Count,
    rounds: Whole,
    seeds: Count = 1,
    schedule: choice(SCHEDULES) = "replace",
) -> Float[Array, "seeds rounds_and_one words"]:
    """Shares p_j of each word at rounds 0…J: n words are drawn from p_{j−1}, and p_j is counted.

    Counted in the last draw ("replace", the model of Wright and Fisher for n gene copies) or in all draws so far
    ("accumulate"). The law of 1 − Σp² is `theory.resampling.mean_variance`.

    Source: the process of Suresh, Thangaraj, Khandavally, arXiv 2412.17646, for discrete distributions.

    Args:
        key: a JAX random key.
        shares: p_0 of the words, (k,), up to a common factor.
        samples: n ≥ 1 a round.
        rounds: J ≥ 0.
        seeds: independent runs, ≥ 1.
        schedule: "replace" or "accumulate".

    Example:
        >>> import jax
        >>> from rfcollapse.simulate import resampling
        >>> resampling.words(jax.random.key(0), [5, 3, 2], samples=10, rounds=4, seeds=2).shape
        (2, 5, 3)
    """

    def one_round(shares, inputs):
        key, cohorts = inputs
        edges = jnp.cumsum(shares, axis=1)[:, None, :]
        places = edges[:, :, -1:] * jax.random.uniform(key, (seeds, samples, 1))
        counts = jnp.diff(jnp.sum(places < edges, axis=1), axis=1, prepend=0)
        shares = shares + (counts / samples - shares) / (cohorts if schedule == "accumulate" else 1.0)
        return shares, shares

    start = jnp.broadcast_to(shares / jnp.sum(shares), (seeds, shares.size))
    later = jax.lax.scan(one_round, start, (jax.random.split(key, rounds), jnp.arange(1.0, rounds + 1.0)))[1]
    return jnp.concatenate([start[:, None], later.swapaxes(0, 1)], axis=1)


# The number of samples and the fit are traced in the two reduced processes, so that a sweep compiles once.
@partial(jax.jit, static_argnums=(1, 5, 6))
def _replace(key, dimension, samples, fitted, lost, rounds, seeds, scale):
    return _log_chi(key, (seeds, rounds, dimension), samples - fitted) + jnp.log(scale) - 0.5 * jnp.log(samples - lost)


@partial(jax.jit, static_argnums=(1, 5, 6))
def _accumulate(key, dimension, samples, fitted, lost, rounds, seeds, scale):
    freedom = samples - fitted
    survives = jnp.arange(dimension, dtype=jnp.float64) < freedom
    below = jnp.tril(jnp.where(survives, jnp.ones((dimension, dimension)), 0.0), -1)

    def one_round(_, inputs):
        key, cohorts = inputs
        diagonal_key, below_key, mean_key = jax.random.split(key, 3)
        diagonal = jnp.exp(_log_chi(diagonal_key, (seeds, dimension), freedom))
        bartlett = jax.vmap(lambda x, chi: x * below + jnp.diag(chi))(
            jax.random.normal(below_key, (seeds, dimension, dimension)), diagonal
        )
        before = jnp.sqrt(jnp.where(cohorts > 0, cohorts * samples - lost, 0.0)) * jnp.eye(dimension)
        offset = jnp.sqrt(fitted * cohorts / (cohorts + 1)) * jax.random.normal(mean_key, (seeds, 1, dimension))
        rows = [jnp.broadcast_to(before, bartlett.shape), scale * bartlett.mT, scale * offset]
        upper = jnp.linalg.qr(jnp.concatenate(rows, axis=1), mode="r")
        log_step = jnp.log(jnp.abs(jnp.diagonal(upper, axis1=1, axis2=2)))
        log_step = log_step - 0.5 * jnp.log((cohorts + 1) * samples - lost)
        # QR leaves rounding where the first fit has no spread at all
        return None, jnp.where((survives | (cohorts > 0))[None, :], log_step, -jnp.inf)

    cohorts = jnp.arange(rounds, dtype=jnp.float64)
    return jax.lax.scan(one_round, None, (jax.random.split(key, rounds), cohorts))[1].swapaxes(0, 1)


@partial(jax.jit, static_argnums=range(1, 7))
def _subsample(key, dimension, samples, fitted, lost, rounds, seeds, scale):
    row, first = jnp.arange(seeds)[:, None], jnp.arange(samples)

    def one_round(carry, inputs):
        pool, mean, factor = carry
        key, cohort = inputs
        draw_key, choice_key = jax.random.split(key)
        fresh = scale * jax.random.normal(draw_key, (seeds, samples, dimension)) @ factor + mean
        pool = jax.lax.dynamic_update_slice_in_dim(pool, fresh, cohort * samples, axis=1)
        # Fisher and Yates: the first n places of the pool are dealt anew from all that are filled
        partner = jax.random.randint(choice_key, (seeds, samples), first[None, :], (cohort + 1) * samples)

        def swap(i, pool):
            places = jnp.stack([jnp.full(seeds, i), partner[:, i]], axis=1)
            return pool.at[row, places].set(pool[row, places[:, ::-1]])

        pool = jax.lax.fori_loop(0, samples, swap, pool)
        points = pool[:, :samples]
        if fitted:
            mean = jnp.mean(points, axis=1, keepdims=True)
        factor = jnp.linalg.qr(points - mean, mode="r") / math.sqrt(samples - lost)
        return (pool, mean, factor), jnp.log(jnp.abs(jnp.diagonal(factor, axis1=1, axis2=2)))

    pool = jnp.zeros((seeds, max(rounds, 1) * samples, dimension))
    identity = jnp.broadcast_to(jnp.eye(dimension), (seeds, dimension, dimension))
    start = (pool, jnp.zeros((seeds, 1, dimension)), identity)
    return jax.lax.scan(one_round, start, (jax.random.split(key, rounds), jnp.arange(rounds)))[1].swapaxes(0, 1)


def _log_chi(key, shape, freedom):
    """ln χ with freedom, freedom − 1, … degrees along the last axis; −∞ where none is left."""
    degrees = freedom - jnp.arange(shape[-1], dtype=jnp.float64)
    log_gamma = jax.random.loggamma(key, jnp.maximum(degrees, 1.0) / 2, shape)
    alive = jnp.broadcast_to(degrees > 0, shape)
    return jnp.where(alive, 0.5 * (log_gamma + math.log(2)), -jnp.inf)
