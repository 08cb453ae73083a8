"""Oracle: the process itself, every point drawn and kept in numpy; whole laws compared, not means."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from rfcollapse.schemes import REFIT_SCHEDULES, SCHEDULES
from rfcollapse.simulate import resampling
from rfcollapse.theory import resampling as theory

KEY = jax.random.key(0)
FITS = (
    {"known_mean": True}, {"known_mean": False}, {"known_mean": False, "unbiased": True},
    {"known_mean": False, "sampling_bias": 0.5},
)  # fmt: skip


def refit(d, n, rounds, seeds, *, schedule, known_mean=False, unbiased=False, sampling_bias=1.0, seed=0):
    """Log-diagonal of the Cholesky factor of the fitted covariance, (seeds, rounds+1, d)."""
    rng = np.random.default_rng(seed)
    logs = np.zeros((seeds, rounds + 1, d))
    mean, factor, pool = np.zeros((seeds, 1, d)), np.broadcast_to(np.eye(d), (seeds, d, d)), np.zeros((seeds, 0, d))
    for j in range(rounds):
        # the symmetric square root would do as well: the law of the points is what counts
        fresh = mean + np.sqrt(sampling_bias) * rng.standard_normal((seeds, n, d)) @ factor.transpose(0, 2, 1)
        pool = fresh if schedule == "replace" else np.concatenate([pool, fresh], axis=1)
        points = pool
        if schedule == "subsample":
            chosen = np.argsort(rng.random(pool.shape[:2]), axis=1)[:, :n]
            points = np.take_along_axis(pool, chosen[:, :, None], axis=1)
        if not known_mean:
            mean = points.mean(axis=1, keepdims=True)
        divisor = points.shape[1] - (1 if unbiased and not known_mean else 0)
        centred = points - mean
        factor = np.linalg.cholesky(centred.transpose(0, 2, 1) @ centred / divisor)
        logs[:, j + 1] = np.log(np.diagonal(factor, axis1=1, axis2=2))
    return logs


@pytest.mark.parametrize("schedule", REFIT_SCHEDULES)
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(("d", "n"), [(1, 2), (3, 5)])
def test_whole_law_against_sampled_points(schedule, fit, d, n):
    rounds, seeds = 5, 6000
    ours = np.asarray(resampling.run(KEY, d, samples=n, rounds=rounds, seeds=seeds, schedule=schedule, **fit))
    direct = refit(d, n, rounds, seeds, schedule=schedule, **fit)
    assert ours.shape == direct.shape
    np.testing.assert_array_equal(ours[:, 0], 0)
    statistics = [lambda x, j=j, i=i: x[:, j, i] for j in (1, 2, rounds) for i in range(d)]
    statistics.append(lambda x: x[:, rounds].sum(axis=1))  # ½ ln det
    statistics.append(lambda x: (x[:, rounds] - x[:, 1]) @ np.arange(1.0, d + 1) + x[:, 1, 0])  # rounds together
    statistics.append(lambda x: (x[:, 2, 0] - x[:, 1, 0]) * (x[:, 3, -1] - x[:, 2, -1]))
    for statistic in statistics:
        assert stats.ks_2samp(statistic(ours), statistic(direct)).pvalue > 1e-4


@pytest.mark.computes
@pytest.mark.parametrize("known_mean", [True, False])
@pytest.mark.parametrize(("d", "n"), [(1, 2), (4, 8), (8, 1000), (3, 10**9)])
def test_lyapunov_spectrum(d, n, known_mean):
    rounds, seeds = 100, 2000
    logs = np.asarray(resampling.run(KEY, d, samples=n, rounds=rounds, seeds=seeds, known_mean=known_mean))
    slopes = logs[:, -1] / rounds
    error = slopes.std(axis=0, ddof=1) / np.sqrt(seeds)
    exponents = np.asarray(theory.lyapunov_exponents(d, n, known_mean=known_mean))
    assert np.all(np.abs(slopes.mean(axis=0) - exponents) <= 6 * error)


@pytest.mark.parametrize("n", [2, 30, 10**6])
@pytest.mark.parametrize("schedule", ["accumulate", "subsample"])
@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.slow
@pytest.mark.computes
def test_mean_variance(n, schedule, unbiased):
    if schedule == "subsample" and n > 100:
        pytest.skip("keeps every point")
    rounds = 10
    logs = resampling.run(
        KEY, 1, samples=n, rounds=rounds, seeds=20_000, schedule=schedule, known_mean=False, unbiased=unbiased
    )
    variances = np.exp(2 * np.asarray(logs)[:, :, 0])
    error = variances.std(axis=0, ddof=1) / np.sqrt(len(variances))
    predicted = np.asarray(theory.mean_variance(n, rounds, schedule=schedule, unbiased=unbiased))
    assert np.all(np.abs(variances.mean(axis=0) - predicted) <= 6 * error + 1e-12)


@pytest.mark.parametrize("schedule", REFIT_SCHEDULES)
@pytest.mark.slow
@pytest.mark.computes
def test_spread_of_log_std_over_seeds(schedule):
    n, rounds, seeds = (200 if schedule == "subsample" else 10_000), 12, 4000
    logs = np.asarray(resampling.run(KEY, 1, samples=n, rounds=rounds, seeds=seeds, schedule=schedule))[:, 1:, 0]
    predicted = np.asarray(theory.estimator_variance(rounds, schedule=schedule))[1:] / (2 * n)
    relative = logs.var(axis=0, ddof=1) / predicted - 1
    assert np.all(np.abs(relative) <= 6 * np.sqrt(2 / seeds) + 5 / n)  # the theory is of leading order in 1/n


@pytest.mark.computes
def test_survival_against_the_exact_tail():
    n, rounds, seeds, level = 10, 60, 20_000, 0.05
    logs = resampling.run(KEY, 1, samples=n, rounds=rounds, seeds=seeds, known_mean=False, unbiased=True)[:, -1, 0]
    alive = np.asarray(logs) > np.log(level)
    p = float(theory.std_tail(n, rounds, level))
    assert 0.05 < p < 0.95
    assert abs(alive.mean() - p) <= 6 * np.sqrt(p * (1 - p) / seeds)


@pytest.mark.computes
def test_dying_directions_stay_right_to_the_last_round():
    d, n, rounds, seeds = 4, 4, 8000, 50
    logs = np.asarray(resampling.run(KEY, d, samples=n, rounds=rounds, seeds=seeds))
    assert np.all(np.isfinite(logs))
    slopes = logs[:, -1] / rounds
    error = slopes.std(axis=0, ddof=1) / np.sqrt(seeds)
    assert np.all(np.abs(slopes.mean(axis=0) - np.asarray(theory.lyapunov_exponents(d, n))) <= 6 * error)
    assert logs[:, -1].max() < -750  # below the smallest float


@pytest.mark.parametrize("schedule", ["replace", "accumulate"])
def test_fewer_samples_than_directions(schedule):
    logs = np.asarray(
        resampling.run(KEY, 4, samples=3, rounds=5, seeds=500, schedule=schedule, known_mean=False), dtype=float
    )
    assert np.all(np.isfinite(logs[:, :, :2]))
    assert np.all(np.isneginf(logs[:, 1:, 2:]))
    # the directions that survive do not feel the others
    alone = np.asarray(resampling.run(KEY, 2, samples=3, rounds=5, seeds=500, schedule=schedule, known_mean=False))
    assert stats.ks_2samp(logs[:, -1, 1], alone[:, -1, 1]).pvalue > 1e-4


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_words_against_drawn_ones(schedule):
    shares, n, rounds, seeds = np.array([0.5, 0.3, 0.2, 0.0]), 6, 4, 4000
    ours = np.asarray(resampling.words(KEY, 7 * shares, samples=n, rounds=rounds, seeds=seeds, schedule=schedule))
    np.testing.assert_allclose(ours.sum(axis=2), 1, rtol=1e-12)
    np.testing.assert_array_equal(ours[:, :, 3], 0)
    np.testing.assert_allclose(ours[:, 0], np.broadcast_to(shares, (seeds, 4)), rtol=1e-12)
    rng = np.random.default_rng(1)
    pool, current = np.zeros((seeds, 4)), np.broadcast_to(shares, (seeds, 4))
    for j in range(1, rounds + 1):
        draw = rng.multinomial(n, current / current.sum(axis=1, keepdims=True))
        pool = draw if schedule == "replace" else pool + draw
        current = pool / pool.sum(axis=1, keepdims=True)
        for word in range(3):
            tables = [np.round(n * j * x).astype(int) for x in (ours[:, j, word], current[:, word])]
            counts = np.array([np.bincount(table, minlength=n * j + 1) for table in tables])
            counts = counts[:, counts.sum(axis=0) > 20]
            assert stats.chi2_contingency(counts).pvalue > 1e-4
    # rounds together: a word that was lost stays lost
    if schedule == "replace":
        assert np.all((ours[:, 2:] == 0) | (ours[:, 1:-1] > 0))


def test_one_point_and_no_rounds():
    assert np.all(np.isneginf(resampling.run(KEY, 1, samples=1, rounds=2, known_mean=False)[:, 1:]))
    for schedule in REFIT_SCHEDULES:
        assert resampling.run(KEY, 2, samples=3, rounds=0, seeds=2, schedule=schedule).shape == (2, 1, 2)
    np.testing.assert_array_equal(resampling.words(KEY, [1.0, 3.0], samples=3, rounds=0), [[[0.25, 0.75]]])


def test_same_key_same_run_other_key_other_run():
    first, again = (resampling.run(KEY, 2, samples=5, rounds=3, seeds=2) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert jnp.all(resampling.run(jax.random.PRNGKey(1), 2, samples=5, rounds=3, seeds=2)[:, 1:] != first[:, 1:])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"dimension": 0}, "dimension must be at least 1"),
        ({"samples": 0}, "samples must be at least 1"),
        ({"samples": 1, "known_mean": False, "unbiased": True}, "samples must be at least 2"),
        ({"samples": 3, "schedule": "subsample", "dimension": 4}, "samples must be at least 4"),
        ({"samples": 4, "schedule": "subsample", "dimension": 4, "known_mean": False}, "samples must be at least 5"),
        ({"rounds": -1}, "rounds must be at least 0"),
        ({"seeds": 0}, "seeds must be at least 1"),
        ({"schedule": "forget"}, "schedule must be one of"),
        ({"sampling_bias": -1.0}, "sampling_bias must be at least 0"),
    ],
)
def test_bad_input(arguments, words, unchecked):
    arguments = {"dimension": 2, "samples": 5, "rounds": 3, "seeds": 1, **arguments}
    with pytest.raises(ValueError, match=words):
        resampling.run(KEY, **arguments)


def test_bad_words(unchecked):
    with pytest.raises(ValueError, match="shares must be at least 0"):
        resampling.words(KEY, [0.5, -0.5], samples=3, rounds=2)
    with pytest.raises(ValueError, match="schedule must be one of"):
        resampling.words(KEY, [0.5, 0.5], samples=3, rounds=2, schedule="subsample")
