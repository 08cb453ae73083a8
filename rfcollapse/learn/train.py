"""The training of one round: a jitted scan in chunks, all seeds at once, compiled once for every round of every scheme.

What a scheme is enters as arrays alone (`Pairs`), so its shapes decide whether anything is compiled again, its values
never do. Between chunks the host looks at the losses, and stops a run that diverges.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, PRNGKeyArray
from tqdm import tqdm

from .. import check
from . import devices
from .pairs import Pairs

DIVERGED = 100.0  # mean loss of a chunk over the mean square of the target; a net that returns 0 has 1


@dataclass(frozen=True)
class Training:
    """How a net is trained; whatever is changed here is compiled anew.

    Attributes:
        steps: of Adam, a multiple of chunk.
        batch: pairs in a step.
        learning_rate: at its peak, reached after 5 % of the steps; from there a cosine to 0.
        average: decay of the exponential moving average of the weights, which is what training returns; at step k
            min(average, (1+k)/(10+k)).
        chunk: steps between two looks at the losses.
        compute_dtype: "float32", or "bfloat16" for the net and its gradients; weights, optimiser and loss are float32.
        shards: devices that share the batches of a seed, in equal parts.
    """

    steps: int = 2000
    batch: int = 128
    learning_rate: float = 5e-3
    average: float = 0.999
    chunk: int = 200
    compute_dtype: str = "float32"
    shards: int = 1

    def __post_init__(self):
        for name in ("steps", "batch", "chunk", "shards"):
            check.integer(name, getattr(self, name), 1)
        if self.batch % self.shards:
            raise ValueError(f"batch must be a multiple of shards = {self.shards}; got {self.batch}")
        if self.steps % self.chunk:
            raise ValueError(f"steps must be a multiple of chunk = {self.chunk}; got {self.steps}")
        check.positive("learning_rate", self.learning_rate)
        check.fraction("average", self.average)
        check.one_of("compute_dtype", self.compute_dtype, ("float32", "bfloat16"))


class Diverged(ArithmeticError):
    """Training that came to NaN, or to a loss far above that of doing nothing.

    Attributes:
        round, step, seed, loss: where, counted from 0, and what.
        finished: the rounds before it, whole, where `rfcollapse.learn.reflow.run` raised it.
    """

    def __init__(self, round: int, step: int, seed: int, loss: float):
        super().__init__(f"training diverged in round {round}, step {step}, seed {seed}: loss {loss:.6g}")
        self.round, self.step, self.seed, self.loss = round, step, seed, loss
        self.finished = ()


class _State(NamedTuple):
    params: eqx.Module
    optimiser: optax.OptState
    average: eqx.Module


def train(
    key: PRNGKeyArray,
    models: eqx.Module,
    pairs: Pairs,
    *,
    training: Training,
    ridge: float = 0.0,
    round: int = 0,
    refresh: Callable[[eqx.Module], Pairs] | None = None,
) -> tuple[eqx.Module, Float[np.ndarray, "seeds chunks"]]:
    """Minimises E|f(t, x_t + √τ e) − target|², x_t = (1−t)x0 + t x1, e ~ N(0, I), t stratified on [0, 1].

    The noise e is on the input alone, and for a model linear in x it is ridge τ.

    key: one key; the seeds' keys are split from it. models: `Velocity` or `Denoiser`, every array with a leading axis
    of seeds; not consumed. pairs: see `Pairs`; those in NumPy arrays stay on the host, and each chunk of steps fetches
    what it draws, the same as elsewhere. training: see `Training`. ridge: τ ≥ 0. round: named in progress and
    errors. refresh: makes new pairs of the same shapes from the averaged models, after each chunk but the last.

    Returns the averaged models, and the mean loss of each chunk. Raises `Diverged`.
    """
    count = pairs.noise.shape[0]
    mesh = devices.mesh(count, training.shards)
    params, static = eqx.partition(models, eqx.is_array)
    # A copy, for the state is donated and the models are the caller's.
    params = devices.spread(jax.tree.map(jnp.copy, params), mesh)
    state = _start(params, training=training, mesh=mesh)
    keys = devices.spread(jax.random.split(key, count), mesh)
    noise_std = devices.spread(jnp.full(count, check.nonnegative("ridge", ridge) ** 0.5, dtype=jnp.float32), mesh)
    pairs, below = _placed(pairs, mesh)
    history = []
    with tqdm(total=training.steps, desc=f"round {round}", unit="step", leave=False, disable=None) as bar:
        for start in range(0, training.steps, training.chunk):
            first = devices.spread(jnp.full(count, start, dtype=jnp.int32), mesh)
            fetched = isinstance(pairs.data, np.ndarray)
            drawn = _fetched(pairs, below, keys, first, training, mesh) if fetched else pairs
            state, losses, scale = _chunk(
                state, drawn, below, keys, noise_std, first,
                static=static, training=training, mesh=mesh, fetched=fetched,
            )  # fmt: skip
            history.append(_judged(devices.fetch(losses), devices.fetch(scale), round, start))
            bar.update(training.chunk)
            if refresh is not None and start + training.chunk < training.steps:
                pairs, below = _placed(refresh(eqx.combine(state.average, static)), mesh)
    return eqx.combine(state.average, static), np.stack(history, axis=1)


def _placed(pairs, mesh):
    """The pairs, on the devices but where they are the host's, and the cumulative weights."""
    below = devices.spread(jnp.cumsum(pairs.weight.astype(jnp.float64), axis=1), mesh)
    return pairs if isinstance(pairs.data, np.ndarray) else devices.spread(pairs, mesh), below


