"""The image sections at sizes that only show that they run, and the count of FLOPs against XLA's."""

import jax
import jax.numpy as jnp
import pytest

from rfcollapse import bench_images
from rfcollapse.learn import velocity


def test_flops_are_xlas_but_for_the_rest():
    net = velocity.UNet(768, shape=(16, 16, 3), channels=32, key=jax.random.key(0))
    program = jax.jit(lambda t, x: net(t, x)).lower(jnp.float32(0), jnp.zeros(768, dtype=jnp.float32)).compile()
    counted = program.cost_analysis()["flops"]
    assert 0.85 * counted < bench_images.flops(net) < counted


def test_agreement_of_a_device_with_itself():
    rows = {(row["net"], row["dtype"]): row for row in bench_images.agreement(quick=True)}
    for name in ("mlp", "unet"):
        assert rows[name, "float32"]["loss_difference"] < 1e-6 > rows[name, "float32"]["gradient_difference"]
        assert 0 < rows[name, "bfloat16"]["gradient_difference"] < 0.1


@pytest.mark.slow
def test_the_section_runs():
    rows = bench_images.unet(quick=True)
    assert [row["dtype"] for row in rows] == ["float32", "bfloat16"]
    for row in rows:
        assert row["images_per_second"] > 0 and 0 < row["floor_share"] and 0 < row["peak_share"] < 1
