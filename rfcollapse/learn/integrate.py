"""Flows followed in both directions: Euler, Heun or adaptive steps, and a reverse SDE with a Gaussian's score or none.

A model is any callable v(t, x) on one sample, such as those of `rfcollapse.learn.velocity`; samples are rows, and
keep their dtype. `steps` is N uniform steps, or a grid of N + 1 times from 0 to 1.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key, Real

from .. import check
from . import devices
from .velocity import Denoiser

METHODS = ("euler", "heun", "adaptive")
Steps = int | Real[ArrayLike, " nodes"]

# Of a denoiser's inverse Euler step; the error shrinks by |1 − D'| in the last step, by h|v'| before.
SOLVER_ITERATIONS = 20
TOLERANCE = {jnp.dtype(jnp.float32): 1e-5, jnp.dtype(jnp.float64): 1e-10}  # of adaptive steps, relative and absolute


class Marginals(NamedTuple):
    """Mean and covariance of x_t at each time of a grid, t = 0 first."""

    mean: Float[Array, "nodes d"]
    """μ_t."""
    covariance: Float[Array, "nodes d d"]
    """Q_t, centred."""


class Integrator(NamedTuple):
    """How a model is sampled and inverted; hashable, for it decides the program."""

    steps: int | tuple[float, ...]
    """N, or the N + 1 times."""
    method: str
    """"euler", "heun" or "adaptive"."""
    at_once: int
    """Samples integrated at once."""
    shards: int = 1
    """Devices that share the samples of a seed, in a program of `devices.each`."""

    @property
    def options(self) -> dict:
        """Steps and method, as `generate` and the others take them."""
        steps = np.asarray(self.steps) if isinstance(self.steps, tuple) else self.steps
        return {"steps": steps, "method": self.method}

    def generate(self, model: Callable, noise: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """See `generate` of this module."""
        return self.on_rows(partial(generate, model, at_once=self.at_once, **self.options), noise)

    def invert(self, model: Callable, data: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """See `invert` of this module."""
        return self.on_rows(partial(invert, model, at_once=self.at_once, **self.options), data)

    def on_rows(self, function: Callable, *rows: Array):
        """function(*rows), which takes row by row, shared among the devices."""
        return function(*rows) if self.shards == 1 else devices.in_parts(function, *rows)


@eqx.filter_jit
def generate(
    model: Callable, noise: Float[Array, "n d"], *, steps: Steps = 40, method: str = "heun", at_once: int | None = None
) -> Float[Array, "n d"]:
    """x(1) of dx/dt = v(t, x) from x(0) = noise.

    Args:
        model: v; a `Denoiser` needs Euler.
        noise: x(0), rows.
        steps: N, or a grid of times; of no effect on "adaptive".
        method: "euler", "heun" (order 2, two evaluations a step) or "adaptive" (Tsitouras 5(4) with a tolerance of 1e-5
            in float32 and 1e-10 in float64; NaN where it fails).
        at_once: rows integrated at once (None: all), which bounds the memory.

    Example:
        >>> import jax.numpy as jnp
        >>> from rfcollapse.learn import integrate
        >>> integrate.generate(lambda t, x: x, jnp.ones((1, 2)), steps=2, method="euler").tolist()
        [[2.25, 2.25]]
    """
    return _ends(model, noise, time_grid(steps, noise.dtype), method, at_once, backward=False)


@eqx.filter_jit
def invert(
    model: Callable, data: Float[Array, "n d"], *, steps: Steps = 40, method: str = "heun", at_once: int | None = None
) -> Float[Array, "n d"]:
    """x(0) of dx/dt = v(t, x) from x(1) = data: the same method walked against time, as RA Reflow does.

    The v of a `Denoiser` does not exist at t = 1, so its Euler steps are undone instead, each solved by 20 fixed-point
    iterations: there `generate` returns to the data.

    Args:
        model, steps, method, at_once: see `generate`.
        data: x(1), rows.

    Example:
        >>> import jax.numpy as jnp
        >>> from rfcollapse.learn import integrate
        >>> integrate.invert(lambda t, x: x, jnp.ones((1, 2)), steps=2, method="euler").tolist()
        [[0.25, 0.25]]
    """
    return _ends(model, data, time_grid(steps, data.dtype)[::-1], method, at_once, backward=True)


@eqx.filter_jit
def paths(
    model: Callable, noise: Float[Array, "n d"], *, steps: Steps = 40, method: str = "heun"
) -> Float[Array, "nodes n d"]:
    """x(t) at every time of the grid, from x(0) = noise on; see `generate`, "adaptive" aside."""
    check.one_of("method", method, METHODS[:2])
    times = time_grid(steps, noise.dtype)
    step = stepper(model, method, backward=False)

    def walk(x, span):
        following = step(x, *span)
        return following, following

    _, later = jax.vmap(lambda x: jax.lax.scan(walk, x, (times[:-1], times[1:])), out_axes=(0, 1))(noise)
    return jnp.concatenate([noise[None], later])


@check.in_float64
@eqx.filter_jit
def marginals(model: Callable, noise: Float[Array, "n d"], *, steps: Steps = 40, method: str = "heun") -> Marginals:
    """μ_t and Q_t of the model's own x(t), from x(0) = noise, at every time of the grid; see `paths`."""
    x = paths(model, noise, steps=steps, method=method).astype(jnp.float64)
    mean = x.mean(axis=1)
    centred = x - mean[:, None]
    return Marginals(mean, jnp.einsum("tni,tnj->tij", centred, centred) / noise.shape[0])


