"""Steps in both directions against products, closed forms and scipy, for the exact flow of a Gaussian in float64."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from rfcollapse.learn import integrate
from rfcollapse.learn.velocity import Denoiser, Velocity

pytestmark = pytest.mark.usefixtures("in_float64")
VARIANCES = np.array([4.0, 0.25])


def slope(t, variance):
    """a(t) of the exact velocity a(t) x between N(0, 1) and N(0, λ)."""
    return (t * variance - (1 - t)) / (t**2 * variance + (1 - t) ** 2)


def exact(t, x):
    return slope(t, jnp.asarray(VARIANCES, x.dtype)) * x


class Optimum:
    """The net of a denoiser on independent pairs: E[x1 | x_t], damped by a ridge."""

    def __init__(self, ridge):
        self.ridge = ridge

    def __call__(self, t, x):
        return t * VARIANCES / (t**2 * VARIANCES + (1 - t) ** 2 + self.ridge) * x


with jax.enable_x64(True):
    NOISE = np.asarray(jax.random.normal(jax.random.key(0), (7, 2), dtype=jnp.float64))


@pytest.mark.parametrize(
    "method, dtype", [("euler", jnp.float32), ("heun", jnp.float32), ("heun", jnp.float64), ("adaptive", jnp.float32)]
)
def test_shape_and_dtype(method, dtype):
    noise = jnp.asarray(NOISE, dtype)
    data = integrate.generate(exact, noise, method=method, steps=4)
    back = integrate.invert(exact, data, method=method, steps=4)
    assert data.shape == back.shape == (7, 2) and data.dtype == back.dtype == dtype


def test_euler_is_its_product_in_both_directions():
    times = np.linspace(0, 1, 6)
    forward, backward = np.ones(2), np.ones(2)
    for t, t_next in pairwise(times):
        forward *= 1 + (t_next - t) * slope(t, VARIANCES)
        backward *= 1 - (t_next - t) * slope(t_next, VARIANCES)
    np.testing.assert_allclose(integrate.generate(exact, NOISE, steps=5, method="euler"), NOISE * forward, rtol=1e-12)
    np.testing.assert_allclose(integrate.invert(exact, NOISE, steps=5, method="euler"), NOISE * backward, rtol=1e-12)


def test_a_grid_of_times():
    times = np.array([0.0, 0.5, 0.7, 1.0])
    gain = np.ones(2)
    for t, t_next in pairwise(times):
        gain *= 1 + (t_next - t) * slope(t, VARIANCES)
    np.testing.assert_allclose(integrate.generate(exact, NOISE, steps=times, method="euler"), NOISE * gain, rtol=1e-12)


def test_adaptive_finds_the_map_and_returns():
    data = integrate.generate(exact, NOISE, method="adaptive")
    np.testing.assert_allclose(data, NOISE * np.sqrt(VARIANCES), rtol=1e-8)
    np.testing.assert_allclose(integrate.invert(exact, data, method="adaptive"), NOISE, rtol=1e-8)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("method, order", [("euler", 1), ("heun", 2)])
def test_order(method, order, backward):
    steps = np.array([32, 64, 128, 256])
    function, gain = (
        (integrate.invert, 1 / np.sqrt(VARIANCES)) if backward else (integrate.generate, np.sqrt(VARIANCES))
    )
    errors = [jnp.abs(function(exact, NOISE, steps=int(n), method=method) - NOISE * gain).max() for n in steps]
    fitted = np.polyfit(np.log(steps), np.log(np.array(errors)), 1)[0]
    assert fitted == pytest.approx(-order, abs=0.1)


def test_batches_change_nothing():
    whole = integrate.generate(exact, NOISE, steps=9)
    np.testing.assert_allclose(integrate.generate(exact, NOISE, steps=9, at_once=2), whole, rtol=1e-14)


def test_paths_start_at_the_noise_and_end_at_the_samples():
    paths = integrate.paths(exact, NOISE, steps=9)
    assert paths.shape == (10, 7, 2)
    np.testing.assert_array_equal(paths[0], NOISE)
    np.testing.assert_allclose(paths[-1], integrate.generate(exact, NOISE, steps=9), rtol=1e-14)
    np.testing.assert_allclose(paths[4], integrate.paths(exact, NOISE, steps=np.linspace(0, 1, 10))[4], rtol=1e-14)


@pytest.mark.parametrize("ridge", [0.0, 0.05])
def test_a_denoiser_steps_and_its_steps_are_undone(ridge):
    model, times, gain = Denoiser(Optimum(ridge)), np.linspace(0, 1, 11), np.ones(2)
    for t, t_next in pairwise(times):
        denoised = t * VARIANCES / (t**2 * VARIANCES + (1 - t) ** 2 + ridge)
        gain *= 1 + (t_next - t) * (denoised - 1) / (1 - t)
    data = integrate.generate(model, NOISE, steps=10, method="euler")
    np.testing.assert_allclose(data, NOISE * gain, rtol=1e-12)
    np.testing.assert_allclose(integrate.invert(model, data, steps=10, method="euler"), NOISE, rtol=1e-6)


def test_marginals_follow_the_line_of_variances():
    noise = jax.random.normal(jax.random.key(1), (4000, 2), dtype=jnp.float64)
    noise = noise - noise.mean(axis=0)[None]
    marginals = integrate.marginals(exact, noise, steps=200)
    t = np.linspace(0, 1, 201)[:, None]
    sample = np.mean(np.asarray(noise) ** 2, axis=0)
    expected = (t**2 * VARIANCES + (1 - t) ** 2) * sample
    np.testing.assert_allclose(np.diagonal(marginals.covariance, axis1=1, axis2=2), expected, rtol=1e-3)
    np.testing.assert_allclose(marginals.mean, 0, atol=1e-12)


COUNT, DIFFUSION = 40_000, 0.8


@pytest.fixture(scope="module")
@jax.enable_x64(True)
def reversed_pairs():
    """Real data of another variance than the model's, their noise by the corrected and by the naive reverse SDE."""
    times = np.linspace(0, 1, 41)[:, None]
    covariance = (times**2 * VARIANCES + (1 - times) ** 2)[:, :, None] * np.eye(2)[None]
    marginals = integrate.Marginals(jnp.zeros((41, 2)), jnp.asarray(covariance))
    data = jnp.array([1.0, 2.0])[None] * jax.random.normal(jax.random.key(2), (COUNT, 2), dtype=jnp.float64)
    noises = [
        np.asarray(integrate.reverse_sde(jax.random.key(3), exact, data, score, diffusion=DIFFUSION, at_once=10_000))
        for score in (marginals, None)
    ]
    return np.asarray(data), *noises


