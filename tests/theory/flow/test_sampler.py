from decimal import Decimal, getcontext
from fractions import Fraction
from itertools import pairwise

import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from rfcollapse.theory.flow import (
    best_grid,
    euler_gain,
    heun_gain,
    midpoint_gain,
    self_consuming_rate,
    velocity_gain,
)

GAINS = {"euler": euler_gain, "heun": heun_gain, "midpoint": midpoint_gain}
VARIANCES = (Fraction(1, 10**12), Fraction(1, 7), Fraction(1), Fraction(9, 2), Fraction(10**12))


def step_by_step(variance, times, method):
    """The sampler itself, on x = 1, in rational arithmetic."""

    def velocity(t):
        return (t * variance - (1 - t)) / (t**2 * variance + (1 - t) ** 2)

    x = Fraction(1)
    for t, after in pairwise(times):
        h = after - t
        slope = velocity(t) * x
        if method == "heun":
            slope = (slope + velocity(after) * (x + h * slope)) / 2
        elif method == "midpoint":
            slope = velocity(t + h / 2) * (x + h / 2 * slope)
        x += h * slope
    return x


def test_velocity_is_the_least_squares_fit_of_sampled_pairs():
    rng = np.random.default_rng(1)
    n, variance = 200_000, 3.0
    x0, x1 = rng.normal(size=n), np.sqrt(variance) * rng.normal(size=n)
    for t in (0.0, 0.3, 0.8, 1.0):
        x = (1 - t) * x0 + t * x1
        slope = x @ (x1 - x0) / (x @ x)
        residual = x1 - x0 - slope * x
        standard_error = np.sqrt(residual @ residual / n / (x @ x))
        assert abs(slope - velocity_gain(t, variance)) < 5 * standard_error


