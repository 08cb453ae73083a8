"""What is looked at in a round, on flows whose samples are known."""

import jax
import jax.numpy as jnp
import numpy as np

from rfcollapse.learn import reflow
from rfcollapse.learn.pairs import Sampler
from rfcollapse.measure.images import reference
from rfcollapse.runs import looks as pictures

KEY, SAMPLER = jax.random.key(0), Sampler(4, "heun", 512)


def linear(gain):
    """Velocities v = gain · x of two seeds: samples e^gain z."""
    models = reflow.new_models(KEY, 3, 2, "linear", "velocity", knots=2)
    return jax.tree.map(lambda leaf: jnp.broadcast_to(gain * jnp.eye(3, dtype=leaf.dtype), leaf.shape), models)


def axes():
    rows = np.random.default_rng(0).normal(size=(1600, 3))
    return reference(rows[:800], rows[800:], lambda x: jnp.asarray(x))


def test_a_known_flow():
    found = pictures.looked_at(KEY, linear(0.5), axes(), SAMPLER, samples=4000)
    assert found["variance_ratio"].shape == (2, 3)
    np.testing.assert_allclose(found["variance_ratio"], np.exp(1.0), rtol=0.15)
    # W2² between N(0, 1) and N(0, s²) is 3 (s − 1)², s = (1 + 1/(2N))^N for N Euler steps
    expected = [3 * ((1 + 0.5 / steps) ** steps - 1) ** 2 for steps in pictures.STEPS]
    np.testing.assert_allclose(found["few_steps"], [expected] * 2, rtol=0.25)
    assert np.all(np.diff(found["few_steps"], axis=1) > 0)  # more steps, closer to the true flow, farther from the data
    assert np.all(found["reconstruction"] < 1e-4) and found["shown"].shape == (8, 3)
    again = pictures.looked_at(KEY, linear(0.5), axes(), SAMPLER, samples=4000, curve=False)
    np.testing.assert_array_equal(again["shown"], found["shown"])
    assert "few_steps" not in again


def test_a_broken_seed_is_nan_and_the_other_is_not():
    models = jax.tree.map(lambda leaf: leaf.at[1].set(jnp.nan), linear(0.0))
    found = pictures.looked_at(KEY, models, axes(), SAMPLER, samples=100)
    found.pop("shown")
    for values in found.values():
        assert np.all(np.isfinite(values[0])) and np.all(np.isnan(values[1]))


def test_levels():
    rows = np.array([[-9.0, 0.0], [0.5, 9.0], [np.nan, 0.0]])
    np.testing.assert_array_equal(pictures.levels(rows, 2.0, np.array([0.0, 0.5]), 15), [[0, 8], [15, 15], [0, 8]])