def test_reverse_sde_with_score(reversed_pairs):
    data, noise, _ = reversed_pairs
    forgetting = [quad(lambda t, v=v: DIFFUSION**2 / (t**2 * v + (1 - t) ** 2), 0, 1)[0] for v in VARIANCES]
    kappa = np.exp(-np.array(forgetting))
    real = np.array([1.0, 4.0])
    # Exact in law: x0 = √κ x1/g + √(1−κ) z.
    np.testing.assert_allclose(
        np.mean(noise**2, axis=0), 1 - kappa + kappa * real / VARIANCES, rtol=6 * (2 / COUNT) ** 0.5
    )
    cross = np.sqrt(kappa * real**2 / VARIANCES)
    spread = np.sqrt((real * np.mean(noise**2, axis=0) + cross**2) / COUNT)
    assert np.all(np.abs(np.mean(noise * data, axis=0) - cross) < 6 * spread)


def test_naive_reverse_sde_inflates_the_noise(reversed_pairs):
    _, _, noise = reversed_pairs
    for i, (variance, real) in enumerate(zip(VARIANCES, (1.0, 4.0))):
        moment = solve_ivp(
            lambda s, q, v=variance: -2 * slope(1 - s, v) * q + DIFFUSION**2, (0, 1), [real], rtol=1e-10, atol=1e-10
        ).y[0, -1]
        assert np.mean(noise[:, i] ** 2) == pytest.approx(moment, rel=6 * (2 / COUNT) ** 0.5 + 2e-3)
        assert moment > real / variance + 0.1


def test_refuses(unchecked):
    with pytest.raises(ValueError, match="one of 'euler', 'heun', 'adaptive'"):
        integrate.generate(exact, NOISE, method="leapfrog")
    with pytest.raises(ValueError, match="steps must be at least 1"):
        integrate.generate(exact, NOISE, steps=0)
    with pytest.raises(ValueError, match="increase from 0 to 1"):
        integrate.time_grid(np.array([0.0, 0.6, 0.5, 1.0]))
    for method in ("heun", "adaptive"):
        with pytest.raises(ValueError, match="no velocity at t = 1"):
            integrate.invert(Denoiser(Optimum(0.0)), NOISE, method=method)
    with pytest.raises(ValueError, match="'euler', 'heun'"):
        integrate.paths(Velocity(exact), NOISE, method="adaptive")
