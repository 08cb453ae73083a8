"""The density of a flow's own paths, from its velocity alone, and the reverse SDE that keeps it.

A flow that starts in N(0, I) has at each time t one density p_t, whatever pairs it was trained on. Followed back to its
noise z, a point x at time t has ln p_t(x) = ln N(z; 0, I) + ln|det ∂z/∂x|; the gradient in x is the score ∇ln p_t of
the model itself, with nothing to train and nothing assumed. (Tweedie's formula, −(x − tv)/(1−t), is the score only
where v was trained on noise independent of the data, so of a first model; after a Reflow it is another vector.)
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Key, Real

from .. import check
from .integrate import METHODS, Steps, stepper, time_grid


@eqx.filter_jit
def log_density(
    model: Callable,
    samples: Float[Array, "n d"],
    time: Real[ArrayLike, ""] = 1.0,
    *,
    steps: Steps = 40,
    method: str = "heun",
    at_once: int | None = None,
) -> Float[Array, " n"]:
    """ln p_t(x) = ln N(z; 0, I) + ln|det ∂z/∂x|, z the noise at t = 0 to which the model leads x back from time t.

    Exact for the inverse steps as they are made, not for their limit alone: `invert` takes this density at t = 1 to
    N(0, I). Where steps are so long that they lead several points to one, their total mass exceeds 1.

    Args:
        model, steps, method, at_once: see `rfcollapse.learn.integrate.invert`; "adaptive" aside.
        samples: x, rows.
        time: t in [0, 1].

    Example:
        >>> import jax.numpy as jnp
        >>> from rfcollapse.learn import density
        >>> found = density.log_density(lambda t, x: x, jnp.ones((1, 2)))  # the flow e^t z: variance e² at t = 1
        >>> expected = -jnp.log(2 * jnp.pi) - 2 - jnp.exp(-2)
        >>> print(f"{found[0]:.3f} {expected:.3f}")
        -3.973 -3.973
    """
    check.one_of("method", method, METHODS[:2])
    time = jnp.asarray(check.fraction("time", time), samples.dtype)
    walk = _Walk(stepper(model, method, backward=True), time_grid(steps, samples.dtype)[::-1])
    return jax.lax.map(lambda x: walk.density(time, x)[0], samples, batch_size=at_once or len(samples))


@eqx.filter_jit
def reverse_sde(
    key: Key[Array, "*rows"],
    model: Callable,
    data: Float[Array, "n d"],
    *,
    diffusion: Real[ArrayLike, ""],
    steps: Steps = 40,
    method: str = "heun",
    at_once: int | None = None,
) -> Float[Array, "n d"]:
    """x(0) of dx = −v ds + (ε²/2) ∇ln p_t(x) ds + ε dW, s = 1 − t, from x(1) = data, p_t the model's own (ORAS).

    Data of the law that the model generates come back as N(0, I), whatever that law is: −v alone carries p_t to
    p_{t−ds}, and noise with this score leaves p_t as it is. Another score does not. In the noise z that the model has
    for x it is a Langevin diffusion, dz = (∇·D − Dz) ds + √(2D) dW with D = (ε²/2)(JᵀJ)⁻¹, J = ∂x/∂z: a Gaussian's
    x0 = √κ z + √(1−κ) e with κ = exp(−∫ ε²/Q_t dt), as of `integrate.reverse_sde`.

    Between the steps of the flow stand Langevin steps, each accepted or not by Metropolis's rule (MALA; Roberts and
    Tweedie 1996), so that p_t, as `log_density` has it on the same grid, is kept for any ε and N. For few dimensions:
    N/2 times the cost of inversion with d + 1 tangents and their gradient.

    Args:
        key: draws the noise: one key, or one for each row.
        model, data, steps, method, at_once: see `rfcollapse.learn.integrate.invert`; "adaptive" aside.
        diffusion: ε ≥ 0.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from rfcollapse.learn import density, integrate
        >>> flow, data = lambda t, x: x, 2.718 * jax.random.normal(jax.random.key(1), (4000, 1), dtype="float32")
        >>> noise = density.reverse_sde(jax.random.key(2), flow, data, diffusion=2.0, steps=20)
        >>> print(f"{noise.std():.1f}, {jnp.corrcoef(noise[:, 0], data[:, 0])[0, 1] ** 2:.1f}")  # κ = e^(−2(1−e⁻²))
        1.0, 0.2
    """
    check.one_of("method", method, METHODS[:2])
    diffusion = jnp.asarray(check.nonnegative("diffusion", diffusion), data.dtype)
    walk = _Walk(stepper(model, method, backward=True), time_grid(steps, data.dtype)[::-1])
    gaps = -jnp.diff(walk.times, prepend=walk.times[0], append=walk.times[-1])
    sizes = diffusion**2 / 4 * (gaps[:-1] + gaps[1:])  # (ε²/2) dt, halves at both ends

    def one_sample(key, x):
        def one_step(state, inputs):
            key, size, t, t_next = inputs
            return walk.onward(t, t_next, *_langevin(key, size, partial(walk.density, t), *state)), None

        *keys, last = jax.random.split(key, len(sizes))
        start = x, *walk.density(walk.times[0], x)
        state, _ = jax.lax.scan(one_step, start, (jnp.stack(keys), sizes[:-1], walk.times[:-1], walk.times[1:]))
        return _langevin(last, sizes[-1], partial(walk.density, walk.times[-1]), *state)[0]

    keys = key if key.ndim else jax.random.split(key, len(data))
    return jax.lax.map(lambda pair: one_sample(*pair), (keys, data), batch_size=at_once or len(data))


class _Walk(NamedTuple):
    """A flow's steps back to its noise."""

    step: Callable
    """x at t_next, of x, t and t_next."""
    times: Float[Array, " nodes"]
    """From 1 down to 0."""

    def traced(self, x, t, t_next):
        """A step, and what the density needs of it: its Jacobian, ln|det| of that and the gradient of this in x."""

        def volume(x):
            jacobian, moved = jax.jacfwd(lambda x: (self.step(x, t, t_next),) * 2, has_aux=True)(x)
            return jnp.linalg.slogdet(jacobian)[1], (moved, jacobian)

        (growth, moved), slope = jax.value_and_grad(volume, has_aux=True)(x)
        return *moved, growth, slope

    def density(self, t, x):
        """ln p_t(x) and its gradient, in one pass: the chain rule is followed forwards, so that nothing is stored."""
        nodes = jnp.minimum(self.times, t)

        def one_step(index, state):
            x, chain, growth, slope = state
            x, jacobian, more, there = self.traced(x, nodes[index], nodes[index + 1])
            return x, jacobian @ chain, growth + more, slope + chain.T @ there

        start = x, jnp.eye(x.size, dtype=x.dtype), jnp.zeros((), x.dtype), jnp.zeros_like(x)
        z, chain, growth, slope = jax.lax.fori_loop(jnp.sum(self.times >= t) - 1, len(nodes) - 1, one_step, start)
        constant = z.size / 2 * jnp.log(2 * jnp.pi).astype(z.dtype)
        return growth - z @ z / 2 - constant, slope - chain.T @ z

    def onward(self, t, t_next, x, level, score):
        """x a step on, with ln p and the score there."""
        x, jacobian, growth, slope = self.traced(x, t, t_next)
        return x, level - growth, jnp.linalg.solve(jacobian.T, score - slope)


def _langevin(key, size, density, x, level, score):
    """x + size ∇ln p + √(2 size) e, or x itself where Metropolis's rule refuses that; with ln p and the score there."""
    key_noise, key_choice = jax.random.split(key)
    noise = jax.random.normal(key_noise, x.shape, dtype=x.dtype)
    proposed = x + size * score + jnp.sqrt(2 * size) * noise
    proposal = proposed, *density(proposed)
    back = noise + jnp.sqrt(size / 2) * (score + proposal[2])  # the noise that would lead back, but for its sign
    gain = proposal[1] - level + (noise @ noise - back @ back) / 2
    accepted = jnp.log(jax.random.uniform(key_choice, dtype=x.dtype)) < gain
    return tuple(jnp.where(accepted, new, old) for new, old in zip(proposal, (x, level, score)))
