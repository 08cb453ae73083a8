"""Velocity models of one sample: a net, linear, MLP or U-Net, read either as the velocity or as the denoiser.

A net maps a time t and a sample x, (d,), to (d,); batches and seeds come by `jax.vmap`. A model wraps a net and gives
the velocity v(t, x) of dx/dt = v, from noise at t = 0 to data at t = 1, and the target that its net is trained on.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .. import check
from .unet import UNet


class Linear(eqx.Module):
    """f(t, x) = A(t) x, A piecewise linear in t between K matrices at t = 0, 1/(K−1), …, 1: exactly linear in x."""

    matrices: Float[Array, "knots d d"]

    def __init__(self, dimension: int, *, knots: int = 17, key: PRNGKeyArray):
        """A(t_k) of N(0, 0.01) entries.

        Args:
            dimension: d ≥ 1.
            knots: K ≥ 2.
            key: draws the entries.
        """
        dimension, knots = check.integer("dimension", dimension, 1), check.integer("knots", knots, 2)
        self.matrices = 0.1 * jax.random.normal(key, (knots, dimension, dimension), dtype=jnp.float32)

    def __call__(self, t: Float[Array, ""], x: Float[Array, " d"]) -> Float[Array, " d"]:
        knots = self.matrices.shape[0]
        hats = jax.nn.relu(1 - jnp.abs(t * (knots - 1) - jnp.arange(knots, dtype=t.dtype)))
        hats = hats.astype(x.dtype)
        if x.size > knots:  # the other order makes a matrix for each sample of a batch, which pays while it is small
            return hats @ (self.matrices @ x)
        return jnp.tensordot(hats, self.matrices, axes=1) @ x


class MLP(eqx.Module):
    """f(t, x): hidden layers of one width with SiLU on (x, cos πkt, sin πkt), k = 1 … K."""

    layers: tuple[eqx.nn.Linear, ...]
    frequencies: int = eqx.field(static=True)

    def __init__(self, dimension: int, *, width: int = 64, depth: int = 3, frequencies: int = 4, key: PRNGKeyArray):
        """Weights and biases uniform in ±1/√fan-in.

        Args:
            dimension: d ≥ 1.
            width: of the hidden layers, ≥ 1.
            depth: hidden layers, ≥ 1.
            frequencies: K ≥ 1; without Fourier features an MLP follows A(t) badly.
            key: draws the weights.
        """
        dimension, width = check.integer("dimension", dimension, 1), check.integer("width", width, 1)
        depth, self.frequencies = check.integer("depth", depth, 1), check.integer("frequencies", frequencies, 1)
        sizes = [dimension + 2 * self.frequencies, *[width] * depth, dimension]
        keys = jax.random.split(key, depth + 1)
        self.layers = tuple(
            eqx.nn.Linear(fan_in, fan_out, dtype=jnp.float32, key=one)
            for fan_in, fan_out, one in zip(sizes[:-1], sizes[1:], keys)
        )

    def __call__(self, t: Float[Array, ""], x: Float[Array, " d"]) -> Float[Array, " d"]:
        phases = jnp.pi * t * jnp.arange(1, self.frequencies + 1, dtype=t.dtype)
        hidden = jnp.concatenate([x, jnp.cos(phases).astype(x.dtype), jnp.sin(phases).astype(x.dtype)])
        for layer in self.layers[:-1]:
            hidden = jax.nn.silu(layer(hidden))
        return self.layers[-1](hidden)


class Velocity(eqx.Module):
    """v = f(t, x): the net is trained on x1 − x0. Input noise (ridge) pulls its flow to the noise."""

    net: Callable

    def __call__(self, t: Float[Array, ""], x: Float[Array, " d"]) -> Float[Array, " d"]:
        return self.net(t, x)

    @staticmethod
    def target(x0: Float[Array, " *shape"], x1: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
        return x1 - x0


class Denoiser(eqx.Module):
    """v = (f(t, x) − x)/(1 − t): the net is trained on x1. Input noise (ridge) pulls its flow to zero.

    v is not defined at t = 1, so only methods that never ask for it there may be used (Euler).
    """

    net: Callable

    def __call__(self, t: Float[Array, ""], x: Float[Array, " d"]) -> Float[Array, " d"]:
        return (self.net(t, x) - x) / (1 - t).astype(x.dtype)

    @staticmethod
    def target(x0: Float[Array, " *shape"], x1: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
        return x1


NETS = {"linear": Linear, "mlp": MLP, "unet": UNet}
PARAMETRISATIONS = {"velocity": Velocity, "denoiser": Denoiser}
