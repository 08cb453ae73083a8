"""The process without its samples: exact in law, at a cost that does not depend on their number.

Given the fitted map W, the next second moment depends on a round's samples only through their second moment S = LLᵀ.
With X = √n L Q (Q: d orthonormal rows) and the noise E split along Q and across it, E = E1 Q + E2 Q_⊥,

    (X + sE)(X + sE)ᵀ = (√n L + sE1)(√n L + sE1)ᵀ + s² E2 E2ᵀ,   E1 (d × d) Gaussian, E2 E2ᵀ ~ Wishart(n − d) = TTᵀ,

T being Bartlett's triangular factor. What has to be carried is one factor L per set of samples whose noise is drawn
apart: of the latest round ("alone"); of that and the real data ("own"); of every cohort, since cohorts share the map
and the real data they began with but not the noise ("cohorts"); of the latest round and of all so far ("accumulate"
from own data).

The noise does not notice a rotation, so that every round is told in the principal axes of its training set, where W is
diagonal: then W only scales the rows of L, and no row is ever the small difference of larger ones. Squaring L, or
keeping it in fixed axes, would lose directions that have died to below 10⁻¹⁶ of the top, or 10⁻³² after a few rounds.
"""

import functools

import jax
import jax.numpy as jnp

from .batches import DaeRuns, Process, over_seeds
from .factors import bartlett, descending, diagonal, folded, normal, places, principal, product

# Seeds that are alive at once: few enough for a core's cache, but enough to fill its vector registers.
CACHE_BYTES, FEWEST_SEEDS = 2**17, 16
GPU_BYTES = 2**30


def simulate(keys, covariance, data, noise_std, resample_std, fractions, process: Process) -> DaeRuns:
    """`simulate.dae.run` on second moments, n ≥ d; the other arguments as there, checked there.

    Args:
        keys: one per seed.
        fractions: α of rounds 0 … J.
    """
    if data is None:
        spread = jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(covariance)[::-1], 0.0))
    else:
        spread = jnp.linalg.svd(data, full_matrices=False, compute_uv=False) / process.samples**0.5
    sizes = jnp.float64(process.samples), process.rank
    return _simulate(keys, spread, noise_std, resample_std, fractions, *sizes, process.kind, data is None)


