"""Speed of the U-Net, and whether two devices agree: `rfcollapse bench unet agreement`.

Training is that of `rfcollapse.learn.train`, on a pool of noise in the place of images, which costs the same.
"""

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from bench_training import matmul, on_gpu
from contenders import race, timed

from rfcollapse.learn import integrate, train, velocity
from rfcollapse.learn.pairs import Pairs
from rfcollapse.learn.unet import Conv

SHAPES = ((8, 8, 1), (16, 16, 3), (32, 32, 3))
PRECISIONS = ("float32", "bfloat16")
POOL = 1024


def unet(quick: bool) -> list[dict]:
    """Images a second in training and sampling, the share of the measured matmul peak, and of time that is launches.

    The floor is a step of the same net, as narrow as it can be, on one image: what remains where there is nothing to
    compute.
    """
    small, rows = ((8, 8, 1), 8, 1, 1), []
    if quick:
        sizes = [((8, 8, 1), 8, 4, 1)]
    elif on_gpu():
        sizes = [(shape, channels, 512, seeds) for shape in SHAPES for channels in (32, 128) for seeds in (1, 8)]
    else:
        sizes = [((8, 8, 1), channels, 64, 1) for channels in (16, 32)] + [((16, 16, 3), 16, 64, 1)]
    for precision in PRECISIONS:
        peak, peak_flops = matmul(256 if quick else 8192 if on_gpu() else 2048, precision)
        for shape, channels, batch, seeds in sizes:
            steps = 2 if quick else 200 if on_gpu() else 10
            models = net(shape, channels, seeds)
            x = jax.random.normal(jax.random.key(1), (batch, np.prod(shape)), dtype=jnp.float32)
            one = jax.tree.map(lambda leaf: leaf[0], models)
            runners = {
                "train": trained(models, steps, batch, precision),
                "floor": trained(net(small[0], small[1], 1), steps, small[2], precision),
                "sample": partial(integrate.generate, one, x, steps=10, method="euler"),
                "peak": peak,
            }
            compiled = timed(runners["train"])
            seconds = race(runners, 1 if quick else 3)
            work = 3 * flops(one.net) * batch * seeds * steps / seconds["train"]
            row = {"shape": list(shape), "channels": channels, "batch": batch, "seeds": seeds, "dtype": precision}
            row |= {
                "step_seconds": seconds["train"] / steps,
                "images_per_second": batch * seeds * steps / seconds["train"],
            }
            row |= {"compile_seconds": max(0.0, compiled - seconds["train"])}
            row |= {"gigaflops": work / 1e9, "peak_share": work / (peak_flops / seconds["peak"])}
            row |= {"floor_seconds": seconds["floor"] / steps, "floor_share": seconds["floor"] / seconds["train"]}
            rows.append(row | {"ten_step_samples_per_second": batch / seconds["sample"]})
    return rows


def flops(net: eqx.Module) -> float:
    """Of the convolutions for one image, forward; the rest is little."""
    height, width, _ = net.shape
    at_half, at_quarter = (net.entry, net.down, net.up, net.exit), net.middle
    return 2.0 * sum(
        height * width / area * layer.weight.size
        for part, area in ((at_half, 4), (at_quarter, 16))
        for layer in jax.tree.leaves(part, is_leaf=lambda node: isinstance(node, Conv))
        if isinstance(layer, Conv)
    )


def net(shape: tuple[int, ...], channels: int, seeds: int) -> velocity.Velocity:
    keys = jax.random.split(jax.random.key(0), seeds)
    options = {"shape": shape, "channels": channels}
    return eqx.filter_vmap(lambda key: velocity.Velocity(velocity.UNet(int(np.prod(shape)), key=key, **options)))(keys)


def trained(models: velocity.Velocity, steps: int, batch: int, precision: str) -> Callable:
    leaf = jax.tree.leaves(eqx.filter(models, eqx.is_array))[0]
    d = int(np.prod(models.net.shape))
    data = jax.random.normal(jax.random.key(1), (leaf.shape[0], POOL, d), dtype=jnp.float32)
    everywhere = jnp.ones(data.shape[:2])
    pairs = Pairs(jnp.zeros_like(data), data, everywhere, everywhere > 0)
    training = train.Training(steps=steps, batch=batch, learning_rate=1e-4, chunk=steps, precision=precision)
    return lambda: train.train(jax.random.key(0), models, pairs, training=training)


def agreement(quick: bool) -> list[dict]:
    """Loss and its gradient on this device against this machine's CPU in float32: relative differences.

    On a machine without another device the float32 rows are 0.
    """
    rows, batch = [], 8 if quick else 256
    sizes = {"mlp": (2, {"width": 64}), "unet": (64, {"shape": (8, 8), "channels": 8 if quick else 32})}
    for name, (d, options) in sizes.items():
        model = velocity.Velocity(velocity.NETS[name](d, key=jax.random.key(0), **options))
        params, static = eqx.partition(model, eqx.is_array)
        x0, x1 = jax.random.normal(jax.random.key(1), (2, batch, d), dtype=jnp.float32)
        t = jnp.linspace(0, 1, batch, dtype=jnp.float32)

        def slope(params, x0, x1, t, dtype, static=static):
            def loss(params):
                net = eqx.combine(jax.tree.map(lambda leaf: leaf.astype(dtype), params), static)
                x = ((1 - t)[:, None] * x0 + t[:, None] * x1).astype(dtype)
                return jnp.mean((jax.vmap(net)(t, x).astype(jnp.float32) - (x1 - x0)) ** 2)

            value, slope = jax.value_and_grad(loss)(params)
            return value, jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(slope)])

        def on(device, dtype, given=(params, x0, x1, t), slope=slope):
            found = jax.jit(slope, static_argnames="dtype")(*jax.device_put(given, device), dtype)
            return [np.asarray(part, dtype=np.float64) for part in found]

        value, gradient = on(jax.devices("cpu")[0], jnp.dtype(jnp.float32))
        for precision in PRECISIONS:
            theirs, other = on(jax.devices()[0], jnp.dtype(precision))
            row = {"net": name, "dtype": precision, "loss_difference": float(abs(theirs - value) / value)}
            rows.append(
                row | {"gradient_difference": float(np.linalg.norm(other - gradient) / np.linalg.norm(gradient))}
            )
    return rows


SECTIONS = {"unet": unet, "agreement": agreement}
