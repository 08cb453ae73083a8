"""Oracles: scipy.stats, coverage by enumeration and simulation, a posterior on a grid of its own."""

import numpy as np
import pytest
from scipy import stats

from rfcollapse.measure import rates
from rfcollapse.theory import resampling


def test_mean_and_error_against_scipy():
    values = np.random.default_rng(0).standard_normal((9, 2, 3))
    value, error, n = rates.mean_and_error(values)
    np.testing.assert_allclose(value, values.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(error, stats.sem(values, axis=0), rtol=1e-12)
    assert n == 9


def test_half_width_is_student_s():
    values = np.random.default_rng(1).standard_normal((9, 2))
    value, error, n = rates.mean_and_error(values)
    low, high = stats.t.interval(0.95, 8, loc=value, scale=error)
    width = rates.half_width(error, n, 0.95)
    np.testing.assert_allclose((value - width, value + width), (low, high), rtol=1e-12)
    assert rates.half_width(0.0, 1) == 0


def test_what_runs_measured_may_be_true_or_false():
    value, error, n = rates.mean_and_error(np.array([True, False, True, True]))
    assert (value, n) == (0.75, 4) and error == pytest.approx((0.75 * 0.25 / 3) ** 0.5)


def test_jackknife_error_of_a_mean_is_that_of_the_mean():
    groups = np.random.default_rng(2).standard_normal((20, 3))
    without = (groups.sum(axis=0) - groups) / 19
    np.testing.assert_allclose(rates.jackknife_error(without), stats.sem(groups), rtol=1e-12)


def test_first_passage_by_hand():
    series = np.array([[5.0, 3.0, 1.0, 2.0], [4.0, 4.0, 4.0, 4.0], [1.0, 9.0, 9.0, 0.0]])
    np.testing.assert_array_equal(rates.first_passage(series, 2.0), [2, np.inf, 0])
    np.testing.assert_array_equal(rates.first_passage(series, 1.0), [2, np.inf, 0])
    np.testing.assert_array_equal(rates.first_passage(series, 0.5), [np.inf, np.inf, 3])


def test_clopper_pearson_against_scipy():
    for k, n, confidence in ((0, 10, 0.99), (10, 10, 0.99), (3, 10, 0.9), (1, 10**6, 0.99), (0, 1, 0.5)):
        expected = stats.binomtest(k, n).proportion_ci(confidence, method="exact")
        found = rates.clopper_pearson(k, n, confidence=confidence)
        np.testing.assert_allclose((found.low, found.high), (expected.low, expected.high), rtol=1e-8, atol=1e-12)
    # at k = 1 the lower end solves 1 − (1 − p)^n = α/2
    lowest = rates.clopper_pearson(1, 10**6).low
    np.testing.assert_allclose(lowest, -np.expm1(np.log1p(-0.005) / 10**6), rtol=1e-10)
    assert rates.clopper_pearson(np.array([0, 5]), 10).low.shape == (2,)


def test_clopper_pearson_covers_whatever_the_probability():
    n = 20
    _, low, high = rates.clopper_pearson(np.arange(n + 1), n, confidence=0.95)
    for p in np.linspace(0.001, 0.999, 200):
        inside = (np.asarray(low) <= p) & (p <= np.asarray(high))
        assert stats.binom.pmf(np.arange(n + 1), n, p)[inside].sum() >= 0.95


def series(generator, rounds, runs, kind, scatter, error, rate=0.0):
    """Logs of variances: drift, scatter of three kinds, sampling error."""
    shock = scatter * generator.standard_normal((rounds, runs))
    if kind == "handed on":
        shock = np.cumsum(shock, axis=0)
    elif kind == "half forgotten":
        for j in range(1, rounds):
            shock[j] += 0.5 * shock[j - 1]
    return shock - rate * np.arange(rounds)[:, None] + error * generator.standard_normal((rounds, runs))


@pytest.mark.parametrize("kind", ["handed on", "half forgotten", "each its own"])
@pytest.mark.parametrize("scatter", [0.0, 0.02, 0.05, 0.2])
def test_intervals_of_the_rate_cover_it(kind, scatter):
    logs = series(np.random.default_rng(0), 8, 3000, kind, scatter, 0.02, rate=0.05)
    found, _ = rates.rate_interval(logs, np.full(logs.shape, 0.02))
    covered = np.mean((found.low <= 0.05) & (0.05 <= found.high))
    assert covered > 0.95 - 3 * (0.95 * 0.05 / 3000) ** 0.5
    if kind == "handed on" and scatter == 0.2:
        assert covered < 0.97  # sampling hardly matters: Student's interval
    assert abs(found.value.mean() - 0.05) < 4 * found.value.std() / 3000**0.5


def test_interval_is_student_s_without_sampling_error():
    changes = np.random.default_rng(1).standard_normal((6, 1))
    logs = np.concatenate([np.zeros((1, 1)), np.cumsum(changes, axis=0)])
    found, _ = rates.rate_interval(logs, np.full(logs.shape, 1e-5))
    error = changes.std(ddof=1) / 6**0.5
    assert found.value[0] == pytest.approx(-changes.mean(), abs=0.01 * error)
    assert found.high[0] - found.low[0] == pytest.approx(2 * 2.5706 * error, rel=0.02)


def test_interval_against_brute_force():
    """The same posterior from the levels, ln λ_j = a − rj + random walk + error, (a, r) flat, on a grid of its own."""
    generator, error = np.random.default_rng(20), np.array([0.02, 0.05, 0.01, 0.02, 0.03, 0.02])
    logs = np.cumsum(0.02 * generator.standard_normal(6)) - 0.1 * np.arange(6.0)
    typical = np.sqrt((error**2).mean())
    design = np.stack([np.ones(6), -np.arange(6.0)], axis=1)
    grid, density = np.linspace(-1, 1, 4001), 0.0
    longest = np.arcsinh(100 * (np.abs(np.diff(logs)).max() / typical + 1))
    for tau in typical * np.sinh(longest * (np.arange(400) + 0.5) / 400):
        walk = np.minimum.outer(np.arange(6), np.arange(6)) * tau**2
        precision = np.linalg.inv(walk + np.diag(error**2))
        information = np.linalg.inv(design.T @ precision @ design)
        best = information @ design.T @ precision @ logs
        rest = logs - design @ best
        size = np.linalg.det(precision) * np.linalg.det(information)
        normal = np.exp(-((grid - best[1]) ** 2) / (2 * information[1, 1])) / np.sqrt(information[1, 1])
        density = (
            density + tau / np.hypot(tau, 2 * typical) * np.sqrt(size) * np.exp(-rest @ precision @ rest / 2) * normal
        )
    below = np.cumsum(density) / density.sum()
    found, doubt = rates.rate_interval(logs[:, None], error[:, None])
    assert found.low[0] == pytest.approx(np.interp(0.025, below, grid), abs=0.002)
    assert found.high[0] == pytest.approx(np.interp(0.975, below, grid), abs=0.002)
    assert doubt[0] == pytest.approx(np.interp(0, grid, below), abs=0.001)


def test_intervals_cover_the_known_rate_of_refitting():
    generator, n, runs = np.random.default_rng(2), 200, 2000
    steps = np.log(generator.chisquare(n - 1, (8, runs)) / n)  # variance of n rows, handed on as the next model
    found, _ = rates.rate_interval(np.cumsum(steps, axis=0), np.full((8, runs), (2 / n) ** 0.5))
    truth = -2 * float(resampling.typical_drift(n))
    assert np.mean((found.low <= truth) & (truth <= found.high)) > 0.95


def test_intervals_of_the_share_cover_it():
    generator, n, reference, runs = np.random.default_rng(3), 60, 90, 4000
    ratio = 0.8 * generator.chisquare(n, runs) / n / (generator.chisquare(reference, runs) / reference)
    found = rates.variance_ratio_interval(ratio, n, reference)
    assert np.mean((found.low <= 0.8) & (0.8 <= found.high)) == pytest.approx(0.95, abs=0.011)


@pytest.mark.parametrize("kind", ["handed on", "half forgotten", "each its own"])
def test_false_alarms_of_the_trend(kind):
    logs = series(np.random.default_rng(5), 60, 400, kind, 0.01, 0.01)
    alarmed = np.zeros(400, dtype=bool)
    for j in range(5, 61, 5):
        seen = logs[max(j - 20, 0) : j]
        alarmed |= rates.rate_interval(seen, np.full(seen.shape, 0.01))[1] < 0.05 / 600
    assert alarmed.mean() < 0.01  # of 60 rounds at 8.3e-5 each, at most .5 % by the union bound


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rates.mean_and_error([1.0]), "at least 2 runs"),
        (lambda: rates.mean_and_error(3.0), "at least 2 runs"),
        (lambda: rates.mean_and_error([1.0, np.nan]), "values must be finite"),
        (lambda: rates.half_width(0.1, 1), "n must be at least 2"),
        (lambda: rates.half_width(-0.1, 5), "standard_error must be at least 0"),
        (lambda: rates.half_width(0.1, 5, 1.0), "confidence must be below 1"),
        (lambda: rates.half_width(0.1, 5, 1.5), "confidence must lie in"),
        (lambda: rates.first_passage(np.ones(4), 1.0), "seeds, rounds \\+ 1"),
        (lambda: rates.first_passage(-np.ones((1, 4)), 1.0), "series must be at least 0"),
        (lambda: rates.clopper_pearson(5, 4), "0 ≤ successes ≤ trials"),
        (lambda: rates.clopper_pearson(0.5, 4), "whole"),
        (lambda: rates.clopper_pearson(0, 0), "trials ≥ 1"),
    ],
)
def test_bad_input(call, words, unchecked):
    with pytest.raises(ValueError, match=words):
        call()
