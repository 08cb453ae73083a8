"""Speed of the U-Net, and whether two devices agree: `rfcollapse bench unet agreement`.

Training is that of `rfcollapse.learn.train`, on a pool of noise in the place of images, which costs the same.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from bench_training import OURS, Started, beside, matmul, on_gpu, repetitions
from contenders import Case

from rfcollapse.learn import integrate, train, velocity
from rfcollapse.learn.devices import cores
from rfcollapse.learn.pairs import Pairs
from rfcollapse.learn.unet import Conv

PRECISIONS = ("float32", "bfloat16")
POOL = 1024


def unet(quick: bool, peers: str | None) -> Iterator[Case]:
    """Images a second in training, the share of the measured matmul peak and of time that is launches; and in sampling.

    The floor is a step of the same net, as narrow as it can be, on one image: what remains where there is nothing to
    compute. Sampling is by ten Euler steps.
    """
    small = ((8, 8, 1), 8, 1, 1)
    if quick:
        sizes = [small]
    elif on_gpu():  # few, for each is compiled for longer than it runs; eight seeds of the large ones fill a card
        sizes = [((8, 8, 1), 64, 256, 1), ((8, 8, 1), 64, 256, 8), ((32, 32, 3), 64, 256, 1)]
    else:
        sizes = [((8, 8, 1), channels, 64, 1) for channels in (16, 32)] + [((16, 16, 3), 16, 64, 1)]
    steps = 2 if quick else 30 if on_gpu() else 10

    def measure(started, shape, channels, batch, seeds, dtype):
        peak, peak_flops = matmul(256 if quick else 8192 if on_gpu() else 2048, dtype)
        models = net(shape, channels, seeds)
        floor = trained(net(small[0], small[1], 1), steps, small[2], dtype)
        runners = {(OURS, cores()): trained(models, steps, batch, dtype), "floor": floor, "peak": peak}
        alike = dict(plain=True, shape=shape, channels=channels)
        if seeds == 1:
            runners |= started.asked(net="unet", batch=batch, dtype=dtype, steps=steps, **alike)
        seconds, rows = beside(runners, repetitions(quick))
        work = 3 * flops(jax.tree.map(lambda leaf: leaf[0], models).net)
        for row in rows:
            if "seconds" in row:
                value = row.pop("seconds")
                images = batch * seeds * steps / value
                row |= {"step_seconds": value / steps, "images_per_second": images, "gigaflops": work * images / 1e9}
                row |= {"peak_share": work * images / (peak_flops / seconds["peak"])}
        spent = rows[0]["step_seconds"] * steps
        rows[0] |= {"floor_seconds": seconds["floor"] / steps, "floor_share": seconds["floor"] / spent}
        return rows

    def drawn(started, shape, channels, batch):
        one = jax.tree.map(lambda leaf: leaf[0], net(shape, channels, 1))
        x = jax.random.normal(jax.random.key(1), (batch, np.prod(shape)), dtype=jnp.float32)
        runners = {(OURS, cores()): partial(integrate.generate, one, x, steps=10, method="euler")}
        asked = dict(plain=True, shape=shape, channels=channels, samples=batch, steps=10, method="euler")
        _, rows = beside(runners | started.asked(**asked), repetitions(quick))
        for row in rows:
            if "seconds" in row:
                row["samples_per_second"] = batch / row.pop("seconds")
        return rows

    with Started(peers) as started:
        precisions = PRECISIONS[-1:] if quick else PRECISIONS  # to compile a U-Net is most of a quick run
        for dtype, (shape, channels, batch, seeds) in itertools.product(precisions, sizes):
            given = {"shape": list(shape), "channels": channels, "batch": batch}
            head = {"task": "train"} | given | {"seeds": seeds, "dtype": dtype}
            yield head, partial(measure, started, **given | {"shape": shape, "seeds": seeds, "dtype": dtype})
        for shape, channels, batch, _ in [size for size in sizes if size[3] == 1]:
            given = {"shape": list(shape), "channels": channels, "batch": batch}
            yield {"task": "sample"} | given, partial(drawn, started, **given | {"shape": shape})


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


def one_step(name: str, d: int, options: dict, batch: int) -> Callable:
    """(device, dtype, precision of matmuls) → the loss of one batch and its gradient, float64 on the host.

    name, d and options: of the net. precision: as `jax.default_matmul_precision` takes it, None is the device's own.
    """
    model = velocity.Velocity(velocity.NETS[name](d, key=jax.random.key(0), **options))
    params, static = eqx.partition(model, eqx.is_array)
    x0, x1 = jax.random.normal(jax.random.key(1), (2, batch, d), dtype=jnp.float32)
    t = jnp.linspace(0, 1, batch, dtype=jnp.float32)

    @partial(jax.jit, static_argnames="dtype")
    def slope(params, x0, x1, t, dtype):
        def loss(params):
            net = eqx.combine(jax.tree.map(lambda leaf: leaf.astype(dtype), params), static)
            x = ((1 - t)[:, None] * x0 + t[:, None] * x1).astype(dtype)
            return jnp.mean((jax.vmap(net)(t, x).astype(jnp.float32) - (x1 - x0)) ** 2)

        value, slope = jax.value_and_grad(loss)(params)
        return value, jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(slope)])

    def on(device, dtype, precision=None):
        with jax.default_matmul_precision(precision) if precision else contextlib.nullcontext():
            value, gradient = slope(*jax.device_put((params, x0, x1, t), device), jnp.dtype(dtype))
        return float(value), np.asarray(gradient, dtype=np.float64)

    return on


def agreement(quick: bool) -> Iterator[Case]:
    """Loss and its gradient on this device against this machine's CPU in float32: relative differences.

    "highest" asks for float32 proper, where the device's own choice may be TF32. On a machine without another device
    the float32 rows are 0.
    """
    batch = 8 if quick else 256

    def measure(*net):
        on = one_step(*net, batch)
        value, gradient = on(jax.devices("cpu")[0], "float32")
        rows = []
        for dtype, precision in (("float32", "highest"), *((dtype, None) for dtype in PRECISIONS)):
            theirs, other = on(jax.devices()[0], dtype, precision)
            row = {"dtype": dtype, "precision": precision or "default"}
            row |= {"loss_difference": float(abs(theirs - value) / value)}
            difference = np.linalg.norm(other - gradient) / np.linalg.norm(gradient)
            rows.append(row | {"gradient_difference": float(difference)})
        return rows

    yield {"net": "mlp"}, partial(measure, "mlp", 2, {"width": 64})
    yield {"net": "unet"}, partial(measure, "unet", 64, {"shape": (8, 8), "channels": 8 if quick else 32})


SECTIONS = {"unet": unet, "agreement": agreement}
