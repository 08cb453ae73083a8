"""What is looked at in a round, on flows whose samples are known."""

import jax
import jax.numpy as jnp
import numpy as np

from rfcollapse.learn import reflow
from rfcollapse.learn.integrate import Integrator
from rfcollapse.measure.images import reference
from rfcollapse.runs import looks

KEY, HEUN = jax.random.key(0), Integrator(4, "heun", 512)


def linear(gain):
    """Velocities v = gain · x of two seeds: samples e^gain z."""
    models = reflow.new_models(KEY, 3, 2, "linear", "velocity", knots=2)
    return jax.tree.map(lambda leaf: jnp.broadcast_to(gain * jnp.eye(3, dtype=leaf.dtype), leaf.shape), models)


def broken_in_the_second_seed():
    return jax.tree.map(lambda leaf: leaf.at[1].set(jnp.nan), linear(0.0))


def axes():
    rows = np.random.default_rng(0).normal(size=(1600, 3))
    return reference(rows[:800], rows[800:], lambda x: jnp.asarray(x))


def test_a_known_flow():
    measured = looks.looked_at(KEY, linear(0.5), axes(), HEUN, samples=4000)
    assert measured["variance_ratio"].shape == (2, 3)
    np.testing.assert_allclose(measured["variance_ratio"], np.exp(1.0), rtol=0.15)
    # W2² between N(0, 1) and N(0, s²) is 3 (s − 1)², s = (1 + 1/(2N))^N for N Euler steps
    expected = [3 * ((1 + 0.5 / steps) ** steps - 1) ** 2 for steps in looks.STEPS]
    np.testing.assert_allclose(measured["few_steps"], [expected] * 2, rtol=0.25)
    assert np.all(np.diff(measured["few_steps"], axis=1) > 0)  # nearer to the true flow, farther from the data
    assert np.all(measured["reconstruction"] < 1e-4) and measured["shown"].shape == (8, 3)
    again = looks.looked_at(KEY, linear(0.5), axes(), HEUN, samples=4000, curve=False)
    np.testing.assert_array_equal(again["shown"], measured["shown"])
    assert "few_steps" not in again


def test_distances_are_those_to_the_held_out_samples():
    """A flow that stands still makes N(0, 1), which lies |s − 1| from N(0, s²)."""
    held = np.asarray(jax.random.normal(jax.random.key(1), (2, 1000, 3))) * np.array([1, 3])[:, None, None]
    measured = looks.compared(jax.random.key(2), linear(0.0), held, HEUN)
    np.testing.assert_allclose(measured["sliced_w2"], [0, 2], atol=0.2)
    np.testing.assert_array_equal(measured["one_step_sliced_w2"], measured["sliced_w2"])
    assert measured["recall"][0] > 0.9 > 0.6 > measured["recall"][1] and measured["coverage"][0] > 0.9
    broken = looks.compared(jax.random.key(2), broken_in_the_second_seed(), held, HEUN)
    assert broken["recall"][0] > 0.9 and np.isnan(broken["recall"][1]) and np.isnan(broken["sliced_w2"][1])


def test_a_broken_seed_is_nan_and_the_other_is_not():
    measured = looks.looked_at(KEY, broken_in_the_second_seed(), axes(), HEUN, samples=100)
    measured.pop("shown")
    for values in measured.values():
        assert np.all(np.isfinite(values[0])) and np.all(np.isnan(values[1]))


def test_levels():
    rows = np.array([[-9.0, 0.0], [0.5, 9.0], [np.nan, 0.0]])
    np.testing.assert_array_equal(looks.levels(rows, 2.0, np.array([0.0, 0.5]), 15), [[0, 8], [15, 15], [0, 8]])
