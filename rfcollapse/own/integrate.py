"""The flow of somebody's own model, followed in both directions in NumPy: Euler, Heun, and a reverse SDE.

The model is opaque: all that is known of it is velocity(model, t, x), t a number and x float32 rows of any shape. What
is computed is what `rfcollapse.learn.integrate` computes for models in JAX. A model must be a velocity that exists on
all of [0, 1]; that of a denoiser, (D − x)/(1 − t), does not at t = 1, where inversion starts.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

Rows = Float32[np.ndarray, "_ ..."]
TINY = float(np.finfo(np.float32).tiny)  # the least variance of a marginal
REMEDY = "of a torch tensor .detach().float().cpu() is one"


def as_float32(name: str, value: Any) -> Float32[np.ndarray, "..."]:
    """Finite numbers as a float32 array: what they are held in already where that is possible, else a copy.

    Args:
        name: said in errors.
        value: whatever NumPy takes: arrays, torch tensors on the CPU, JAX's.

    Example:
        >>> from rfcollapse.own import integrate
        >>> integrate.as_float32("data", [[1, 2]])
        array([[1., 2.]], dtype=float32)
    """
    try:
        array = np.asarray(value)
        with np.errstate(over="ignore"):
            numbers = array.astype(np.float32, copy=False) if array.dtype.kind in "biuf" else None
    except (TypeError, ValueError, RuntimeError) as error:  # torch's, too
        raise ValueError(
            f"{name} must be an array for NumPy ({' '.join(str(error).split())[:120]}): {REMEDY}"
        ) from None
    if numbers is None:
        raise ValueError(f"{name} must be an array of real numbers; got {type(value).__name__} of {array.dtype}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} must be finite in float32; got {numbers[~np.isfinite(numbers)][0]}")
    return numbers


class Integrator(NamedTuple):
    """How models of one kind are followed."""

    velocity: Callable[[Any, float, Rows], Any]
    """v(model, t, x), of the shape of x."""
    times: tuple[float, ...]
    """0 = t_0 < … < t_N = 1."""
    method: str
    """"euler" or "heun"."""
    at_once: int
    """Rows that the velocity is asked for at once, at most."""

    def slope(self, model: Any, t: float, x: Rows) -> Rows:
        """v(t, x), checked; its rows are nobody else's, whatever becomes of those that were given or returned."""
        out = np.empty_like(x)
        for start in range(0, len(x), self.at_once):
            block = x[start : start + self.at_once].copy()
            part = as_float32(f"velocity at t = {t:.3g}", self.velocity(model, t, block))
            if part.shape != block.shape:
                raise ValueError(f"velocity must return an array of x's shape, {block.shape}; got {part.shape}")
            out[start : start + len(block)] = part
        return out

    def step(self, model: Any, x: Rows, t: float, t_next: float) -> Rows:
        """x at t_next, before t or after it, from x at t."""
        h, slope = t_next - t, self.slope(model, t, x)
        with np.errstate(over="ignore"):
            following = x + h * slope
            if self.method == "heun":
                following = x + h / 2 * (slope + self.slope(model, t_next, following))
        if not np.isfinite(following).all():
            raise ValueError(f"samples must stay finite in float32; at t = {t_next:.3g} the model has lost them")
        return following

    def path(self, model: Any, x: Rows, *, back: bool = False) -> Iterator[Rows]:
        """x at every time, the given one first: from t = 0 on, or back from t = 1."""
        times = self.times[::-1] if back else self.times
        yield x
        for t, t_next in pairwise(times):
            x = self.step(model, x, t, t_next)
            yield x

    def generate(self, model: Any, noise: Rows) -> Rows:
        """x(1) of dx/dt = v(t, x) from x(0) = noise."""
        return last(self.path(model, noise))

    def invert(self, model: Any, data: Rows) -> Rows:
        """x(0) of dx/dt = v(t, x) from x(1) = data: the same method walked against time, as RA Reflow does."""
        return last(self.path(model, data, back=True))

    def reverse(
        self, rng: np.random.Generator, model: Any, data: Rows, *, diffusion: float, probe: Rows | None
    ) -> Rows:
        """x(0) of dx = −v ds + (ε²/2) ∇ln p_t(x) ds + ε dW from x(1) = data: ORAS, see `learn.integrate.reverse_sde`.

        Args:
            rng: draws the noise.
            model, data: see `invert`.
            diffusion: ε ≥ 0.
            probe: noise, more rows than they have entries: p_t is the Gaussian of the paths that lead on from it. None
                leaves the score out.
        """
        marginals = [None] * len(self.times) if probe is None else list(self.path(model, probe))
        x = data
        for i in reversed(range(1, len(self.times))):
            t, t_next = self.times[i], self.times[i - 1]
            half = diffusion**2 * (t - t_next) / 2
            x = _kicked(rng, x, marginals[i], half)
            x = _kicked(rng, self.step(model, x, t, t_next), marginals[i - 1], half)
        return x


def last(path: Iterator[Rows]) -> Rows:
    """The end of a path."""
    return deque(path, maxlen=1).pop()


def _kicked(rng, x, marginal, half):
    """x + b z, or the exact Ornstein–Uhlenbeck step μ + U e^(−a) Uᵀ(x − μ) + U b z; half: ε²h/2."""
    noise, rows = rng.standard_normal(x.shape, np.float32).reshape(len(x), -1), x.reshape(len(x), -1)
    if marginal is None:
        return (rows + half**0.5 * noise).reshape(x.shape)
    marginal = marginal.reshape(len(marginal), -1).astype(np.float64)
    mean = marginal.mean(axis=0)
    values, basis = np.linalg.eigh((marginal - mean).T @ (marginal - mean) / len(marginal))
    forgotten = half / np.maximum(values, TINY)
    spread = np.sqrt(-np.maximum(values, TINY) * np.expm1(-forgotten))
    rows = mean + (np.exp(-forgotten / 2) * ((rows - mean) @ basis) + spread * noise) @ basis.T
    return rows.astype(np.float32).reshape(x.shape)
