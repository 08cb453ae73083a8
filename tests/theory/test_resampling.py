"""Oracles: refitting point by point in numpy, integrals that share no series with the code, brute-force recursions."""

import jax
import numpy as np
import pytest
from scipy import integrate, optimize, stats

from rfcollapse.schemes import REFIT_SCHEDULES
from rfcollapse.theory import resampling

SIZES = (1, 2, 3, 7, 19, 20, 21, 39, 40, 41, 200, 10**9)
FITS = ({"known_mean": True}, {"known_mean": False}, {"known_mean": False, "unbiased": True})


def refit(n, rounds, seeds, *, schedule, known_mean=False, unbiased=False, sampling_bias=1.0, seed=0):
    """Variances (seeds, rounds+1) of the process itself, drawing and keeping every point."""
    rng = np.random.default_rng(seed)
    variances = np.ones((seeds, rounds + 1))
    mean, pool = np.zeros((seeds, 1)), np.zeros((seeds, 0))
    for j in range(rounds):
        fresh = mean + np.sqrt(sampling_bias * variances[:, j : j + 1]) * rng.standard_normal((seeds, n))
        pool = fresh if schedule == "replace" else np.concatenate([pool, fresh], axis=1)
        points = pool
        if schedule == "subsample":
            chosen = np.argsort(rng.random(pool.shape), axis=1)[:, :n]
            points = np.take_along_axis(pool, chosen, axis=1)
        mean = 0 * mean if known_mean else points.mean(axis=1, keepdims=True)
        divisor = points.shape[1] - (1 if unbiased and not known_mean else 0)
        variances[:, j + 1] = ((points - mean) ** 2).sum(axis=1) / divisor
    return variances


def within_six_errors(samples, prediction, floor=1e-12):
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    assert np.all(np.abs(samples.mean(axis=0) - prediction) <= 6 * error + floor)


def mean_log_ratio(x):
    """ψ(x) − ln x by Binet's second integral."""
    # with t = x s the integrand t/((t² + x²)(e^{2πt} − 1)) lives on t of order 1 whatever x is
    tail = integrate.quad(lambda t: t / ((t / x) ** 2 + 1) / np.expm1(2 * np.pi * t), 0, 12, epsabs=0, epsrel=1e-13)[0]
    return -1 / (2 * x) - 2 * tail / x**2


def root_deficit(freedom):
    """−ln(E√χ²_ν/√ν) = ∫₀^∞ ½ tanh(t/4) e^{−νt/2} dt/t."""
    scale = 2 / freedom
    value = integrate.quad(
        lambda s: np.tanh(scale * s / 4) / (2 * s) * np.exp(-s), 0, 60, epsabs=0, epsrel=1e-13, points=[1.0], limit=200
    )[0]
    return value


@pytest.mark.parametrize("n", SIZES)
def test_typical_drift_and_exponents_by_integrals(n):
    def expected(freedom, divisor):
        return 0.5 * (mean_log_ratio(freedom / 2) + np.log1p((freedom - divisor) / divisor))

    np.testing.assert_allclose(resampling.typical_drift(n, known_mean=True), expected(n, n), rtol=1e-12)
    if n > 1:
        np.testing.assert_allclose(resampling.typical_drift(n), expected(n - 1, n), rtol=1e-12)
        np.testing.assert_allclose(resampling.typical_drift(n, unbiased=True), expected(n - 1, n - 1), rtol=1e-12)
    d = min(n, 5)
    spectrum = [expected(n - i, n) for i in range(d)]
    np.testing.assert_allclose(resampling.lyapunov_exponents(d, n), spectrum, rtol=1e-12)


@pytest.mark.parametrize("n", SIZES)
def test_mean_std_rate_by_an_integral(n):
    np.testing.assert_allclose(resampling.mean_std_rate(n, known_mean=True), root_deficit(n), rtol=1e-12)
    if n > 1:
        np.testing.assert_allclose(resampling.mean_std_rate(n), root_deficit(n - 1), rtol=1e-12)
        mle = root_deficit(n - 1) - 0.5 * np.log1p(-1 / n)
        np.testing.assert_allclose(resampling.mean_std_rate(n, unbiased=False), mle, rtol=1e-12)
        np.testing.assert_allclose(resampling.mean_std_factor(n), np.exp(-root_deficit(n - 1)), rtol=1e-14)


