"""Oracles: scipy.stats, leaving out one run at a time by hand, coverage by enumeration, processes of known regime."""

import numpy as np
import pytest
from scipy import stats

from rfcollapse.measure import rates
from rfcollapse.theory.dae.recursion import trajectory


def walks(seeds, rounds, drift, spread, seed=0):
    """Logs of random walks from 0."""
    steps = drift + spread * np.random.default_rng(seed).standard_normal((seeds, rounds))
    return np.concatenate([np.zeros((seeds, 1)), np.cumsum(steps, axis=1)], axis=1)


def test_mean_and_error_against_scipy():
    values = np.random.default_rng(0).standard_normal((9, 2, 3))
    value, error, n = rates.mean_and_error(values)
    np.testing.assert_allclose(value, values.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(error, stats.sem(values, axis=0), rtol=1e-12)
    assert n == 9


def test_typical_path_against_regressions_run_by_run():
    logs = walks(7, 12, -0.2, 0.3)
    slopes = -np.array([stats.linregress(np.arange(13), row).slope for row in logs])
    found = rates.decay_rate(np.exp(logs), confidence=0.95)
    np.testing.assert_allclose(found.rate, slopes.mean(), rtol=1e-12)
    interval = stats.t.interval(0.95, 6, loc=slopes.mean(), scale=stats.sem(slopes))
    np.testing.assert_allclose((found.low, found.high), interval, rtol=1e-12)
    assert found.n == 7


def test_mean_path_against_leaving_out_by_hand():
    logs = walks(6, 10, -0.2, 0.3)

    def rate(rows):
        return -stats.linregress(np.arange(11), np.log(np.exp(rows).mean(axis=0))).slope

    left_out = np.array([rate(np.delete(logs, i, axis=0)) for i in range(6)])
    found = rates.decay_rate(np.exp(logs), path="mean")
    np.testing.assert_allclose(found.rate, rate(logs), rtol=1e-12)
    error = np.sqrt(5 / 6 * ((left_out - left_out.mean()) ** 2).sum())
    np.testing.assert_allclose(found.standard_error, error, rtol=1e-10)
    np.testing.assert_allclose(found.high - found.rate, stats.t.ppf(0.995, 5) * error, rtol=1e-10)


def test_the_two_paths_of_a_random_walk():
    # E x_j = e^{j(−.1 + .02/2)}
    logs = walks(20_000, 10, -0.1, np.sqrt(0.02))
    typical, mean = (rates.decay_rate(logs, path=path, logs=True) for path in rates.PATHS)
    assert abs(typical.rate - 0.1) <= 6 * typical.standard_error
    assert abs(mean.rate - 0.09) <= 6 * mean.standard_error
    assert typical.low > mean.high


def test_interval_covers_as_often_as_it_says():
    hits = [
        bool(found.low <= 0.3 <= found.high)
        for found in (rates.decay_rate(walks(5, 6, -0.3, 0.5, seed), logs=True, confidence=0.9) for seed in range(1500))
    ]
    assert stats.binomtest(sum(hits), len(hits), 0.9).pvalue > 1e-3


def test_columns_are_directions_and_two_runs_are_enough():
    logs = np.stack([walks(2, 8, -0.1, 0.01), walks(2, 8, -300.0, 0.01, 1)], axis=-1)
    for path in rates.PATHS:
        both = rates.decay_rate(logs, path=path, logs=True)
        alone = [rates.decay_rate(logs[..., i], path=path, logs=True) for i in range(2)]
        np.testing.assert_allclose(both.rate, [x.rate for x in alone], rtol=1e-12)
        np.testing.assert_allclose(both.standard_error, [x.standard_error for x in alone], rtol=1e-6)


REGIME_CASES = [
    (lambda: np.exp(-0.1 * np.arange(20)), "geometric", 0.1),
    (lambda: 1 - np.arange(20) / 25, "linear", 25.0),
    (lambda: np.exp(-0.01 * 1.5 ** np.arange(15)), "doubly exponential", 1.5),
    (lambda: np.exp(-1 + 0.8 ** np.arange(20)), "plateau", 0.8),
]


@pytest.mark.parametrize(("series", "name", "parameter"), REGIME_CASES)
def test_regimes_in_the_pure_state(series, name, parameter):
    found = rates.regime(series()[None])
    assert found.name == name and found.decided
    np.testing.assert_allclose(found.parameter, parameter, rtol=1e-6)
    again = rates.regime(1e9 * np.stack([series(), 3 * series()]))  # units do not matter
    assert again.name == name
    np.testing.assert_allclose(again.parameter, parameter, rtol=1e-5)


@pytest.mark.parametrize(("series", "name", "parameter"), REGIME_CASES)
def test_regimes_under_noise_that_adds_up(series, name, parameter):
    right, rng = 0, np.random.default_rng(4)
    for _ in range(60):
        noise = np.cumsum(0.01 * rng.standard_normal((3, series().size)), axis=1)
        found = rates.regime(np.log(series()) + noise, logs=True)
        right += found.name == name
        assert not (found.decided and found.name != name)
    assert right >= 57


@pytest.mark.parametrize(
    ("start", "resample_std", "rounds", "name", "parameter", "tolerance"),
    [
        (64.0, 1.0, 50, "linear", 67, 2),  # the lifetime from 64 is 67 rounds
        (100.0, 0.0, 40, "linear", 51.2, 1.5),  # 2σ² a round
        (0.5, 1.0, 7, "doubly exponential", 2, 0.05),  # u' ≈ u²
        (0.5, 0.0, 5, "doubly exponential", 3, 0.05),  # u' ≈ u³
    ],
)
def test_regimes_of_self_training(start, resample_std, rounds, name, parameter, tolerance):
    found = rates.regime(np.asarray(trajectory(start, 1.0, rounds, resample_std=resample_std))[None])
    assert found.name == name and found.decided
    assert abs(found.parameter - parameter) <= tolerance


def test_regime_is_open_where_nothing_has_happened():
    assert not rates.regime(np.ones((1, 20))).decided
    assert not rates.regime(walks(3, 10, -1e-3, 0.01), logs=True).decided


def test_first_passage_by_hand():
    series = np.array([[5.0, 3.0, 1.0, 2.0], [4.0, 4.0, 4.0, 4.0], [1.0, 9.0, 9.0, 0.0]])
    np.testing.assert_array_equal(rates.first_passage(series, 2.0), [2, np.inf, 0])
    np.testing.assert_array_equal(rates.first_passage(series, 1.0), [2, np.inf, 0])
    np.testing.assert_array_equal(rates.first_passage(series, 0.5), [np.inf, np.inf, 3])


def crossing(rounds, length=40):
    """Series that fall below 1 at the given rounds."""
    return np.where(np.arange(length) < np.asarray(rounds)[:, None], 2.0, 0.5)


def test_lifetime_summary():
    times = np.random.default_rng(5).integers(3, 30, 25)
    found = rates.lifetime(crossing(times), 1.0, confidence=0.95)
    np.testing.assert_array_equal(found.rounds, times)
    assert found.censored == 0
    interval = stats.t.interval(0.95, 24, loc=times.mean(), scale=stats.sem(times))
    np.testing.assert_allclose(
        (found.low, found.mean, found.high), (interval[0], times.mean(), interval[1]), rtol=1e-12
    )
    quantile = stats.quantile_test(times, p=0.5).confidence_interval(0.95)
    np.testing.assert_array_equal((found.median_low, found.median_high), (quantile.low, quantile.high))
    assert float(found.median) == np.median(times)


def test_lifetime_with_censored_runs():
    found = rates.lifetime(crossing([5, 7, 9, 11, 13, 99, 15, 17, 19, 21, 6, 8]), 1.0)
    assert found.censored == 1 and found.mean == np.inf and found.high == np.inf
    assert 0 < found.low < 13 and found.median == 12
    assert np.isfinite(found.median_high)
    few = rates.lifetime(crossing([5, 7, 9]), 1.0)
    assert few.median_low == 0 and few.median_high == np.inf and np.isfinite(few.high)


def test_median_interval_covers():
    # k of n, counted for a continuous law: Pr(k-th smallest ≤ median ≤ (n+1−k)-th smallest)
    rng = np.random.default_rng(6)
    hits = 0
    for _ in range(400):
        found = rates.lifetime(crossing(rng.geometric(0.05, 20), 400), 1.0, confidence=0.9)
        hits += bool(found.median_low <= 14 <= found.median_high)  # the median of that law
    assert stats.binomtest(hits, 400, 0.9, alternative="less").pvalue > 1e-3


def test_equivalence():
    t = stats.t.ppf(0.995, 9)
    # 0.1 off, error 0.02: needs a margin of 0.1 + t·0.02
    needed = 0.1 + t * 0.02
    assert not rates.equivalent(1.0, 1.1, 0.02, 10, needed - 1e-9)
    assert rates.equivalent(1.0, 0.9, 0.02, 10, needed + 1e-9)
    assert not rates.equivalent(1.0, 1.0, 10.0, 10, 1.0)  # ignorance is not equivalence
    np.testing.assert_array_equal(rates.equivalent(1.0, np.array([1.0, 2.0]), 0.0, 1, 0.5), [True, False])


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
    low, high = rates.clopper_pearson(np.arange(n + 1), n, confidence=0.95)
    for p in np.linspace(0.001, 0.999, 200):
        inside = (np.asarray(low) <= p) & (p <= np.asarray(high))
        assert stats.binom.pmf(np.arange(n + 1), n, p)[inside].sum() >= 0.95


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rates.mean_and_error([1.0]), "at least 2 runs"),
        (lambda: rates.mean_and_error(3.0), "at least 2 runs"),
        (lambda: rates.decay_rate([[1.0, 0.0], [1.0, 1.0]]), "series must be greater than 0"),
        (lambda: rates.decay_rate([[1.0, 0.5]]), "seeds ≥ 2"),
        (lambda: rates.decay_rate([[1.0], [1.0]]), "rounds \\+ 1 ≥ 2"),
        (lambda: rates.decay_rate(np.ones((2, 3)), path="median"), "path must be one of"),
        (lambda: rates.decay_rate(np.ones((2, 3)), confidence=1.5), "confidence must lie in"),
        (lambda: rates.lifetime(np.ones((2, 3)), 1.0, confidence=1.0), "confidence must be below 1"),
        (lambda: rates.decay_rate([[0.0, -np.inf], [0.0, 1.0]], logs=True), "series must be finite"),
        (lambda: rates.regime(np.ones((1, 5))), "rounds \\+ 1 ≥ 6"),
        (lambda: rates.regime(np.ones((1, 8, 2))), "seeds, rounds \\+ 1"),
        (lambda: rates.first_passage(np.ones(4), 1.0), "seeds, rounds \\+ 1"),
        (lambda: rates.first_passage(-np.ones((1, 4)), 1.0), "series must be at least 0"),
        (lambda: rates.lifetime(np.ones((1, 4)), 1.0), "at least 2 runs"),
        (lambda: rates.equivalent(1.0, 1.0, 0.1, 1, 0.1), "n must be at least 2"),
        (lambda: rates.equivalent(1.0, 1.0, -0.1, 5, 0.1), "standard_error must be at least 0"),
        (lambda: rates.clopper_pearson(5, 4), "0 ≤ successes ≤ trials"),
        (lambda: rates.clopper_pearson(0.5, 4), "whole"),
        (lambda: rates.clopper_pearson(0, 0), "trials ≥ 1"),
    ],
)
def test_bad_input(call, words, unchecked):
    with pytest.raises(ValueError, match=words):
        call()