# The number of samples is traced, so that a sweep over it compiles once.
@functools.partial(jax.jit, static_argnames=("kind", "drawn"))
def _simulate(keys, spread, noise_std, resample_std, fractions, samples, rank, kind, drawn) -> DaeRuns:
    dimension, rounds = len(spread), len(fractions)

    def fit(scales):
        """Gains of the best denoiser along the principal axes of its training set, cut to rank k."""
        return jnp.where(places(scales) < rank, scales**2 / (scales**2 + noise_std**2), 0.0)

    def generate(keys, root, gains):
        """The factor of the next second moment, from the factor `root` of this one."""
        along_keys, across_keys = jax.vmap(jax.random.split)(keys).T
        along = normal(along_keys, dimension**2).reshape(root.shape)
        across = bartlett(across_keys, dimension, samples - dimension)
        noisy = folded(resample_std * across, jnp.sqrt(samples) * root + resample_std * along)
        return gains[:, None] * noisy / jnp.sqrt(samples)

    def several_seeds(keys):
        first, rest = jax.vmap(jax.random.split)(keys).T
        if drawn:
            real = spread[:, None, None] * bartlett(first, dimension, samples) / jnp.sqrt(samples)
            scales = descending(principal(real)[0])
        else:
            scales = jnp.repeat(spread[:, None], len(keys), axis=1)
        start, one_round = KINDS[kind](diagonal(scales), fit, generate, rounds)
        inputs = jax.vmap(lambda key: jax.random.split(key, rounds))(rest).T, fractions, jnp.arange(rounds)
        _, (scales, along, gains) = jax.lax.scan(one_round, start, inputs)
        eigenvalues = jax.vmap(descending)(scales) ** 2
        return DaeRuns(jnp.moveaxis(eigenvalues, 2, 0), jnp.moveaxis(along, 2, 0), jnp.max(gains, axis=1).T, None)

    slots = rounds + 1 if kind == "cohorts" else 1
    bytes_per_seed = 8 * dimension * (2 * rounds + dimension * (4 + slots))
    if jax.default_backend() == "cpu":
        return over_seeds(several_seeds, keys, max(FEWEST_SEEDS, CACHE_BYTES // (16 * dimension**2)))
    return over_seeds(several_seeds, keys, max(1, GPU_BYTES // bytes_per_seed))


def _alone(real, fit, generate, rounds):
    """Replace, without real data: the principal axes of the training set are those of the data."""

    def one_round(carry, inputs):
        scales, axes = carry
        keys, _, _ = inputs
        gains = fit(scales)
        along = jnp.sum((axes * scales[:, None]) ** 2, axis=0)
        return principal(generate(keys, diagonal(scales), gains), axes), (scales, along, gains)

    return (jnp.sum(real, axis=1), _identity(real)), one_round


def _own(real, fit, generate, rounds):
    """Replace, fitted with real data, resampled from the latest round."""

    def one_round(carry, inputs):
        latest, real, axes = carry
        keys, fraction, _ = inputs
        pool, turn = principal(_pooled(latest, real, fraction), _identity(real))
        latest, real, axes = (product(turn, matrix) for matrix in carry)
        gains = fit(pool)
        return (generate(keys, latest, gains), real, axes), (principal(latest)[0], _along(axes, latest), gains)

    return (real, real, _identity(real)), one_round


def _cohorts(real, fit, generate, rounds):
    """Replace, the whole pool passed on: slot 0 descends from round 0, slot j+1 from the real data given at round j."""
    cohorts = jnp.zeros((rounds + 1, *real.shape)).at[0].set(real)
    weights = jnp.zeros(rounds + 1).at[0].set(1.0)

    def one_round(carry, inputs):
        cohorts, weights, real, axes = carry
        keys, fraction, j = inputs

        def pool_in(slot, latest):
            return folded(latest, jnp.sqrt(weights[slot]) * cohorts[slot])

        latest = jax.lax.fori_loop(0, j + 1, pool_in, jnp.zeros_like(real))
        pool, turn = principal(_pooled(latest, real, fraction), _identity(real))
        gains = fit(pool)
        cohorts, weights = cohorts.at[j + 1].set(real), ((1 - fraction) * weights).at[j + 1].set(fraction)

        def pass_on(slot, cohorts):
            slot_keys = jax.vmap(lambda key: jax.random.fold_in(key, slot))(keys)
            return cohorts.at[slot].set(generate(slot_keys, product(turn, cohorts[slot]), gains))

        def pass_on_if_any(slot, cohorts):
            return jax.lax.cond(weights[slot] > 0, pass_on, lambda _, cohorts: cohorts, slot, cohorts)

        cohorts = jax.lax.fori_loop(0, j + 2, pass_on_if_any, cohorts)
        latest, real, axes = (product(turn, matrix) for matrix in (latest, real, axes))
        return (cohorts, weights, real, axes), (principal(latest)[0], _along(axes, latest), gains)

    return (cohorts, weights, real, _identity(real)), one_round


def _accumulate(real, fit, generate, rounds):
    """Fitted to all rounds so far, resampled from the latest."""

    def one_round(carry, inputs):
        keys, fraction, j = inputs
        _, training, real, _ = carry
        pool, turn = principal(_pooled(training, real, fraction), _identity(real))
        latest, training, real, axes = (product(turn, matrix) for matrix in carry)
        gains = fit(pool)
        latest = generate(keys, latest, gains)
        longer = _pooled(training, latest, 1 / (j.astype(jnp.float64) + 2))
        return (latest, longer, real, axes), (principal(training)[0], _along(axes, training), gains)

    return (real, real, real, _identity(real)), one_round


KINDS = {"alone": _alone, "own": _own, "cohorts": _cohorts, "accumulate": _accumulate}


def _identity(like):
    return diagonal(jnp.ones(like.shape[1:]))


def _along(axes, root):
    """Variance of the data along the axes of the real data; axes: the present ones (rows) in terms of those."""
    return jnp.sum(product(axes.swapaxes(0, 1), root) ** 2, axis=1)


def _pooled(one, other, fraction):
    """The factor of (1 − α) one oneᵀ + α other otherᵀ."""
    lower = folded(jnp.zeros_like(one), jnp.sqrt(1 - fraction) * one)
    return folded(lower, jnp.sqrt(fraction) * other)
