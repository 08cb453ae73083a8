"""A compact U-Net for images, called like the other nets: a time and a flat sample, (d,), to (d,).

A convolution here is nine shifted copies of the image and one matmul. So many seeds at once make one batched matmul,
where `jax.vmap` would turn a convolution with a kernel for each seed into a grouped one, slow on every device.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .. import check


class Conv(eqx.Module):
    """y = Σ over the 3 × 3 neighbours of W_ij x_ij + b, zero outside the image."""

    weight: Float[Array, "fan_in out"]
    bias: Float[Array, " out"]

    def __init__(self, channels: int, out: int, *, key: PRNGKeyArray):
        """Weights uniform in ±1/√fan-in, fan-in = 9 · channels; b = 0."""
        reach = (9 * channels) ** -0.5
        self.weight = jax.random.uniform(key, (9 * channels, out), jnp.float32, -reach, reach)
        self.bias = jnp.zeros(out, dtype=jnp.float32)

    def __call__(self, x: Float[Array, "h w channels"]) -> Float[Array, "h w out"]:
        height, width, _ = x.shape
        framed = jnp.pad(x, ((1, 1), (1, 1), (0, 0)))
        near = [framed[i : i + height, j : j + width] for i in range(3) for j in range(3)]
        return jnp.concatenate(near, axis=2) @ self.weight + self.bias[None, None]


class Block(eqx.Module):
    """x + conv(SiLU((1 + s(t)) norm(conv(SiLU(norm(x)))) + b(t))), x through a matrix where the channels change."""

    first: Conv
    second: Conv
    modulation: eqx.nn.Linear
    skip: Float[Array, "channels out"] | None

    def __init__(self, channels: int, out: int, features: int, *, key: PRNGKeyArray):
        keys = jax.random.split(key, 4)
        self.first, self.second = Conv(channels, out, key=keys[0]), Conv(out, out, key=keys[1])
        self.modulation = eqx.nn.Linear(features, 2 * out, dtype=jnp.float32, key=keys[2])
        reach = channels**-0.5
        matrix = jax.random.uniform(keys[3], (channels, out), jnp.float32, -reach, reach)
        self.skip = None if channels == out else matrix

    def __call__(self, x: Float[Array, "h w channels"], features: Float[Array, " features"]) -> Float[Array, "h w out"]:
        scale, shift = jnp.split(self.modulation(features)[None, None], 2, axis=2)
        hidden = self.first(jax.nn.silu(normalised(x)))
        hidden = self.second(jax.nn.silu((1 + scale) * normalised(hidden) + shift))
        return hidden + (x if self.skip is None else x @ self.skip)


class UNet(eqx.Module):
    """f(t, x): blocks at half the image's size, at a quarter, and at half again, which also sees what was there before.

    To come to half the size, 2 × 2 pixels become the channels of one; nothing is lost by that, and every other step
    takes a quarter of the time that it would take at full size.
    """

    shape: tuple[int, int, int] = eqx.field(static=True)
    embedding: eqx.nn.Linear
    entry: Conv
    down: Block
    middle: tuple[Block, Block]
    up: Block
    exit: Conv

    def __init__(self, dimension: int, *, shape: tuple[int, ...], channels: int = 32, key: PRNGKeyArray):
        """Untrained, as `Conv` and `equinox.nn.Linear` begin.

        Args:
            dimension: d = h w c.
            shape: (h, w) or (h, w, c), sides multiples of 4.
            channels: at half size, twice as many at a quarter; a multiple of 8.
            key: draws the weights.
        """
        shape = (*shape, 1) if len(shape) == 2 else tuple(shape)
        if len(shape) != 3 or dimension != math.prod(shape) or shape[0] % 4 or shape[1] % 4:
            allowed = f"(h, w) or (h, w, c), h and w multiples of 4, with {dimension} pixels and channels"
            raise ValueError(f"shape must be {allowed}; got {shape}")
        if check.integer("channels", channels, GROUP) % GROUP:
            raise ValueError(f"channels must be a multiple of {GROUP}; got {channels}")
        self.shape, wide, features = shape, 2 * channels, 4 * channels
        keys = iter(jax.random.split(key, 7))
        self.embedding = eqx.nn.Linear(2 * FREQUENCIES, features, dtype=jnp.float32, key=next(keys))
        self.entry = Conv(4 * shape[2], channels, key=next(keys))
        self.down = Block(channels, channels, features, key=next(keys))
        narrow = Block(channels, wide, features, key=next(keys))
        self.middle = narrow, Block(wide, wide, features, key=next(keys))
        self.up = Block(wide + channels, channels, features, key=next(keys))
        self.exit = Conv(channels, 4 * shape[2], key=next(keys))

    def __call__(self, t: Float[Array, ""], x: Float[Array, " d"]) -> Float[Array, " d"]:
        phases = jnp.pi * t * jnp.arange(1, FREQUENCIES + 1, dtype=t.dtype)
        waves = jnp.concatenate([jnp.cos(phases), jnp.sin(phases)]).astype(x.dtype)
        features = jax.nn.silu(self.embedding(waves))
        half = self.down(self.entry(folded(x.reshape(self.shape))), features)
        hidden = halved(half)
        for block in self.middle:
            hidden = block(hidden, features)
        hidden = self.up(jnp.concatenate([doubled(hidden), half], axis=2), features)
        return unfolded(self.exit(jax.nn.silu(normalised(hidden)))).reshape(-1)


GROUP = 8  # channels normalised together
FREQUENCIES = 8  # of the time features cos πkt, sin πkt


def normalised(x: Float[Array, "h w channels"]) -> Float[Array, "h w channels"]:
    """Group norm: mean 0 and variance 1 over the image and 8 channels at a time; in float32."""
    groups = x.astype(jnp.float32).reshape(*x.shape[:2], -1, GROUP)
    centred = groups - groups.mean(axis=(0, 1, 3), keepdims=True)
    variance = jnp.mean(centred**2, axis=(0, 1, 3), keepdims=True)
    return (centred * jax.lax.rsqrt(variance + 1e-5)).reshape(x.shape).astype(x.dtype)


def folded(x: Float[Array, "h w channels"]) -> Float[Array, "h2 w2 four_channels"]:
    """2 × 2 pixels as the channels of one."""
    height, width, channels = x.shape
    blocks = x.reshape(height // 2, 2, width // 2, 2, channels)
    return blocks.transpose(0, 2, 1, 3, 4).reshape(height // 2, width // 2, 4 * channels)


def unfolded(x: Float[Array, "h2 w2 four_channels"]) -> Float[Array, "h w channels"]:
    """The inverse of `folded`."""
    height, width, channels = x.shape
    blocks = x.reshape(height, width, 2, 2, channels // 4)
    return blocks.transpose(0, 2, 1, 3, 4).reshape(2 * height, 2 * width, channels // 4)


def halved(x: Float[Array, "h w channels"]) -> Float[Array, "h2 w2 channels"]:
    """Means of 2 × 2 pixels."""
    height, width, channels = x.shape
    return x.reshape(height // 2, 2, width // 2, 2, channels).mean(axis=(1, 3))


def doubled(x: Float[Array, "h w channels"]) -> Float[Array, "h2 w2 channels"]:
    """Each pixel four times."""
    return jnp.repeat(jnp.repeat(x, 2, axis=0), 2, axis=1)
