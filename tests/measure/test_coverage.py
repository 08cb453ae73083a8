"""Precision, recall and coverage against scikit-learn's neighbours, and the law that holds for any distribution."""

import jax
import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from rfcollapse import data
from rfcollapse.measure.coverage import coverage


def by_definition(real, generated, k):
    def radii(points):
        return NearestNeighbors(n_neighbors=k + 1).fit(points).kneighbors(points)[0][:, -1]

    gaps = np.linalg.norm(real[:, None] - generated[None], axis=2)
    within_real, within_generated = gaps <= radii(real)[:, None], gaps <= radii(generated)[None]
    return within_real.any(axis=0).mean(), within_generated.any(axis=1).mean(), within_real.any(axis=1).mean()


@pytest.mark.parametrize("n, m, d, k", [(60, 60, 2, 5), (40, 90, 3, 1), (90, 30, 8, 3), (6, 5, 1, 4), (600, 550, 2, 3)])
def test_agrees_with_the_definition(n, m, d, k):
    rng = np.random.default_rng(n + m)
    real, generated = rng.normal(size=(n, d)) + 100, 0.7 * rng.normal(size=(m, d)) + 100.5
    np.testing.assert_allclose(coverage(real, generated, neighbours=k), by_definition(real, generated, k), rtol=1e-14)


def test_a_set_covers_itself_and_nothing_far_away():
    points = np.random.default_rng(0).normal(size=(50, 4))
    assert coverage(points, points) == (1, 1, 1)
    assert coverage(points, points + 100) == (0, 0, 0)


def test_a_lost_mode_shows_in_recall_and_coverage_but_not_in_precision():
    real = np.asarray(data.eight_gaussians(jax.random.key(0), 1600))
    fresh = np.asarray(data.eight_gaussians(jax.random.key(1), 1600))
    kept = fresh[(fresh[:, 0] > 0) | (np.abs(fresh[:, 1]) > 0.5)]  # the mode at (−√2, 0) is lost
    result = coverage(real, kept)
    assert result.precision > 0.95
    assert 0.8 < result.recall < 0.9 and 0.8 < result.coverage < 0.89  # 7/8, less the coverage of a perfect model


@pytest.mark.parametrize("n, m, k", [(80, 80, 5), (60, 120, 3)])
def test_coverage_of_a_perfect_model_is_the_same_for_every_distribution(n, m, k):
    """Of the n − 1 + m points around a real one the k nearest must not all be real."""
    expected = 1 - np.prod([(n - i) / (n + m - i) for i in range(1, k + 1)])
    rng = np.random.default_rng(k)
    for sample in (lambda n: rng.uniform(size=(n, 2)), lambda n: rng.standard_cauchy(size=(n, 3))):
        values = np.array([coverage(sample(n), sample(m), neighbours=k).coverage for _ in range(40)])
        assert abs(values.mean() - expected) < 5 * values.std() / np.sqrt(len(values))
        assert values.std() / np.sqrt(len(values)) < 0.01


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: coverage(np.eye(3), np.ones((3, 2))), "as many columns; got 3 and 2"),
        (lambda: coverage(np.ones((1, 2)), np.ones((3, 2))), "at least 2 rows each; got 1 and 3"),
        (lambda: coverage(np.eye(3), np.eye(3), neighbours=3), "neighbours must be from 1 to 2; got 3"),
        (lambda: coverage(np.eye(3), np.full((3, 3), np.nan)), "generated must be finite"),
    ],
)
def test_bad_input_is_refused(unchecked, call, words):
    with pytest.raises(ValueError, match=words):
        call()