@check.in_float64
@eqx.filter_jit
def reverse_sde(
    key: Key[Array, "*rows"],
    model: Callable,
    data: Float[Array, "n d"],
    marginals: Marginals | None,
    *,
    diffusion: Real[ArrayLike, ""],
    steps: Steps = 40,
    method: str = "heun",
    at_once: int | None = None,
) -> Float[Array, "n d"]:
    """x(0) of dx = −v ds + (ε²/2) ∇ln p_t(x) ds + ε dW, s = 1 − t from 0 to 1, from x(1) = data (ORAS).

    The score is that of the Gaussian with the marginals given, ∇ln p_t = −Q_t⁻¹(x − μ_t): exact for a flow that is
    linear in x; else data of the model's own law do not come back as N(0, I), as they do from `density.reverse_sde`,
    which has the model's own score. x(0) is then noise as a Gaussian model knows it, correlated with the data by √κ,
    κ = exp(−∫ ε²/Q_t dt).

    Each step of the flow stands between two halves of the Ornstein–Uhlenbeck process, solved exactly, so that the
    marginals are kept for any ε and N.

    Args:
        key: draws the noise: one key, or one for each row.
        model, data, steps, method, at_once: see `invert`; "adaptive" aside.
        marginals: of the same model on the same grid, from `marginals`; None leaves the score out, which is wrong and
            inflates x(0): the naive stochastic reverse run.
        diffusion: ε ≥ 0.
    """
    check.one_of("method", method, METHODS[:2])
    diffusion = check.nonnegative("diffusion", diffusion)
    times = time_grid(steps, data.dtype)[::-1]
    half = diffusion**2 * jnp.abs(jnp.diff(times)).astype(jnp.float64) / 2
    kicks = _kicks(marginals, half, data.shape[1])
    kicks = jax.tree.map(lambda entry: entry.astype(data.dtype), kicks)
    step = stepper(model, method, backward=True)

    def one_sample(key, x):
        def one_step(x, inputs):
            key, t, t_next, before, after = inputs
            noise = jax.random.normal(key, (2, *x.shape), dtype=x.dtype)
            x = step(before(x, noise[0]), t, t_next)
            return after(x, noise[1]), None

        keys = jax.random.split(key, len(times) - 1)
        return jax.lax.scan(one_step, x, (keys, times[:-1], times[1:], *kicks))[0]

    keys = key if key.ndim else jax.random.split(key, len(data))
    return jax.lax.map(lambda pair: one_sample(*pair), (keys, data), batch_size=at_once or len(data))


