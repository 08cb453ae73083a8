"""The U-Net: its parts against loops over pixels, the sizes it takes, and that it learns."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from rfcollapse.learn import unet
from rfcollapse.learn.pairs import Pairs
from rfcollapse.learn.reflow import new_models
from rfcollapse.learn.train import Training, train
from rfcollapse.learn.unet import UNet

KEY = jax.random.key(0)
T = jnp.float32(0.3)
SMALL = {"shape": (4, 4), "channels": 8}


def image(*shape):
    return jax.random.normal(jax.random.key(1), shape, dtype=jnp.float32)


def test_convolution_is_scipys():
    x, conv = image(5, 6, 2), unet.Conv(2, 3, key=KEY)
    conv = eqx.tree_at(lambda c: c.bias, conv, jnp.arange(3, dtype=jnp.float32))
    kernels = np.asarray(conv.weight).reshape(3, 3, 2, 3)
    for out in range(3):
        planes = [scipy.signal.correlate2d(x[..., i], kernels[..., i, out], mode="same") for i in range(2)]
        np.testing.assert_allclose(conv(x)[..., out], sum(planes) + out, atol=1e-5)


def test_norm_folding_and_resizing():
    x = 3 + 2 * image(4, 6, 16)
    groups = np.asarray(unet.normalised(x)).reshape(24, 2, 8)
    np.testing.assert_allclose(groups.mean(axis=(0, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(groups.std(axis=(0, 2)), 1, atol=1e-4)
    folded = unet.folded(x)
    assert folded.shape == (2, 3, 64)
    np.testing.assert_array_equal(folded[1, 2, 16:32], x[2, 5])  # the second pixel of a block is to the right
    np.testing.assert_array_equal(unet.unfolded(folded), x)
    np.testing.assert_allclose(unet.halved(x)[1, 2], np.asarray(x)[2:4, 4:6].mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_array_equal(unet.doubled(x)[5, 7], x[2, 3])


@pytest.mark.parametrize("shape", [(8, 8), (16, 16, 3), (28, 28, 1), (32, 32, 3)], ids=str)
def test_takes_images_of_these_sizes(shape):
    d = int(np.prod(shape))
    net = eqx.filter_eval_shape(UNet, d, shape=shape, channels=8, key=KEY)
    out = eqx.filter_eval_shape(net, T, jnp.zeros(d, dtype=jnp.float32))
    assert out.shape == (d,) and out.dtype == jnp.float32


@pytest.mark.slow
def test_every_pixel_and_the_time_reach_every_pixel():
    """At 8 × 8 pixels the field of view is the whole image."""
    net, x = UNet(64, shape=(8, 8), channels=8, key=KEY), image(64)
    by_time, by_pixel = jax.jit(jax.jacfwd(net, argnums=(0, 1)))(T, x)
    assert np.all(np.abs(by_pixel) > 0) and np.all(np.abs(by_time) > 1e-6)


@pytest.mark.slow
def test_all_weights_have_a_finite_gradient():
    net, x = UNet(16, **SMALL, key=KEY), image(16)
    slope = eqx.filter_jit(eqx.filter_grad(lambda net: jnp.sum(net(T, x) ** 2)))(net)
    for leaf in jax.tree.leaves(slope):
        assert np.all(np.isfinite(leaf)) and np.any(np.asarray(leaf) != 0)


@pytest.mark.slow
@pytest.mark.computes
def test_it_learns_the_velocity_of_a_gaussian():
    """Oracle: v = a(t) x, a = (tλ − (1−t))/(t²λ + (1−t)²), and what that leaves of the loss."""
    variances = np.repeat(np.array([4, 0.25], dtype=np.float32), 8)
    data = jnp.asarray(np.sqrt(variances) * np.asarray(image(1, 4096, 16)))
    everywhere = jnp.ones((1, 4096))
    pairs = Pairs(jnp.zeros_like(data), data, everywhere, everywhere > 0)
    models = new_models(KEY, 16, 1, "unet", "velocity", **SMALL)
    training = Training(steps=1000, batch=64, learning_rate=5e-3)
    trained, _ = train(KEY, models, pairs, training=training)
    net = jax.tree.map(lambda leaf: leaf[0], trained)
    found = jax.jit(jax.vmap(net, in_axes=(None, 0)))
    missed, whole = [], []
    for t in (0.1, 0.3, 0.5, 0.7, 0.9):
        moment = t**2 * variances + (1 - t) ** 2
        gain = np.float32((t * variances - (1 - t)) / moment)
        x = jnp.asarray(np.sqrt(moment) * np.random.default_rng(2).normal(size=(500, 16)), dtype=jnp.float32)
        best = gain * np.asarray(x)
        missed.append(np.mean((np.asarray(found(jnp.float32(t), x)) - best) ** 2))
        whole.append(np.mean(best**2))
    assert np.mean(missed) < 0.1 * np.mean(whole), (missed, whole)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"shape": (4, 6)}, r"multiples of 4, with 16 pixels and channels; got \(4, 6, 1\)"),
        ({"shape": (2, 8)}, r"got \(2, 8, 1\)"),
        ({"shape": (16,)}, r"shape must be \(h, w\) or"),
        ({"shape": (4, 4), "channels": 12}, "channels must be a multiple of 8; got 12"),
        ({"shape": (4, 4), "channels": 4}, "channels must be at least 8"),
    ],
)
def test_refuses(options, words, unchecked):
    with pytest.raises(ValueError, match=words):
        UNet(16, key=KEY, **options)