def test_no_spread_is_minus_infinity():
    assert resampling.typical_drift(1) == -np.inf
    assert resampling.mean_std_rate(1, unbiased=False) == np.inf
    assert resampling.mean_std_factor(1, unbiased=False) == 0
    np.testing.assert_array_equal(np.isneginf(resampling.lyapunov_exponents(4, 2)), [False, False, True, True])
    np.testing.assert_array_equal(
        np.isneginf(resampling.lyapunov_exponents(3, 2, known_mean=False)), [False, True, True]
    )


@pytest.mark.parametrize("fit", FITS)
def test_mean_and_typical_path_of_the_process_itself(fit):
    n, rounds = 4, 6
    log_std = 0.5 * np.log(refit(n, rounds, 40_000, schedule="replace", **fit))
    rounds = np.arange(rounds + 1)
    within_six_errors(log_std, rounds * float(resampling.typical_drift(n, **fit)))
    factor = float(resampling.mean_std_factor(n, **{"unbiased": False, **fit}))
    within_six_errors(np.exp(log_std), factor**rounds)


@pytest.mark.parametrize("fit", FITS)
def test_lyapunov_spectrum_by_qr_of_sampled_points(fit):
    rng = np.random.default_rng(1)
    n, d, steps = 6, 3, 40_000
    points = rng.standard_normal((steps, n, d))
    freedom = n if fit["known_mean"] else n - 1
    if not fit["known_mean"]:
        points = points - points.mean(axis=1, keepdims=True)
    divisor = freedom if fit.get("unbiased") else n
    # C_j = A Aᵀ with A ← A F, F Fᵀ the sample covariance of standard normal points; re-triangularised each round
    orthogonal, logs = np.eye(d), np.empty((steps, d))
    for j in range(steps):
        factor = np.linalg.cholesky(points[j].T @ points[j] / divisor).T
        orthogonal, upper = np.linalg.qr(factor @ orthogonal)
        logs[j] = np.log(np.abs(np.diag(upper)))
    blocks = logs.reshape(200, -1, d).mean(axis=1)
    within_six_errors(blocks, np.asarray(resampling.lyapunov_exponents(d, n, **fit)))


@pytest.mark.parametrize("schedule", REFIT_SCHEDULES)
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(("n", "bias"), [(2, 1.0), (5, 1.0), (3, 0.6), (5, 1.3)])
def test_mean_variance_of_the_process_itself(schedule, fit, n, bias):
    rounds = 5 if schedule == "replace" else 8  # later, the mean of "replace" rests on paths too rare to be sampled
    settings = dict(schedule=schedule, sampling_bias=bias, **fit)
    within_six_errors(refit(n, rounds, 60_000, **settings), np.asarray(resampling.mean_variance(n, rounds, **settings)))


def counts_of(total, kinds):
    """All ways to share `total` among so many kinds."""
    if kinds == 1:
        return [(total,)]
    return [(first, *rest) for first in range(total + 1) for rest in counts_of(total - first, kinds - 1)]


@pytest.mark.parametrize("schedule", REFIT_SCHEDULES)
@pytest.mark.parametrize(("shares", "n", "rounds"), [((0.2, 0.8), 3, 4), ((0.5, 0.3, 0.2), 2, 3)])
def test_words_by_enumeration(schedule, shares, n, rounds):
    """Every outcome of every draw, with its probability: 1 − Σp² falls like the variance of the MLE."""
    states, expected = {((0,) * len(shares), shares): 1.0}, []
    for _ in range(rounds + 1):
        expected.append(sum(p * (1 - np.sum(np.square(shares))) for (_, shares), p in states.items()))
        later = {}
        for (pool, shares), probability in states.items():
            for draw in counts_of(n, len(shares)):
                chance = probability * stats.multinomial.pmf(draw, n, np.array(shares) / sum(shares))
                total = tuple(np.add(pool, draw).tolist())
                kept = {"replace": [draw], "accumulate": [total]}.get(schedule, counts_of(n, len(shares)))
                for fitted in kept:
                    weight = stats.multivariate_hypergeom.pmf(fitted, total, n) if schedule == "subsample" else 1.0
                    if chance * weight > 0:
                        state = total, tuple(count / sum(fitted) for count in fitted)
                        later[state] = later.get(state, 0.0) + chance * weight
        states = later
    law = resampling.mean_variance(n, rounds, schedule=schedule)
    np.testing.assert_allclose(expected, expected[0] * np.asarray(law), rtol=1e-12)


