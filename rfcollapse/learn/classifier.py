"""A small classifier of real images: its hidden units are the features in which images are compared."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PRNGKeyArray, Real

from .. import check

BATCH, STEPS, PEAK = 128, 1500, 2e-3


class Classifier(eqx.Module):
    """Two hidden layers with ReLU; the second is what the features are."""

    layers: tuple[eqx.nn.Linear, eqx.nn.Linear, eqx.nn.Linear]

    def features(self, rows: Real[ArrayLike, "n d"]) -> Float[np.ndarray, "n features"]:
        """The second hidden layer of each row, float64."""
        return np.asarray(jax.vmap(self._hidden)(jnp.asarray(rows, dtype=jnp.float32)), np.float64)

    def classes(self, rows: Real[ArrayLike, "n d"]) -> Int[Array, " n"]:
        """The likeliest class of each row."""
        return jnp.argmax(jax.vmap(self._scores)(jnp.asarray(rows, dtype=jnp.float32)), axis=1)

    def _hidden(self, x):
        for layer in self.layers[:-1]:
            x = jax.nn.relu(layer(x))
        return x

    def _scores(self, x):
        return self.layers[-1](self._hidden(x))


@check.in_float64  # for whole numbers are drawn as 64-bit ones
def train_classifier(
    key: PRNGKeyArray, rows: Real[ArrayLike, "n d"], labels: Int[ArrayLike, " n"], *, width: int = 64
) -> Classifier:
    """Minimises the cross-entropy by 1,500 steps of Adam on batches of 128 rows, each with noise of variance .1 on it.

    Args:
        key: draws weights, batches and noise.
        rows: real samples.
        labels: classes, whole numbers ≥ 0, one for each row.
        width: of the features.
    """
    rows = jnp.asarray(check.samples("rows", rows), jnp.float32)
    labels = jnp.asarray(labels, dtype=jnp.int32)
    if labels.shape != rows.shape[:1] or int(labels.min()) < 0:
        raise ValueError(f"labels must be {len(rows)} whole numbers ≥ 0, one for each row; got shape {labels.shape}")
    sizes = [rows.shape[1], 2 * check.integer("width", width, 1), width, int(labels.max()) + 1]
    key_layers, key_steps = jax.random.split(key)
    keys = jax.random.split(key_layers, 3)
    layers = (eqx.nn.Linear(a, b, dtype=jnp.float32, key=one) for a, b, one in zip(sizes[:-1], sizes[1:], keys))
    return _fitted(Classifier(tuple(layers)), rows, labels, jax.random.split(key_steps, STEPS))


@eqx.filter_jit
def _fitted(classifier, rows, labels, keys):
    params, static = eqx.partition(classifier, eqx.is_array)
    optimizer = optax.adam(optax.cosine_decay_schedule(PEAK, STEPS))

    def loss(params, x, y):
        scores = jax.nn.log_softmax(jax.vmap(eqx.combine(params, static)._scores)(x), axis=1)
        return -jnp.mean(jnp.take_along_axis(scores, y[:, None], axis=1))

    def step(state, key):
        params, inner = state
        key_row, key_noise = jax.random.split(key)
        chosen = jax.random.randint(key_row, (BATCH,), 0, len(rows))
        noise = jax.random.normal(key_noise, (BATCH, rows.shape[1]), dtype=jnp.float32)
        slope = jax.grad(loss)(params, rows[chosen] + 0.1**0.5 * noise, labels[chosen])
        with jax.numpy_dtype_promotion("standard"):  # inside optax
            change, inner = optimizer.update(slope, inner)
        return (optax.apply_updates(params, change), inner), None

    (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), keys)
    return eqx.combine(params, static)
