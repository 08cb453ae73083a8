"""The same numbers whether or not JAX's 64-bit mode is on, in float64, and a mode that stays as it was."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rfcollapse import check, data
from rfcollapse.advice import mechanisms
from rfcollapse.learn import classifier, denoise, integrate, plan, reflow
from rfcollapse.measure import distances, paths
from rfcollapse.simulate import dae as simulate_dae
from rfcollapse.simulate import flow as simulate_flow
from rfcollapse.simulate import regression
from rfcollapse.simulate import resampling as refit
from rfcollapse.theory import anydata, dae, flow, resampling

KEY, ROWS = jax.random.key(0), np.random.default_rng(0).standard_normal((30, 2))
GRID = np.linspace(0.1, 10, 7)
COMPUTED = {
    "closed forms": lambda: (dae.lifetime(GRID, 1.0), dae.retained_variance(GRID, 1.0, 0.3), flow.euler_gain(GRID, 5)),
    "matrices": lambda: dae.optimal_map([[2.0, 0.3], [0.3, 1.0]], 1.0),
    "schemes": lambda: flow.scheme_coupling("oras", GRID, real_fraction=0.3),
    "without a check": lambda: resampling.mean_std_factor(np.arange(2, 9)),
    "points": lambda: anydata.two_points_levels(3.0, 1.0, 0.1),
    "rounds": lambda: anydata.flow_settled(anydata.components(np.sort(ROWS, axis=0)), 3, 0.3),
    "dae": lambda: simulate_dae.run(KEY, np.diag([4.0, 1.0]), samples=9, noise_std=1.0, rounds=2, seeds=2),
    "flow": lambda: simulate_flow.run(KEY, np.diag([4.0, 1.0]), samples=9, steps=3, rounds=2, seeds=2),
    "regression": lambda: regression.run(KEY, 2, samples=5, rounds=2),
    "words": lambda: refit.words(KEY, [5, 3, 2], samples=10, rounds=3),
    "mixture": lambda: data.eight_gaussians(KEY, 9),
    "gaussian": lambda: data.gaussian(KEY, 9, np.array([[4.0, 1.0], [1.0, 1.0]])),
    "distances": lambda: (distances.sliced_w2(KEY, ROWS, ROWS[:20]), paths.straightness(np.ones((3, 4, 2)))),
    "advice": lambda: mechanisms.required_fraction(mechanisms.Refit(9), np.array([3.0, 1.0]), 0.9, every=2),
    "one round": lambda: [one.one_round(GRID, 0.1, GRID) for one in (mechanisms.Refit(9), mechanisms.Rate(0.1))],
}  # fmt: skip


def both(compute):
    """With the mode off and with it on."""
    for mode in (False, True):
        with jax.enable_x64(mode):
            result = compute()
            assert jnp.zeros(1).dtype == (jnp.float64 if mode else jnp.float32)
        yield [np.asarray(leaf) for leaf in jax.tree.leaves(result)]


@pytest.mark.parametrize("name", COMPUTED)
def test_what_is_computed_in_float64(name):
    off, on = both(COMPUTED[name])
    assert len(off) == len(on) > 0
    for one, other in zip(off, on):
        assert one.dtype == other.dtype == np.float64
        np.testing.assert_array_equal(one, other)


def settings(**more):
    training = plan.Training.usual("linear", steps=4, batch=16)
    return {"model": "linear", "seeds": 2, "training": training} | more


def flowed(scheme):
    return reflow.run(KEY, ROWS, scheme=scheme, rounds=1, real_fraction=0.3, pairs=20, steps=3, **settings())


@pytest.mark.parametrize("train", [
    lambda: flowed("oras"),
    lambda: flowed("ora"),
    lambda: denoise.run(KEY, ROWS, noise_std=1.0, rounds=2, real_fraction=0.5, **settings()),
    lambda: classifier.train_classifier(KEY, ROWS, np.arange(30) % 3, width=4).layers[0].weight,
    lambda: integrate.generate(lambda t, x: jnp.tanh(x), jnp.ones((3, 2), "float32"), method="adaptive"),
])  # fmt: skip
def test_trained_networks_are_the_same_to_the_bit(train, monkeypatch):
    monkeypatch.setattr(classifier, "STEPS", 3)
    off, on = both(lambda: eqx.filter(train(), eqx.is_array_like))
    assert [leaf.dtype for leaf in off] == [leaf.dtype for leaf in on]
    for one, other in zip(off, on):
        np.testing.assert_array_equal(one, other)


def test_results_outside_the_mode_do_not_fall_to_float32():
    with jax.enable_x64(False):
        kept = dae.optimal_gain(1e6, 1.0)
        assert type(kept) is np.ndarray and float(1 - kept) == pytest.approx(1e-6, rel=1e-9)
        assert simulate_dae.run(KEY, [[1.0]], samples=5, noise_std=1.0, rounds=1).gains.sum().dtype == np.float64


@pytest.mark.parametrize("law", [
    lambda x: dae.next_variance(x, 1.0), lambda x: dae.retained_cycle(x, 1.0, 0.3, 2),
    lambda x: dae.lifetime(x, 1.0), lambda x: flow.scheme_limit("oras", x, ridge=0.1, real_fraction=0.5),
])  # fmt: skip
def test_within_a_program_of_float32(law):
    """Taken and returned as float32, computed in float64 between: a jitted loop keeps its types, and 1e-200 is no 0."""
    with jax.enable_x64(False):
        x = jnp.float32(4.0)
        expected = np.asarray(law(4.0), np.float32)
        for traced in (jax.jit(law)(x), jax.vmap(law)(x[None])[0]):
            assert traced.dtype == jnp.float32
            np.testing.assert_array_equal(traced, expected)
        assert jax.jacfwd(law)(x).dtype == jnp.float32


def test_gradients_of_float32_programs():
    with jax.enable_x64(False):
        slope = jax.jit(jax.grad(lambda x: dae.next_variance(x, 1.0)))(4.0)
    assert slope.dtype == jnp.float32 and float(slope) == pytest.approx(1 - 1 / 25, rel=1e-6)


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")
def test_gradients_that_a_float32_program_is_refused():
    """Loudly, and as `rfcollapse` says: the way back through a product runs outside of the 64-bit mode."""
    slope = jax.grad(lambda x: flow.euler_gain(x, 5))
    with jax.enable_x64(False), pytest.raises(TypeError, match="float64"):
        slope(4.0)
    with jax.enable_x64(True):
        assert slope(4.0).dtype == jnp.float64


def test_nothing_is_compiled_twice():
    compiled = []
    function = check.in_float64(jax.jit(lambda x: compiled.append(x) or x / 3))
    for mode in (False, True, False):
        with jax.enable_x64(mode):
            function(np.float64(1.0))
    assert len(compiled) == 1