@pytest.mark.parametrize("variance", [1e-4, 0.3, 4.0, 1e4])
def test_exact_flow_maps_noise_to_the_standard_deviation(variance, in_float64):
    velocity = jax.jit(velocity_gain)
    solution = solve_ivp(
        lambda t, x: np.asarray(velocity(t, variance)) * x, (0, 1), [1.0], method="DOP853", rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(solution.y[0, -1], variance**0.5, rtol=1e-9)


@pytest.mark.parametrize("method", GAINS)
@pytest.mark.parametrize("steps", [1, 2, 7, 20])
def test_gains_are_those_of_the_sampler_step_by_step(method, steps):
    times = [Fraction(i, steps) for i in range(steps + 1)]
    expected = [float(step_by_step(variance, times, method)) for variance in VARIANCES]
    gains = GAINS[method](np.array([float(variance) for variance in VARIANCES]), steps)
    np.testing.assert_allclose(gains, expected, rtol=1e-12)


@pytest.mark.parametrize("method", GAINS)
def test_gains_on_any_grid(method):
    times = [Fraction(0), Fraction(1, 64), Fraction(3, 8), Fraction(1, 2), Fraction(31, 32), Fraction(1)]
    expected = [float(step_by_step(variance, times, method)) for variance in VARIANCES]
    grid = np.array([float(t) for t in times])
    gains = GAINS[method](np.array([float(variance) for variance in VARIANCES]), grid)
    np.testing.assert_allclose(gains, expected, rtol=1e-12)


@pytest.mark.parametrize("method", GAINS)
@pytest.mark.parametrize("steps", [2, 9, 60])
def test_rates_to_full_relative_precision(method, steps):
    getcontext().prec = 60
    times = [Fraction(i, steps) for i in range(steps + 1)]
    expected = []
    for variance in VARIANCES:
        ratio = step_by_step(variance, times, method) ** 2 / variance
        expected.append(-float((Decimal(ratio.numerator) / Decimal(ratio.denominator)).ln()))
    rates = self_consuming_rate(np.array([float(variance) for variance in VARIANCES]), steps, method=method)
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


def test_cosine_law():
    grid, variance = np.array([0, 0.1, 0.35, 0.8, 0.9, 1]), 2.7
    angles = np.arctan2(np.sqrt(variance) * grid, 1 - grid)
    np.testing.assert_allclose(euler_gain(variance, grid), np.sqrt(variance) * np.prod(np.cos(np.diff(angles))), 1e-14)


@pytest.mark.parametrize("method, order", [("euler", 1), ("heun", 2), ("midpoint", 3)])
def test_order_of_the_loss_in_the_number_of_steps(method, order):
    steps = np.array([64, 128, 256, 512])
    rates = [abs(float(self_consuming_rate(2.5, int(n), method=method))) for n in steps]
    slope = np.polyfit(np.log(steps), np.log(rates), 1)[0]
    assert abs(slope + order) < 0.03


def test_euler_steps_are_a_chain_of_denoising_autoencoders():
    steps, variance, x = 12, 0.6, 1.0
    for i in range(steps):
        t = i / steps
        if t > 0:
            noise_std = (1 - t) / t
            denoised = variance / (variance + noise_std**2) * (x / t)
        else:
            denoised = 0.0  # infinite noise: the mean
        x += (denoised - x) / steps / (1 - t)
    assert float(euler_gain(variance, steps)) == pytest.approx(x, rel=1e-13)


def test_two_steps_are_one_autoencoder_at_unit_noise_and_one_step_is_the_mean():
    variance = np.array([0.2, 1.0, 30.0])
    np.testing.assert_allclose(euler_gain(variance, 2), variance / (variance + 1), rtol=1e-15)
    assert np.all(euler_gain(variance, 1) == 0) and np.all(self_consuming_rate(variance, 1) == np.inf)


def test_zero_variance_is_the_limit():
    assert float(euler_gain(0.0, 5)) == 0 and float(midpoint_gain(0.0, 5)) == 0
    assert float(heun_gain(0.0, 5)) == pytest.approx(0.1, rel=1e-14)  # half the last step
    assert float(heun_gain(1e-30, 5)) == pytest.approx(0.1, rel=1e-14)


def test_elementwise_and_traceable(in_float64):
    variance = np.array([[0.1, 1.0, 3.0], [5.0, 7.0, 90.0]])
    together = jax.jit(lambda v, grid: euler_gain(v, grid))(variance, best_grid(2.0, 6))
    one_by_one = [[float(euler_gain(float(v), best_grid(2.0, 6))) for v in row] for row in variance]
    np.testing.assert_allclose(together, one_by_one, rtol=1e-14)
    slope = jax.grad(lambda v: euler_gain(v, 8))(2.0)
    difference = (euler_gain(2.0 + 1e-6, 8) - euler_gain(2.0 - 1e-6, 8)) / 2e-6
    assert float(slope) == pytest.approx(float(difference), rel=1e-8)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: velocity_gain(1.5, 1.0), "time must lie in"),
        (lambda: velocity_gain(0.5, 0.0), "variance must be greater than 0"),
        (lambda: velocity_gain(0.5, np.nan), "variance must be greater than 0 and be finite; got nan"),
        (lambda: euler_gain(-1.0, 4), "variance must be at least 0"),
        (lambda: heun_gain(1.0, 0), "steps must be at least 1; got 0"),
        (lambda: midpoint_gain(1.0, 2.5), "steps must be a whole number"),
        (lambda: euler_gain(1.0, np.array([0, 0.6, 0.5, 1])), "increase from 0 to 1"),
        (lambda: euler_gain(1.0, np.array([0, 0.5])), "increase from 0 to 1"),
        (lambda: euler_gain(1.0, np.array([0.0])), "at least two times"),
        (lambda: self_consuming_rate(1.0, 4, method="rk4"), "method must be one of"),
    ],
)
def test_refusals(unchecked, call, words):
    with pytest.raises(ValueError, match=words):
        call()
