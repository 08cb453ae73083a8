"""Fits of a linear denoising autoencoder that do not know its closed form: gradient descent and least squares."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key, Real

from .. import check
from ..check import Count, NonnegativeScalar, Samples


class Fit(NamedTuple):
    """What `by_gradient` returns."""

    map: Float[Array, "dim dim"]
    """W2 W1 after the last step."""
    path: Float[Array, "records dim dim"]
    """W2 W1 before every `record_every`-th step, the first before any."""
    losses: Float[Array, " steps"]
    """½ mean‖W2 W1 (x + σε) − x‖² at each step."""


@check.arguments
def by_gradient(
    key: Key[Array, ""],
    data: Samples,
    noise_std: NonnegativeScalar,
    *,
    optimizer: optax.GradientTransformation,
    steps: Count,
    rank: int | None = None,
    factors: tuple[Real[ArrayLike, "rank dim"], Real[ArrayLike, "dim rank"]] | None = None,
    explicit_noise: bool = True,
    record_every: Count = 1,
) -> Fit:
    """Minimises ½ mean‖W2 W1 (x + σε) − x‖² over W1 (k × d) and W2 (d × k) with optax.

    Args:
        key: a JAX random key, for the noise and the initial factors.
        data: (n, d), samples in rows.
        noise_std: σ ≥ 0.
        optimizer: any optax optimiser. With `optax.sgd(h)`, time in `theory.dae.training_curve` is h × steps.
        steps: ≥ 1, a multiple of `record_every`.
        rank: k, from 1 to d; None is d. Ignored when `factors` are given.
        factors: (W1, W2) to start from; None draws small random ones.
        explicit_noise: True draws fresh noise at every step, as training does; False uses its expectation, which leaves
            only the data random: tr[(W−1) S (W−1)ᵀ] + σ² tr[W Wᵀ].
        record_every: steps between two records of the map.

    Example:
        >>> import jax
        >>> import optax
        >>> from rfcollapse import data
        >>> from rfcollapse.simulate import fit
        >>> rows = data.gaussian(jax.random.key(0), 500, [[1, 0], [0, 1]])
        >>> adam = optax.adam(0.05)
        >>> fitted = fit.by_gradient(jax.random.key(1), rows, 1.0, optimizer=adam, steps=200, explicit_noise=False)
        >>> fitted.map.round(1).tolist()
        [[0.5, -0.0], [-0.0, 0.5]]
    """
    dimension = data.shape[1]
    rank = dimension if rank is None else check.integer("rank", rank, 1, dimension)
    if steps % record_every:
        raise ValueError(f"steps must be a multiple of record_every, {record_every}; got {steps}")
    noise_key, first, second = jax.random.split(key, 3)
    if factors is None:
        scale = 0.1 * dimension**-0.5
        factors = (
            scale * jax.random.normal(first, (rank, dimension), jnp.float64),
            scale * jax.random.normal(second, (dimension, rank), jnp.float64),
        )
    factors = tuple(check.real("factors", factor) for factor in factors)
    return _descend(noise_key, data, noise_std, factors, optimizer, steps // record_every, record_every, explicit_noise)


@functools.partial(jax.jit, static_argnums=(4, 5, 6, 7))
def _descend(key, data, noise_std, factors, optimizer, records, record_every, explicit_noise):
    samples, dimension = data.shape
    moment = data.T @ data / samples

    def loss(factors, key):
        encoder, decoder = factors
        fitted = decoder @ encoder
        if explicit_noise:
            noisy = data + noise_std * jax.random.normal(key, data.shape, jnp.float64)
            return 0.5 * jnp.mean(jnp.sum((noisy @ fitted.T - data) ** 2, axis=1))
        residual = fitted - jnp.eye(dimension)
        return 0.5 * (jnp.sum((residual @ moment) * residual) + noise_std**2 * jnp.sum(fitted**2))

    def step(carry, key):
        factors, state = carry
        value, gradient = jax.value_and_grad(loss)(factors, key)
        with jax.numpy_dtype_promotion("standard"):  # optax multiplies floats by its int32 step count
            updates, state = optimizer.update(gradient, state, factors)
        return (optax.apply_updates(factors, updates), state), value

    def record(carry, keys):
        encoder, decoder = carry[0]
        carry, losses = jax.lax.scan(step, carry, keys)
        return carry, (decoder @ encoder, losses)

    keys = jax.random.split(key, (records, record_every))
    ((encoder, decoder), _), (path, losses) = jax.lax.scan(record, (factors, optimizer.init(factors)), keys)
    return Fit(decoder @ encoder, path, losses.ravel())


@check.arguments
def by_least_squares(
    key: Key[Array, ""], data: Samples, noise_std: NonnegativeScalar, *, copies: Count = 1
) -> Float[Array, "dim dim"]:
    """argmin_W Σ‖W(x + σε) − x‖² over `copies` noisy copies of the data, by ordinary least squares.

    As copies → ∞ it tends to the ridge solution S(S + σ²)^(-1) at the rate (n × copies)^(-1/2).

    Args:
        key: a JAX random key.
        data: (n, d), samples in rows.
        noise_std: σ ≥ 0.
        copies: ≥ 1; n × copies must be at least d.

    Example:
        >>> import jax
        >>> from rfcollapse import data
        >>> from rfcollapse.simulate import fit
        >>> rows = data.gaussian(jax.random.key(0), 500, [[1, 0], [0, 1]])
        >>> fit.by_least_squares(jax.random.key(1), rows, 1.0, copies=20).round(1).tolist()
        [[0.5, -0.0], [-0.0, 0.5]]
    """
    if data.shape[0] * copies < data.shape[1]:
        raise ValueError(f"{data.shape[0]} samples × {copies} copies cannot fit {data.shape[1]} dimensions; take more")
    return _least_squares(key, data, noise_std, copies)


@functools.partial(jax.jit, static_argnums=3)
def _least_squares(key, data, noise_std, copies):
    clean = jnp.tile(data, (copies, 1))
    noisy = clean + noise_std * jax.random.normal(key, clean.shape, jnp.float64)
    # The normal equations, which noise keeps well conditioned: no singular vectors as long as the samples are needed.
    return jnp.linalg.lstsq(noisy.T @ noisy, noisy.T @ clean)[0].T
