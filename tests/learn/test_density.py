"""Densities against closed forms, and reverse SDEs against the law they must keep and a simulation in fine steps."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from rfcollapse.learn import density, integrate
from rfcollapse.learn.velocity import Denoiser

pytestmark = pytest.mark.usefixtures("in_float64")
DIFFUSION, COUNT = 1.0, 10_000


class TwoModes(NamedTuple):
    """Independent pairs of noise and ½N(−m, s²) + ½N(m, s²): v = E[x1 − x0 | x_t], and the law of x_t."""

    centre: float
    width: float

    def __call__(self, t, x):
        mean, std = self.half(t)
        side = jnp.tanh(mean * x / std**2)
        return self.centre * side + (t * self.width**2 - (1 - t)) / std**2 * (x - mean * side)

    def half(self, t):
        """Mean and standard deviation of the right half."""
        return t * self.centre, ((t * self.width) ** 2 + (1 - t) ** 2) ** 0.5

    def log_density(self, t, x):
        mean, std = self.half(t)
        return np.logaddexp(stats.norm.logpdf(x, mean, std), stats.norm.logpdf(x, -mean, std)) - np.log(2)

    def cdf(self, x):
        return (stats.norm.cdf(x, self.centre, self.width) + stats.norm.cdf(x, -self.centre, self.width)) / 2

    def score(self, t, x):
        mean, std = self.half(t)
        return -(x - mean * np.tanh(mean * x / std**2)) / std**2


APART, NEAR = TwoModes(2.0, 0.3), TwoModes(1.0, 0.5)


def origin(t, x):
    """The noise z of x in a flow that comes of no independent pairs."""
    return jnp.stack([x[0] - 0.7 * t * jnp.tanh(x[0] + t), x[1] + t * x[0] ** 2 + t * x[1]])


def sheared(t, x):
    """Its velocity: z(t, x) is constant along a path."""
    moving, stretching = jax.jacfwd(origin)(t, x), jax.jacfwd(origin, argnums=1)(t, x)
    return -jnp.linalg.solve(stretching, moving)


@pytest.mark.parametrize("time", [0.0, 0.37, 1.0])
def test_density_of_a_flow_that_no_independent_pairs_have(time):
    x = np.random.default_rng(1).normal(size=(20, 2))
    z = np.array([origin(time, one) for one in x])
    jacobian = np.zeros((20, 2, 2))
    jacobian[:, 0, 0] = 1 - 0.7 * time / np.cosh(x[:, 0] + time) ** 2
    jacobian[:, 1, 0], jacobian[:, 1, 1] = 2 * time * x[:, 0], 1 + time
    expected = stats.norm.logpdf(z).sum(axis=1) + np.log(np.linalg.det(jacobian))
    errors = [
        np.abs(np.asarray(density.log_density(sheared, jnp.asarray(x), time, steps=steps)) - expected).max()
        for steps in (50, 100)
    ]
    assert errors[1] < 1e-3 and (time == 0 or errors[1] < errors[0] / 3)  # of order 2


@pytest.mark.parametrize("time", [0.5, 1.0])
def test_density_of_a_mixture(time):
    mean, std = APART.half(time)
    x = mean + std * np.linspace(-3, 3, 21)
    found = density.log_density(APART, jnp.asarray(x)[:, None], time, steps=1000, at_once=5)
    np.testing.assert_allclose(found, APART.log_density(time, x), atol=0.02)


@pytest.mark.parametrize("method", ["euler", "heun"])
def test_the_density_of_a_few_steps_is_one_too(method):
    """Far from the limit, and still a density; not so where the steps bring several points to one."""
    x, options = np.linspace(-8, 8, 4001), dict(steps=5, method=method)
    found, folded = (np.exp(density.log_density(model, jnp.asarray(x)[:, None], **options)) for model in (NEAR, APART))
    assert np.trapezoid(found, x) == pytest.approx(1, abs=1e-6)
    assert np.trapezoid(folded, x) > 1.3
    assert np.abs(found - np.exp(NEAR.log_density(1.0, x))).max() > 5e-3


def test_density_of_a_denoiser():
    gain = 2.0
    model = Denoiser(lambda t, x: t * gain**2 / (t**2 * gain**2 + (1 - t) ** 2) * x)
    x = jnp.array([[-1.5], [0.2], [3.0]])
    map_ = integrate.generate(model, jnp.ones((1, 1)), steps=10, method="euler")[0, 0]
    found = density.log_density(model, x, steps=10, method="euler")
    np.testing.assert_allclose(found, stats.norm.logpdf(x[:, 0], scale=map_), rtol=1e-6)


def test_the_score_is_the_slope_of_the_density_and_is_carried_along():
    """Against differences; Metropolis's rule would hide a score that is wrong."""
    mixing, steps, width = jnp.array([[1.0, -2.0], [0.5, 1.0]]), 4, 1e-5

    def model(t, x):
        return jnp.tanh(mixing @ x + t)

    def differences(t, x):
        near = x[None] + width * jnp.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
        level = np.asarray(density.log_density(model, near, t, steps=steps))
        return (level[::2] - level[1::2]) / (2 * width)

    walk = density._Walk(integrate.stepper(model, "heun", backward=True), jnp.linspace(1, 0, steps + 1))
    state = x, *found = jnp.array([0.3, -0.8]), *walk.density(1.0, jnp.array([0.3, -0.8]))
    np.testing.assert_allclose(found[1], differences(1.0, x), rtol=1e-7)
    x, level, score = walk.onward(1.0, 0.75, *state)
    np.testing.assert_allclose(x, walk.step(state[0], 1.0, 0.75), rtol=1e-14)
    np.testing.assert_allclose(level, density.log_density(model, x[None], 0.75, steps=steps)[0], rtol=1e-12)
    np.testing.assert_allclose(score, differences(0.75, x), rtol=1e-7)


