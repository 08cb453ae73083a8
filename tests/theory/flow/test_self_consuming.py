import numpy as np
import pytest
from scipy.integrate import quad

from rfcollapse.theory.flow import (
    heun_sink,
    retention_rule,
    self_consuming_lifetime,
    self_consuming_rate,
    self_consuming_rate_asymptotic,
    self_consuming_trajectory,
)


def euler_round(covariance, steps):
    """One round in matrices: the least-squares velocity of independent pairs, N Euler steps, the new covariance."""
    identity = np.eye(len(covariance))
    flow = identity
    for i in range(steps):
        t = i / steps
        velocity = (t * covariance - (1 - t) * identity) @ np.linalg.inv(t**2 * covariance + (1 - t) ** 2 * identity)
        flow = flow + velocity @ flow / steps
    return flow @ flow.T


@pytest.mark.parametrize("real_fraction", [0.0, 0.2, 1.0])
def test_trajectory_is_that_of_the_matrices(real_fraction):
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    variance = np.array([0.25, 1.0, 4.0])
    real = covariance = rotation @ np.diag(variance) @ rotation.T
    expected = [variance]
    for _ in range(6):
        covariance = euler_round((1 - real_fraction) * covariance + real_fraction * real, 10)
        expected.append(np.linalg.eigvalsh(covariance))
    found = self_consuming_trajectory(variance, 10, 6, real_fraction=real_fraction)
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_ten_rounds_that_a_trained_network_was_measured_against():
    last = self_consuming_trajectory(np.array([4.0, 0.25]), 10, 10)[-1]
    np.testing.assert_allclose(last, [0.268, 2e-4], rtol=0.04)


@pytest.mark.parametrize("variance", [0.1, 1.0, 4.0, 30.0])
def test_asymptotic_rate_misses_by_the_fifth_power_of_the_step(variance):
    steps = np.array([40, 60, 90, 135])
    misses = [
        abs(float(self_consuming_rate(variance, int(n)) - self_consuming_rate_asymptotic(variance, float(n))))
        for n in steps
    ]
    slope = np.polyfit(np.log(steps), np.log(misses), 1)[0]
    assert abs(slope + 5) < 0.1


@pytest.mark.parametrize("method", ["euler", "midpoint"])
def test_rate_is_symmetric_under_inversion_of_the_variance(method):
    variance = np.array([1e-12, 0.01, 0.7])
    np.testing.assert_allclose(
        self_consuming_rate(variance, 9, method=method), self_consuming_rate(1 / variance, 9, method=method), rtol=1e-12
    )


def test_lifetime_is_the_integral_and_has_a_bound():
    for variance in (1e-12, 0.04, 1.0, 50.0):
        integral = quad(lambda y: 2 * 20 / (y + np.pi / 4 * (1 + y**2)), 0, variance**0.5, epsabs=0, epsrel=1e-13)[0]
        assert float(self_consuming_lifetime(variance, 20)) == pytest.approx(integral, rel=1e-12)
    assert float(self_consuming_lifetime(1e12, 1)) == pytest.approx(2.908, abs=5e-4)
    assert float(self_consuming_lifetime(1e-6, 1)) == pytest.approx(8e-3 / np.pi, rel=1e-3)


@pytest.mark.parametrize("steps", [10, 100, 300])
def test_lifetime_is_met_by_the_recursion(steps):
    variance = np.array([0.25, 4.0, 1e4])
    path = np.asarray(self_consuming_trajectory(variance, steps, 3 * steps + 9))
    ended = np.argmax(path <= 1 / steps**2, axis=0)
    assert np.all(np.abs(ended - np.asarray(self_consuming_lifetime(variance, steps))) < 4)
    assert np.all(path[ended + 6, [0, 1, 2]] < 1e-12)


def test_the_end_is_doubly_exponential_and_underflows_to_zero():
    path = np.asarray(self_consuming_trajectory(1e-8, 7, 8))
    np.testing.assert_allclose(path[1:3] / path[:2] ** 2, 36, rtol=1e-4)
    assert path[-1] == 0


@pytest.mark.parametrize("steps", [1, 5, 20])
def test_heun_sink_is_where_the_rounds_end_from_both_sides(steps):
    ends = self_consuming_trajectory(np.array([0.05, 6.0]), steps, 40_000, method="heun")[-1]
    np.testing.assert_allclose(ends, float(heun_sink(steps)), rtol=1e-10)


def test_heun_sink_values_and_drift():
    assert float(heun_sink(20)) == pytest.approx(0.874, abs=5e-4)
    steps = 4_000
    assert steps * (1 - float(heun_sink(steps))) == pytest.approx(2.678, abs=5e-3)
    for variance in (0.3, 4.0):
        drift = -float(self_consuming_rate(variance, steps, method="heun"))
        assert drift == pytest.approx((1 / variance - variance) / (4 * steps**2), rel=2e-3)


def test_real_data_holds_the_level_of_the_rule_with_the_rate_at_the_fixed_point():
    variance, fraction = np.array([0.1, 1.0, 9.0]), 0.1
    last = np.asarray(self_consuming_trajectory(variance, 12, 4_000, real_fraction=fraction)[-1])
    rate = self_consuming_rate((1 - fraction) * last + fraction * variance, 12)
    np.testing.assert_allclose(last / variance, retention_rule(rate, fraction), rtol=1e-10)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: self_consuming_rate(0.0, 4), "variance must be greater than 0"),
        (lambda: self_consuming_rate_asymptotic(1.0, 0), "steps must be greater than 0"),
        (lambda: self_consuming_trajectory(1.0, 4, -1), "rounds must be at least 0"),
        (lambda: self_consuming_trajectory(1.0, 4, 1, real_fraction=1.5), "real_fraction must lie in"),
        (lambda: self_consuming_trajectory([1.0, 2.0], 4, 1, real_fraction=[0, 0, 1]), "do not combine"),
        (lambda: self_consuming_lifetime(-1.0, 4), "variance must be at least 0"),
    ],
)
def test_refusals(unchecked, call, words):
    with pytest.raises(ValueError, match=words):
        call()