def time_grid(steps: Steps, dtype=jnp.float32) -> Float[Array, " nodes"]:
    """The times i/N of N ≥ 1 uniform steps, or the increasing grid from 0 to 1 itself."""
    if np.ndim(steps) == 0:
        return jnp.linspace(0, 1, check.integer("steps", steps, 1) + 1, dtype=dtype)
    return check.time_grid("steps", steps).astype(dtype)


class _Kick(eqx.Module):
    """x ← μ + U e^(−a) Uᵀ(x − μ) + U b z: the exact Ornstein–Uhlenbeck step, or x + b z."""

    mean: Float[Array, "*times d"]
    basis: Float[Array, "*times d d"]
    decay: Float[Array, "*times d"]
    spread: Float[Array, "*times d"]

    def __call__(self, x, noise):
        return self.mean + self.basis @ (self.decay * (self.basis.T @ (x - self.mean)) + self.spread * noise)


def _kicks(marginals, half, d):
    """The Ornstein–Uhlenbeck half-steps before and after each step of the flow; half: ε²h/2, from t = 1 down."""
    if marginals is None:
        steps = len(half)
        still = jnp.zeros((steps, d)), jnp.broadcast_to(jnp.eye(d), (steps, d, d)), jnp.ones((steps, d))
        kick = _Kick(*still, jnp.broadcast_to(jnp.sqrt(half)[:, None], (steps, d)))
        return kick, kick
    values, basis = jnp.linalg.eigh(marginals.covariance[::-1])
    mean, values = marginals.mean[::-1], jnp.maximum(values, float(jnp.finfo(jnp.float32).tiny))

    def kick_at(nodes):
        forgotten = half[:, None] / values[nodes]
        spread = jnp.sqrt(-values[nodes] * jnp.expm1(-forgotten))
        return _Kick(mean[nodes], basis[nodes], jnp.exp(-forgotten / 2), spread)

    return kick_at(slice(None, -1)), kick_at(slice(1, None))


def _ends(model, x, times, method, at_once, *, backward):
    check.one_of("method", method, METHODS)
    step = stepper(model, method, backward=backward)

    def walk(x):
        return jax.lax.scan(lambda x, span: (step(x, *span), None), x, (times[:-1], times[1:]))[0]

    if method == "adaptive":
        walk = partial(_adaptive, model, times[0], times[-1])
    return jax.lax.map(walk, x, batch_size=at_once or len(x))


def stepper(model, method, *, backward):
    """x at t_next from x, t and t_next."""
    if isinstance(model, Denoiser):
        if method != "euler":
            raise ValueError(f"a denoiser has no velocity at t = 1: its method must be 'euler'; got {method!r}")
        return partial(_undone_euler if backward else _euler, model)
    return partial(_heun if method == "heun" else _euler, model)


def _euler(model, x, t, t_next):
    return x + (t_next - t) * model(t, x)


def _heun(model, x, t, t_next):
    h, slope = t_next - t, model(t, x)
    return x + h / 2 * (slope + model(t_next, x + h * slope))


def _undone_euler(model, x, t, t_next):
    return jax.lax.fori_loop(0, SOLVER_ITERATIONS, lambda _, y: x - (t - t_next) * model(t_next, y), x)


def _adaptive(model, start, end, x):
    tolerance = TOLERANCE[x.dtype]
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, x, _: model(t, x)),
        diffrax.Tsit5(),
        start,
        end,
        None,
        x,
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
        throw=False,
    )
    return jnp.where(solution.result == diffrax.RESULTS.successful, solution.ys[-1], jnp.nan)