def test_accumulating_delays_a_biased_sampler_and_does_not_stop_it():
    fits = [dict(sampling_bias=0.7, schedule="accumulate", **fit) for fit in FITS]
    fits.append(dict(sampling_bias=0.7, schedule="subsample", known_mean=True))
    for fit in fits:
        path = np.log(np.asarray(resampling.mean_variance(9, 400_000, **fit)))
        np.testing.assert_allclose(path[400_000] - path[100_000], -0.3 * np.log(4), rtol=1e-5)
    np.testing.assert_array_equal(resampling.mean_variance(9, 3, sampling_bias=0.0), [1, 0, 0, 0])


def test_mean_variance_in_the_corners():
    np.testing.assert_array_equal(resampling.mean_variance(1, 3), [1, 0, 0, 0])
    np.testing.assert_array_equal(resampling.mean_variance(1, 3, schedule="subsample"), [1, 0, 0, 0])
    np.testing.assert_array_equal(resampling.mean_variance(7, 3, known_mean=True, schedule="accumulate"), np.ones(4))
    assert resampling.mean_variance(5, 0).shape == (1,)
    loss = 1 - float(resampling.mean_variance(10**9, 10**6)[-1])
    np.testing.assert_allclose(loss, -np.expm1(10**6 * np.log1p(-1e-9)), rtol=1e-10)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 10**9])
@pytest.mark.parametrize("schedule", REFIT_SCHEDULES)
@pytest.mark.parametrize("unbiased", [False, True])
def test_limits_are_the_limits(n, schedule, unbiased):
    if n == 1 and unbiased:
        pytest.skip("no unbiased fit to one point")
    limit = float(resampling.mean_variance_limit(n, schedule=schedule, unbiased=unbiased))
    path = np.asarray(resampling.mean_variance(n, 400_000, schedule=schedule, unbiased=unbiased))
    if schedule == "subsample" and unbiased:
        assert limit == np.inf
        np.testing.assert_allclose(np.log(path[400_000] / path[100_000]), np.log(4) / n, rtol=1e-4)
    elif schedule == "replace" and not unbiased and n > 10**6:
        assert limit == 0
    else:
        # what is left of a product with factors 1 − b/m² + … halves when the rounds double
        np.testing.assert_allclose(2 * path[400_000] - path[200_000], limit, atol=1e-10)


def test_the_sine_of_accumulating():
    x = np.pi / np.sqrt(7.0)
    np.testing.assert_allclose(resampling.mean_variance_limit(7), np.sin(x) / x, rtol=1e-14)


def test_tail_is_exact():
    for n, level in ((2, 0.5), (2, 1e-6), (3, 2.0), (10, 3.5), (10, 0.1), (10**6, 1.001), (10**6, 0.999)):
        expected = stats.chi2.sf((n - 1) * level**2, n - 1)
        np.testing.assert_allclose(resampling.std_tail(n, 1, level), expected, rtol=1e-10)
        expected = stats.chi2.sf(n * level**2, n)
        np.testing.assert_allclose(resampling.std_tail(n, 1, level, known_mean=True), expected, rtol=1e-10)
        np.testing.assert_allclose(
            resampling.std_tail(n, 1, level, unbiased=False), stats.chi2.sf(n * level**2, n - 1), rtol=1e-10
        )
    # two rounds: condition on the first
    for level in (0.2, 1.0, 4.0):
        expected = integrate.quad(
            lambda y, level=level: stats.chi2.pdf(y, 4) * stats.chi2.sf(16 * level**2 / y, 4), 0, 200, epsrel=1e-11
        )[0]
        np.testing.assert_allclose(resampling.std_tail(5, 2, level), expected, rtol=1e-8)
    # a billion samples and rounds: a lognormal
    drift, spread = 1e9 * float(resampling.typical_drift(10**9, unbiased=True)), np.sqrt(0.5)
    expected = stats.norm.sf(np.log(2), drift, spread)
    np.testing.assert_allclose(resampling.std_tail(10**9, 10**9, 2.0), expected, rtol=1e-5)