def reversed_by(kind, model, data, steps=20, method="heun"):
    options = dict(diffusion=DIFFUSION, steps=steps, method=method, at_once=5000)
    key, data = jax.random.key(5), jnp.asarray(data)[:, None]
    if kind == "own":
        return np.asarray(density.reverse_sde(key, model, data, **options))[:, 0]
    probe = jax.random.normal(jax.random.key(6), (5000, 1), dtype=jnp.float64)
    marginals = integrate.marginals(model, probe, steps=steps) if kind == "gaussian" else None
    return np.asarray(integrate.reverse_sde(key, model, data, marginals, **options))[:, 0]


def off_by(samples, cdf):
    """Kolmogorov's distance, in units of which 1.63 is the 1 % point."""
    return stats.kstest(samples, cdf).statistic * len(samples) ** 0.5


def test_data_of_the_models_law_come_back_as_the_noise():
    """With the model's own score; with a Gaussian's, or none, they do not."""
    draw = np.random.default_rng(2)
    data = APART.centre * draw.choice([-1, 1], COUNT) + APART.width * draw.standard_normal(COUNT)
    noise = {kind: reversed_by(kind, APART, data) for kind in ("own", "gaussian", "none")}
    assert off_by(noise["own"], "norm") < 1.63
    assert off_by(noise["gaussian"], "norm") > 3 and off_by(noise["none"], "norm") > 8
    assert np.var(noise["gaussian"]) > 1.4 and np.var(noise["none"]) > 3


def test_a_few_steps_keep_the_law_they_have():
    """Any N: what five steps of Euler bring to N(0, 1), which is not the mixture, comes home as N(0, 1)."""
    z, x = np.random.default_rng(3).standard_normal(COUNT), np.linspace(-8, 8, 100_001)
    options = dict(steps=5, method="euler")
    data = np.interp(z, np.asarray(integrate.invert(NEAR, jnp.asarray(x)[:, None], **options))[:, 0], x)
    assert off_by(data, NEAR.cdf) > 3
    assert off_by(reversed_by("own", NEAR, data, **options), "norm") < 1.63


def test_pairs_are_those_of_the_sde_in_fine_steps():
    """Data that the model would not make; the SDE with the mixture's score, in steps of Euler and Maruyama."""
    draw, steps = np.random.default_rng(4), 2000
    data = 1.2 * draw.standard_normal(COUNT) + 0.5
    x = data
    for t in np.linspace(1, 0, steps, endpoint=False):
        drift = DIFFUSION**2 / 2 * APART.score(t, x) - np.asarray(APART(t, x))
        x = x + drift / steps + DIFFUSION * steps**-0.5 * draw.standard_normal(COUNT)
    off = {}
    for kind in ("own", "gaussian"):
        found = reversed_by(kind, APART, data, steps=80)
        both = ((found * data, x * data), (found**2, x**2), (found**3 * data, x**3 * data))
        spreads = [((np.var(one) + np.var(other)) / COUNT) ** 0.5 for one, other in both]
        off[kind] = [abs(np.mean(one) - np.mean(other)) / spread for (one, other), spread in zip(both, spreads)]
    assert max(off["own"]) < 4 < max(off["gaussian"]), off


def test_without_noise_it_is_inversion():
    x = jnp.asarray(np.random.default_rng(5).normal(size=(6, 2)))
    found = density.reverse_sde(jax.random.key(0), sheared, x, diffusion=0.0, steps=7)
    np.testing.assert_allclose(found, integrate.invert(sheared, x, steps=7), rtol=1e-12)
    single = x.astype(jnp.float32)[:, :1]
    assert density.reverse_sde(jax.random.key(0), NEAR, single, diffusion=0.5, steps=2).dtype == jnp.float32
    assert density.log_density(NEAR, single, steps=2).dtype == jnp.float32


def test_refuses(unchecked):
    x = jnp.ones((1, 1))
    with pytest.raises(ValueError, match="'euler', 'heun'"):
        density.log_density(NEAR, x, method="adaptive")
    with pytest.raises(ValueError, match="'euler', 'heun'"):
        density.reverse_sde(jax.random.key(0), NEAR, x, diffusion=1.0, method="adaptive")
    with pytest.raises(ValueError, match="time must lie in"):
        density.log_density(NEAR, x, 1.5)
    with pytest.raises(ValueError, match="diffusion must be at least 0"):
        density.reverse_sde(jax.random.key(0), NEAR, x, diffusion=-1.0)
