"""The count of a U-Net's FLOPs against XLA's; that the sections run is tested with all the others."""

import bench_images
import equinox as eqx
import jax
import jax.numpy as jnp

from rfcollapse.learn import velocity


def test_flops_are_xlas_but_for_the_rest():
    net = eqx.filter_eval_shape(velocity.UNet, 768, shape=(16, 16, 3), channels=32, key=jax.random.key(0))
    program = jax.jit(lambda net, *at: net(*at)).lower(net, jnp.float32(0), jnp.zeros(768, dtype=jnp.float32)).compile()
    counted = program.cost_analysis()["flops"]
    assert 0.85 * counted < bench_images.flops(net) < counted
