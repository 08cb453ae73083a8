"""Oracle: all pairs kept in numpy and fitted by `lstsq`, with true coefficients that are not zero."""

import jax
import numpy as np
import pytest
from scipy import stats

from rfcollapse.schemes import SCHEDULES
from rfcollapse.simulate import regression

KEY = jax.random.key(0)
DIMENSION, SAMPLES, ROUNDS, SEEDS = 2, 5, 4, 1500


def refit(schedule, same_inputs):
    rng, errors = np.random.default_rng(0), np.zeros((SEEDS, ROUNDS + 1))
    truth = np.array([3.0, -1.0])
    for seed in range(SEEDS):
        fit, inputs, labels = truth, np.zeros((0, DIMENSION)), np.zeros(0)
        for j in range(ROUNDS):
            if j == 0 or not same_inputs:
                fresh = rng.standard_normal((SAMPLES, DIMENSION))
            noisy = fresh @ fit + rng.standard_normal(SAMPLES)
            kept = 0 if schedule == "replace" else len(labels)
            inputs, labels = np.concatenate([inputs[:kept], fresh]), np.concatenate([labels[:kept], noisy])
            fit = np.linalg.lstsq(inputs, labels)[0]
            errors[seed, j + 1] = np.sum((fit - truth) ** 2)
    return errors


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("same_inputs", [False, True])
def test_whole_law_against_lstsq(schedule, same_inputs):
    options = dict(samples=SAMPLES, rounds=ROUNDS, seeds=SEEDS, schedule=schedule, same_inputs=same_inputs)
    ours, direct = np.asarray(regression.run(KEY, DIMENSION, **options)), refit(schedule, same_inputs)
    assert ours.shape == direct.shape and np.all(ours[:, 0] == 0)
    for statistic in (lambda x: x[:, 1], lambda x: x[:, 2], lambda x: x[:, ROUNDS], lambda x: x[:, ROUNDS] / x[:, 1]):
        assert stats.ks_2samp(statistic(ours), statistic(direct)).pvalue > 1e-4


def test_seeds_and_rounds():
    errors = np.asarray(regression.run(KEY, 3, samples=3, rounds=3, seeds=4))
    assert np.all(errors[:, 1:] > 0) and np.unique(errors[:, 1]).size == 4
    assert regression.run(KEY, 2, samples=4, rounds=0, seeds=3).shape == (3, 1)


def test_bad_input(unchecked):
    with pytest.raises(ValueError, match="samples must be at least 3"):
        regression.run(KEY, 3, samples=2, rounds=2)
    with pytest.raises(ValueError, match="schedule must be one of"):
        regression.run(KEY, 3, samples=5, rounds=2, schedule="subsample")
