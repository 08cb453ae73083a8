"""The process without its samples: exact in law, at a cost that does not depend on their number.

Given the fitted map, the next second moment depends on a round's samples only through their second moment S = LLᵀ. With
X = √n L Q (Q: d orthonormal rows) and the noise E split along Q and across it, E = E1 Q + E2 Q_⊥,

    (X + sE)(X + sE)ᵀ = (√n L + sE1)(√n L + sE1)ᵀ + s² E2 E2ᵀ,   E1 (d × d) Gaussian, E2 E2ᵀ ~ Wishart(n − d) = TTᵀ,

T being Bartlett's triangular factor. What has to be carried is one factor L per set of samples whose noise is drawn
apart: of the latest round ("own"); of every cohort, since cohorts share the map and the real data they began with but
not the noise ("cohorts"); of the latest round and of all so far ("accumulate" from own data). Sets are pooled by
stacking factors side by side, and every factor is made triangular again by QR. Squaring L would lose directions that
have died to below 10⁻¹⁶ of the top; L keeps them, row by row.
"""

import functools

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve

from .batches import Process, Run, over_seeds

BATCH_BYTES = 32 * 2**20  # factors of all rounds and seeds of a batch


@functools.partial(jax.jit, static_argnames="process")
def simulate(keys, covariance, data, noise_std, resample_std, fractions, process: Process) -> Run:
    """`simulate.dae.run` on second moments, n ≥ d; arguments as there, checked there.

    keys: one per seed. fractions: α of rounds 0 … J.
    """
    samples, rank = process.samples, process.rank
    # The eigenbasis of the real data keeps the rows of L graded; isotropic noise does not notice the rotation.
    if data is None:
        spread = jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(covariance)[::-1], 0.0))
    else:
        spread = jnp.linalg.svd(data, full_matrices=False, compute_uv=False) / samples**0.5
    dimension = len(spread)
    steps = {"own": _own, "cohorts": _cohorts, "accumulate": _accumulate}[process.kind]

    def fit(pool):
        """B ↦ WB for the best denoiser W = LLᵀ(LLᵀ + σ²)^(-1) = L(LᵀL + σ²)^(-1)Lᵀ of the pool LLᵀ, cut to rank k."""
        if rank < dimension:
            left, scales, _ = jnp.linalg.svd(pool)
            left, scales = left[:, :rank], scales[:rank]
            gains = scales**2 / (scales**2 + noise_std**2)
            return lambda block: (left * gains[None]) @ (left.T @ block)
        inner = jnp.linalg.cholesky(pool.T @ pool + noise_std**2 * jnp.eye(dimension))
        return lambda block: pool @ cho_solve((inner, True), pool.T @ block)

    def generate(key, root, apply):
        """The factor of the next second moment, from the factor `root` of this one."""
        along, across = jax.random.split(key)
        near = samples**0.5 * root + resample_std * jax.random.normal(along, root.shape, jnp.float64)
        far = resample_std * bartlett(across, dimension, samples - dimension)
        return _triangular(apply(jnp.concatenate([near, far], axis=1)) / samples**0.5)

    def one_seed(key):
        first, rest = jax.random.split(key)
        if data is None:
            real = spread[:, None] * bartlett(first, dimension, samples) / samples**0.5
        else:
            real = jnp.diag(spread)
        start, one_round = steps(real, fit, generate, fractions)
        inputs = jax.random.split(rest, len(fractions)), fractions, jnp.arange(len(fractions))
        _, (roots, pools) = jax.lax.scan(one_round, start, inputs)
        basis = jnp.eye(dimension) if data is not None else jnp.linalg.svd(real)[0]
        # One batched call for both, since two at a time can deadlock on CPU.
        scales = jnp.linalg.svd(jnp.stack([roots, pools]), compute_uv=False)
        along = jnp.sum(jnp.einsum("id,jie->jde", basis, roots) ** 2, axis=-1)
        return Run(scales[0] ** 2, along, scales[1, :, 0] ** 2 / (scales[1, :, 0] ** 2 + noise_std**2), None)

    slots = len(fractions) + 1 if process.kind == "cohorts" else 1
    return over_seeds(one_seed, keys, 8 * (3 * len(fractions) + 2 * slots) * dimension**2, BATCH_BYTES)


def bartlett(key, dimension: int, freedom: int):
    """T (d × min(d, m)) with TTᵀ ~ Wishart_d(m): normal below the diagonal, χ_{m−i} on it (i = 0, 1, …)."""
    columns = min(dimension, freedom)
    below, on = jax.random.split(key)
    freedoms = jnp.arange(freedom, freedom - columns, -1, dtype=jnp.float64)
    diagonal = jnp.sqrt(jax.random.chisquare(on, freedoms, dtype=jnp.float64))
    normal = jnp.tril(jax.random.normal(below, (dimension, columns), jnp.float64), -1)
    return normal + jnp.eye(dimension, columns) * diagonal[None]


def _triangular(block):
    """L (d × d, lower triangular) with LLᵀ = BBᵀ, by QR of Bᵀ; rows keep their relative accuracy."""
    return jnp.linalg.qr(block.T, mode="r").T


def _pooled(one, other, fraction):
    """The factor of (1 − α) one oneᵀ + α other otherᵀ."""
    return _triangular(jnp.concatenate([jnp.sqrt(1 - fraction) * one, jnp.sqrt(fraction) * other], axis=1))


def _own(real, fit, generate, fractions):
    del fractions

    def one_round(latest, inputs):
        key, fraction, _ = inputs
        pool = _pooled(latest, real, fraction)
        return generate(key, latest, fit(pool)), (latest, pool)

    return real, one_round


def _cohorts(real, fit, generate, fractions):
    slots = len(fractions) + 1

    def one_round(carry, inputs):
        cohorts, weights = carry
        key, fraction, j = inputs
        blocks = jnp.sqrt(weights)[:, None, None] * cohorts
        latest = _triangular(jnp.moveaxis(blocks, 0, 1).reshape(len(real), -1))
        pool = _pooled(latest, real, fraction)
        apply = fit(pool)
        cohorts, weights = cohorts.at[j + 1].set(real), ((1 - fraction) * weights).at[j + 1].set(fraction)
        cohorts = jax.vmap(lambda key, root: generate(key, root, apply))(jax.random.split(key, slots), cohorts)
        return (cohorts, weights), (latest, pool)

    return (jnp.zeros((slots, *real.shape)).at[0].set(real), jnp.zeros(slots).at[0].set(1.0)), one_round


def _accumulate(real, fit, generate, fractions):
    del fractions

    def one_round(carry, inputs):
        latest, training = carry
        key, fraction, j = inputs
        pool = _pooled(training, real, fraction)
        latest = generate(key, latest, fit(pool))
        return (latest, _pooled(training, latest, 1 / (j.astype(jnp.float64) + 2))), (training, pool)

    return (real, real), one_round
