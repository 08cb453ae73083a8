"""The nets and the two ways to read them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rfcollapse.learn.velocity import MLP, NETS, PARAMETRISATIONS, Denoiser, Linear, Velocity

KEY = jax.random.key(0)
T = jnp.float32(0.3)
OPTIONS = {"unet": {"shape": (4, 4, 1), "channels": 8}}
D = 16


def built(net):
    return NETS[net](D, key=KEY, **OPTIONS.get(net, {}))


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_shape_and_dtype_are_those_of_the_sample(net, parametrisation):
    model = eqx.filter_eval_shape(lambda: PARAMETRISATIONS[parametrisation](built(net)))
    assert {leaf.dtype for leaf in jax.tree.leaves(model)} == {jnp.dtype(jnp.float32)}
    x = jnp.ones((5, D), dtype=jnp.float32)
    v = eqx.filter_eval_shape(lambda model: jax.vmap(model, in_axes=(None, 0))(T, x), model)
    assert v.shape == (5, D) and v.dtype == jnp.float32


@pytest.mark.parametrize("net", NETS)
def test_the_net_computes_in_the_dtype_it_is_cast_to(net):
    def cast():
        half = jax.tree.map(lambda p: p.astype(jnp.bfloat16), built(net))
        return half(T, jnp.ones(D, dtype=jnp.bfloat16))

    assert jax.eval_shape(cast).dtype == jnp.bfloat16


@pytest.mark.parametrize("d", [2, 9])
def test_linear_interpolates_its_matrices_and_is_linear(d):
    net = Linear(d, knots=5, key=KEY)
    matrices, x = np.asarray(net.matrices, dtype=float), np.linspace(0.7, -1.2, d)
    for t in (0.0, 0.1, 0.25, 0.6, 0.99, 1.0):
        entries = [[np.interp(t, np.linspace(0, 1, 5), matrices[:, i, j]) for j in range(d)] for i in range(d)]
        np.testing.assert_allclose(net(jnp.float32(t), jnp.asarray(x, jnp.float32)), entries @ x, rtol=1e-5, atol=1e-6)
    a, b = jax.random.normal(jax.random.key(1), (2, d), dtype=jnp.float32)
    np.testing.assert_allclose(net(T, 2 * a - b), 2 * net(T, a) - net(T, b), rtol=1e-5, atol=1e-6)


def test_mlp_sees_the_time():
    net = MLP(2, width=8, depth=1, frequencies=2, key=KEY)
    x = jnp.ones(2, dtype=jnp.float32)
    first, last = net(jnp.float32(0), x), net(jnp.float32(1), x)
    assert float(jnp.abs(first - last).max()) > 1e-3
    assert len(net.layers) == 2 and net.layers[0].weight.shape == (8, 2 + 4)


def test_targets_and_velocity():
    net = MLP(2, width=8, key=KEY)
    x0, x1 = jnp.array([1.0, 2.0]), jnp.array([5.0, -1.0])
    np.testing.assert_array_equal(Velocity(net).target(x0, x1), [4.0, -3.0])
    np.testing.assert_array_equal(Denoiser(net).target(x0, x1), [5.0, -1.0])
    x = jnp.array([0.5, -0.5], dtype=jnp.float32)
    # A denoiser that is right about x1 gives the straight line's velocity.
    x1 = net(T, x)
    x0 = (x - T * x1) / (1 - T)
    np.testing.assert_allclose(Denoiser(net)(T, x), x1 - x0, rtol=1e-5)


@pytest.mark.parametrize("options", [{"width": 0}, {"depth": 0}, {"frequencies": 0}])
def test_refuses(options, unchecked):
    with pytest.raises(ValueError, match="must be at least 1"):
        MLP(2, key=KEY, **options)
    with pytest.raises(ValueError, match="knots must be at least 2"):
        Linear(2, knots=1, key=KEY)