def _fetched(pairs, below, keys, first, training, mesh):
    """The pairs that a chunk of steps draws from a pool on the host, in the order of the steps."""
    chosen = devices.fetch(_host_chosen(below, keys, first, training=training, mesh=mesh))
    parts = (np.stack([rows[seed.ravel()] for rows, seed in zip(np.asarray(part), chosen)]) for part in pairs)
    return devices.spread(Pairs(*parts), mesh)


@partial(jax.jit, static_argnames=("training", "mesh"))
def _host_chosen(below, keys, first, *, training, mesh):
    return devices.each(partial(_chosen, training=training), mesh)(below, keys, first)


def _judged(losses, scale, round, start):
    """The mean loss of each seed; raises where one is not finite or far above its scale."""
    broken = ~np.isfinite(losses) | (losses.mean(axis=1) > DIVERGED * scale)[:, None]
    if broken.any():
        step = int(np.argmax(broken.any(axis=0)))
        seed = int(np.argmax(broken[:, step]))
        raise Diverged(round, start + step, seed, float(losses[seed, step]))
    return losses.mean(axis=1)


@partial(jax.jit, static_argnames=("training", "mesh"))
def _start(params, *, training, mesh):
    optimiser = devices.each(_optimiser(training).init, mesh)(params)
    return _State(params, optimiser, jax.tree.map(jnp.copy, params))


@partial(jax.jit, static_argnames=("static", "training", "mesh", "fetched"), donate_argnames="state")
def _chunk(state, pairs, below, keys, noise_std, first, *, static, training, mesh, fetched):
    optimiser = _optimiser(training)
    dtype = jnp.dtype(training.compute_dtype)

    def loss(params, x0, x1, t, noise):
        model = eqx.combine(jax.tree.map(lambda p: p.astype(dtype), params), static)
        x = (1 - t)[:, None] * x0 + t[:, None] * x1 + noise
        error = jax.vmap(model.net)(t, x.astype(dtype)).astype(jnp.float32) - model.target(x0, x1)
        return jnp.mean(error**2)

    def one_seed(state, pairs, below, key, noise_std, first):
        def step(state, at):
            index, chosen = at
            x0, x1, t, e = _draw(jax.random.fold_in(key, index), pairs, chosen)
            x0, x1, t, e = (_part(array, training.shards) for array in (x0, x1, t, e))
            value, slope = jax.value_and_grad(loss)(state.params, x0, x1, t, noise_std * e)
            scale = jnp.mean(static.target(x0, x1) ** 2)
            # One message: each costs the devices a meeting, which for a small net takes longer than its arithmetic.
            flat, shaped = ravel_pytree((value, slope, scale))
            value, slope, scale = shaped(jax.lax.pmean(flat, "shards"))
            with jax.numpy_dtype_promotion("standard"):  # inside optax
                change, inner = optimiser.update(slope, state.optimiser)
            params = optax.apply_updates(state.params, change)
            count = index.astype(jnp.float32)
            decay = jnp.minimum(jnp.float32(training.average), (1 + count) / (10 + count))
            average = jax.tree.map(lambda old, new: old + (1 - decay) * (new - old), state.average, params)
            return _State(params, inner, average), (value, scale)

        if fetched:  # in the order of the steps
            chosen = jnp.arange(training.chunk * training.batch, dtype=jnp.int32).reshape(training.chunk, -1)
        else:
            chosen = _chosen(below, key, first, training=training)
        indices = first + jnp.arange(training.chunk, dtype=jnp.int32)
        state, (losses, scales) = jax.lax.scan(step, state, (indices, chosen))
        return state, losses, scales.mean()

    return devices.each(one_seed, mesh)(state, pairs, below, keys, noise_std, first)


def _part(array, shards):
    """This device's part of a batch."""
    return array.reshape(shards, -1, *array.shape[1:])[jax.lax.axis_index("shards")]


def _chosen(below, key, first, *, training):
    """Indices in proportion to the weights, (chunk, batch): all at once, which costs a tenth of a search per step.

    below: cumulative sums of the weights.
    """

    def one_step(index):
        level = below[-1] * jax.random.uniform(_keys(jax.random.fold_in(key, index))[0], (training.batch,), below.dtype)
        return jnp.minimum(jnp.searchsorted(below, level, side="right"), len(below) - 1)

    return jax.vmap(one_step)(first + jnp.arange(training.chunk, dtype=jnp.int32))


def _draw(key, pairs, chosen):
    """x0, x1, t and e ~ N(0, I) of one batch, the chosen pairs."""
    _, key_time, key_noise, key_ridge = _keys(key)
    x1, batch = pairs.data[chosen], len(chosen)
    new = jax.random.normal(key_noise, x1.shape, dtype=jnp.float32)
    x0 = jnp.where(pairs.redrawn[chosen][:, None], new, pairs.noise[chosen])
    # One time in each of as many equal parts of [0, 1]: less spread in the gradient, the same mean.
    t = (jnp.arange(batch, dtype=jnp.float32) + jax.random.uniform(key_time, (batch,), dtype=jnp.float32)) / batch
    return x0, x1, t, jax.random.normal(key_ridge, x1.shape, dtype=jnp.float32)


def _keys(key):
    """Of a step: of its pairs, times, new noise and input noise."""
    return jax.random.split(key, 4)


def _optimiser(training):
    rate = optax.warmup_cosine_decay_schedule(0.0, training.learning_rate, max(1, training.steps // 20), training.steps)
    return optax.adam(rate)
