"""Oracles: every pair kept and fitted by a pseudoinverse, for all noise at once; a double integral in one dimension."""

import numpy as np
import pytest
from scipy import special

from rfcollapse.schemes import SCHEDULES
from rfcollapse.theory import regression, resampling


def errors_given_inputs(inputs, schedule):
    """E|w_j|² over the labels' noise at rounds 0…J, w_0 = 0: the fits carried as matrices that act on all the noise."""
    rounds, samples, dimension = inputs.shape
    noise = np.eye(rounds * samples).reshape(rounds, samples, -1)
    fit, labels, errors = np.zeros((dimension, rounds * samples)), [], [0.0]
    for j in range(rounds):
        labels.append(inputs[j] @ fit + noise[j])
        first = 0 if schedule == "accumulate" else j
        fit = np.linalg.pinv(np.concatenate(inputs[first : j + 1])) @ np.concatenate(labels[first:])
        errors.append(np.sum(fit**2))
    return errors


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("same_inputs", [False, True])
@pytest.mark.parametrize(("dimension", "samples"), [(1, 5), (3, 9)])
def test_mean_error_by_pseudoinverses(schedule, same_inputs, dimension, samples):
    rng, rounds, designs = np.random.default_rng(0), 4, 3000
    spread = np.linalg.cholesky(0.5 * np.eye(dimension) + 0.5)  # of the inputs
    found = []
    for _ in range(designs):
        inputs = rng.standard_normal((1 if same_inputs else rounds, samples, dimension))
        found.append(errors_given_inputs(np.broadcast_to(inputs, (rounds, samples, dimension)), schedule))
    # for inputs N(0, C) the error is that of white ones in another basis: once by hand
    white = rng.standard_normal((2, samples, dimension))
    fit = np.linalg.pinv(white[0] @ spread.T) @ white[1]
    np.testing.assert_allclose(spread.T @ fit, np.linalg.pinv(white[0]) @ white[1], rtol=1e-9)
    error = np.std(found, axis=0, ddof=1) / np.sqrt(designs)
    law = regression.mean_error(dimension, samples, rounds, schedule=schedule, same_inputs=same_inputs)
    assert np.all(np.abs(np.mean(found, axis=0) - np.asarray(law)) <= 6 * error + 1e-12)


def test_second_round_of_accumulating_by_an_integral():
    """d = 1: E a/(a + b)², a and b from χ²_T."""
    samples = 5
    nodes, weights = special.roots_genlaguerre(80, samples / 2 - 1)  # of χ²/2
    first, second = 2 * nodes[:, None], 2 * nodes
    value = weights @ (second / (first + second) ** 2).T @ weights / special.gamma(samples / 2) ** 2
    law = np.diff(regression.mean_error(1, samples, 2, schedule="accumulate"))
    np.testing.assert_allclose(law, [1 / (samples - 2), value], rtol=1e-6)


def test_the_same_inputs_are_the_bound_and_the_limit():
    for dimension, samples in ((1, 3), (5, 12), (5, 10**7)):
        fresh = np.asarray(regression.mean_error(dimension, samples, 50, schedule="accumulate"))
        same = np.asarray(regression.mean_error(dimension, samples, 50, schedule="accumulate", same_inputs=True))
        assert np.all(fresh[2:] < same[2:]) and fresh[1] == same[1]
        np.testing.assert_allclose(same, same[1] * np.asarray(resampling.estimator_variance(50, schedule="accumulate")))
    np.testing.assert_allclose(fresh, same, rtol=1e-6)
    np.testing.assert_array_equal(regression.mean_error(2, 5, 3, same_inputs=True), regression.mean_error(2, 5, 3))


def test_bad_input(unchecked):
    with pytest.raises(ValueError, match="samples must be at least 5"):
        regression.mean_error(3, 4, 2)
    with pytest.raises(ValueError, match="schedule must be one of"):
        regression.mean_error(3, 9, 2, schedule="subsample")