def test_published_tail_bound_holds_for_estimated_means_and_is_loose():
    for n in (2, 3, 10, 100):
        for rounds in (1, 3, n, 10 * n, 40 * n):
            for level in np.exp(np.linspace(-rounds / n, 0.5, 7)):
                bound = float(resampling.std_tail_bound(n, rounds, level))
                assert float(resampling.std_tail(n, rounds, level)) <= bound
                assert float(resampling.std_tail(n, rounds, level, unbiased=False)) <= bound
    # the numbers of the docstring
    np.testing.assert_allclose(resampling.std_tail_bound(10, 400, 0.001), 0.0351, rtol=1e-2)
    np.testing.assert_allclose(resampling.std_tail(10, 400, 0.001), 5.3e-4, rtol=1e-2)
    np.testing.assert_allclose(resampling.std_tail(10, 400, 0.001, unbiased=False), 7.1e-15, rtol=1e-2)


def test_published_tail_bound_is_false_for_a_known_mean():
    # Importance sampling: weighting by std_j turns each χ²_1 into χ²_2, so Pr(std > ε) = a^j E[1/std; std > ε].
    rounds, level = 100, 200.0
    rng = np.random.default_rng(0)
    log_std = 0.5 * np.log(rng.chisquare(2, (100_000, rounds))).sum(axis=1)
    weights = np.where(log_std > np.log(level), np.sqrt(2 / np.pi) ** rounds * np.exp(-log_std), 0.0)
    within_six_errors(weights, float(resampling.std_tail(1, rounds, level, known_mean=True)), floor=0)
    ratio = weights.mean() / float(resampling.std_tail_bound(1, rounds, level))
    assert 2800 < ratio < 3000


def test_estimator_variance_of_a_wandering_mean():
    seeds, n, rounds = 4000, 100, 12
    rng = np.random.default_rng(2)
    for schedule in REFIT_SCHEDULES:
        means, pool = np.zeros((seeds, rounds + 1)), np.zeros((seeds, 0))
        for j in range(rounds):
            fresh = means[:, j : j + 1] + rng.standard_normal((seeds, n))
            pool = fresh if schedule == "replace" else np.concatenate([pool, fresh], axis=1)
            points = pool
            if schedule == "subsample":
                points = np.take_along_axis(pool, np.argsort(rng.random(pool.shape), axis=1)[:, :n], axis=1)
            means[:, j + 1] = points.mean(axis=1)
        # subsample: only to leading order in 1/n
        floor = 3 / n if schedule == "subsample" else 1e-12
        within_six_errors(n * means**2, np.asarray(resampling.estimator_variance(rounds, schedule=schedule)), floor)


def test_estimator_variance_plateaus():
    accumulate = resampling.estimator_variance(10**6, schedule="accumulate")
    np.testing.assert_allclose(accumulate[-1], np.pi**2 / 6, atol=1.1e-6)
    np.testing.assert_allclose(
        resampling.estimator_variance(10**6, schedule="subsample")[-1], np.pi**2 / 2 - 2, atol=4e-6
    )
    np.testing.assert_array_equal(resampling.estimator_variance(3), [0, 1, 2, 3])


