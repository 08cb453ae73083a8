"""Lifetimes against plain counting and published constants; accumulation against its own recursion."""

import numpy as np
import pytest

from rfcollapse.theory import dae
from rfcollapse.theory.dae import lifetimes as lifetime


def counted(u, rho):
    rounds = 0
    while u > 1:
        u, rounds = (u / (u + 1)) ** 2 * (u + rho), rounds + 1
    return rounds


@pytest.mark.parametrize("rho", [0.0, 0.25, 1.0, 1.5, 1.99, 2.0])
def test_lifetime_is_the_count_of_rounds(rho):
    for u in (0.5, 1.0, 1.0001, 2.0, 3.7, 8.0, 64.0, 120.5):
        assert float(dae.lifetime(u, 1.0, resample_std=rho**0.5)) == counted(
            u, rho**0.5**2 if rho in (0, 1) else (rho**0.5) ** 2
        )


def test_lifetime_at_equal_noise_is_u_plus_log_u():
    u = np.arange(2.0, 3001.0)
    np.testing.assert_array_equal(dae.lifetime(u, 1.0), np.ceil(u + np.log(u) + 1 / (2 * u) - 1.329122))
    assert [float(dae.lifetime(v, 1.0)) for v in (8.0, 64.0, 537.0)] == [9, 67, 542]


@pytest.mark.parametrize("rho", [0.0, 0.7, 1.0, 1.9, 1.9999, 2.0, 2.001])
def test_abel_function_falls_by_one_each_round(rho, in_float64):
    u = 400.0
    one = (u / (u + 1)) ** 2 * (u + rho)
    values = lifetime.abel(np.array([u, one]), np.array([rho, rho]))
    assert float(values[0] - values[1]) == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize(
    "rho, u", [(0.0, 900.3), (1.0, 900.3), (1.5, 777.7), (1.999, 450.0), (2.0, 300.4), (2.002, 300.0)]
)
def test_expansion_agrees_with_the_count(rho, u, in_float64):
    by_expansion = lifetime.abel(np.array(u), np.array(rho)) - lifetime.abel_at_one(np.array(rho))
    assert np.ceil(float(by_expansion)) == counted(u, rho)


def test_lifetime_beyond_a_million_rounds_joins_the_count():
    lives = dae.lifetime(np.array([999_980.0, 999_985.0, 999_990.0, 1e12]), 1.0)
    assert list(np.diff(lives[:3])) == [5, 5]
    assert lives[2] > lifetime.MOST_ROUNDS > lives[1]
    assert lives[3] == pytest.approx(1e12 + np.log(1e12) - 1.329122, abs=2)


def test_lifetime_is_endless_above_the_threshold_only():
    s = 3**0.5 * (1 + 1e-15)  # ρ = 3: unstable point at u = 1
    assert float(dae.lifetime(1.01, 1.0, resample_std=s)) == np.inf
    edge = float(dae.unstable_variance(1.0, 1.5))
    assert float(dae.lifetime(edge * (1 + 1e-9), 1.0, resample_std=1.5)) == np.inf
    life = float(dae.lifetime(edge * (1 - 1e-9), 1.0, resample_std=1.5))
    assert life == counted(edge * (1 - 1e-9), 2.25)
    assert float(dae.lifetime(0.0, 1.0)) == 0


@pytest.mark.parametrize("u, error", [(1.0, 0.16), (4.0, 0.021), (8.0, 0.0032), (16.0, 0.00016)])
def test_accumulated_variance_stays_within_its_stated_error(u, error):
    rounds = 20_000
    exact = np.asarray(dae.trajectory(u, 1.0, rounds, schedule="accumulate"))
    approximate = np.asarray(dae.accumulated_variance(u, 1.0, np.arange(rounds + 1.0)))
    worst = np.max(np.abs(approximate / exact - 1))
    assert 0.5 * error < worst < error  # the stated errors are reached, not merely respected
    assert approximate[0] == pytest.approx(u, rel=1e-12)


def test_accumulated_variance_far_beyond_overflow():
    # u + ln u must equal u0 + ln u0 − H: the defining equation, at a u0 whose exponential overflows.
    u0, rounds = 5000.0, 1e6
    u = float(dae.accumulated_variance(u0 * 4, 2.0, rounds)) / 4
    harmonic = np.log(rounds + 1) + np.euler_gamma + 0.5 / (rounds + 1) - 1
    assert u + np.log(u) == pytest.approx(u0 + np.log(u0) - harmonic, rel=1e-12)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: dae.lifetime(-1.0, 1.0), "variance"),
        (lambda: dae.lifetime(1.0, 0.0), "noise_std must be greater than 0"),
        (lambda: dae.lifetime(1.0, 1.0, resample_std=np.inf), "resample_std"),
        (lambda: dae.accumulated_variance(0.0, 1.0, 1.0), "variance must be greater than 0"),
        (lambda: dae.accumulated_variance(1.0, 1.0, -1.0), "rounds"),
    ],
)
def test_bad_input_is_named(call, words, unchecked):
    with pytest.raises(ValueError, match=words):
        call()