@pytest.mark.parametrize("k", [1e-4, 0.3, 1.0, 4.0, 50.0])
def test_weight_on_real_data_by_brute_force(k):
    def stationary(w):
        variance = 0.0
        for _ in range(200_000 if w < 0.02 else 3000):
            variance = w**2 + (1 - w) ** 2 * (variance + k)
        return variance

    weight = float(resampling.optimal_real_weight(k))
    np.testing.assert_allclose(resampling.weighted_variance(weight, k), stationary(weight), rtol=1e-10)
    np.testing.assert_allclose(resampling.weighted_variance(weight, k), weight, rtol=1e-12)
    if k > 0.01:
        best = optimize.minimize_scalar(stationary, bounds=(0.05, 1), method="bounded", options={"xatol": 1e-9})
        np.testing.assert_allclose(weight, best.x, atol=1e-6)
    pooled = k / (1 + k)
    assert weight > pooled and float(resampling.weighted_variance(pooled, k)) > weight


def test_weight_on_real_data_by_simulation():
    rng = np.random.default_rng(3)
    real, synthetic, w = 6, 3, 0.7
    mean = np.zeros(40_000)
    for _ in range(30):
        fresh = rng.standard_normal((mean.size, real)).mean(axis=1)
        mean = w * fresh + (1 - w) * (mean + rng.standard_normal((mean.size, synthetic)).mean(axis=1))
    within_six_errors(real * mean**2, float(resampling.weighted_variance(w, real / synthetic)))


def test_weight_in_the_corners():
    np.testing.assert_allclose(resampling.optimal_real_weight(1.0), 2 / (1 + np.sqrt(5)), rtol=1e-15)
    np.testing.assert_allclose(
        resampling.optimal_real_weight(np.array([0.0, 1e-300, 1e8, 1e300])), [0, 1e-150, 1 - 1e-8, 1], rtol=1e-15
    )
    assert resampling.weighted_variance(0.0, 1.0) == np.inf
    assert resampling.weighted_variance(1.0, 5.0) == 1


def test_inside_jit(in_float64):
    sizes = np.array([2.0, 30.0])
    np.testing.assert_allclose(jax.jit(resampling.typical_drift)(sizes), resampling.typical_drift(sizes), rtol=1e-15)
    np.testing.assert_allclose(jax.jit(resampling.optimal_real_weight)(sizes), resampling.optimal_real_weight(sizes))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: resampling.lyapunov_exponents(0, 4), "dimension must be at least 1"),
        (lambda: resampling.lyapunov_exponents(2, 2.5), "samples must be a whole number"),
        (lambda: resampling.typical_drift(np.array([3.0, 0.0])), "at least 1"),
        (lambda: resampling.typical_drift(1, unbiased=True), "at least 2"),
        (lambda: resampling.mean_std_rate(2.5), "whole numbers"),
        (lambda: resampling.mean_std_rate(1), "at least 2"),
        (lambda: resampling.mean_variance(0, 3), "samples must be at least 1"),
        (lambda: resampling.mean_variance(1, 3, unbiased=True), "samples must be at least 2"),
        (lambda: resampling.mean_variance(4, -1), "rounds must be at least 0"),
        (lambda: resampling.mean_variance(4, 3, schedule="never"), "schedule must be one of"),
        (lambda: resampling.mean_variance(4, 3, sampling_bias=-0.1), "sampling_bias must be at least 0"),
        (lambda: resampling.mean_variance_limit(4, schedule="never"), "schedule must be one of"),
        (lambda: resampling.estimator_variance(4, schedule="never"), "schedule must be one of"),
        (lambda: resampling.std_tail_bound(4, 3, 0.0), "level must be greater than 0"),
        (lambda: resampling.std_tail_bound(4, -3, 1.0), "rounds must be at least 0"),
        (lambda: resampling.std_tail(1, 3, 1.0), "samples must be at least 2"),
        (lambda: resampling.std_tail(4, 0, 1.0), "rounds must be at least 1"),
        (lambda: resampling.optimal_real_weight(-1.0), "at least 0"),
        (lambda: resampling.weighted_variance(1.5, 1.0), r"weight must lie in \[0, 1\]"),
    ],
)
def test_bad_input(call, words, unchecked):
    with pytest.raises(ValueError, match=words):
        call()
