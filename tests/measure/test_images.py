"""Generated against real images: known shifts and dead directions, and what real images themselves score."""

import numpy as np
import pytest

from rfcollapse.measure.distances import frechet_distance
from rfcollapse.measure.images import quality, reference, variance_ratio

STD = np.array([3.0, 1.0, 0.3, 0.0])


def rows(seed, n, std=STD):
    turned = np.linalg.qr(np.random.default_rng(9).normal(size=(4, 4)))[0]
    return 1 + np.random.default_rng(seed).normal(size=(n, 4)) * std @ turned


@pytest.fixture(scope="module")
def real():
    return reference(rows(1, 2000), rows(2, 800), lambda x: x[:, :2] ** 2)


def test_axes_are_those_of_the_training_images(real):
    train = rows(1, 2000)
    assert real.directions.shape == (4, 3)  # the blank direction is left out
    np.testing.assert_allclose(
        real.variances, np.sort(np.linalg.eigvalsh(np.cov(train.T, bias=True)))[:0:-1], rtol=1e-9
    )
    np.testing.assert_allclose(variance_ratio(real, train), 1, rtol=1e-9)
    np.testing.assert_allclose(variance_ratio(real, train[:1] + (train - train[:1]) / 2), 0.25, rtol=1e-9)
    killed = rows(3, 5000, STD * np.array([1, 0, 1, 1]))
    ratio = np.asarray(variance_ratio(real, killed))
    assert ratio[1] < 0.01 and np.all(np.abs(ratio[[0, 2]] - 1) < 6 * (2 / 2000 + 2 / 5000) ** 0.5)


def test_quality_of_real_moved_and_few_images(real):
    same = quality(real, rows(3, 800))
    assert same.frechet_pca < 0.1 and min(same.precision, same.recall, same.coverage) > 0.9
    moved = quality(real, rows(3, 800) + 10.0)
    np.testing.assert_allclose(moved.frechet_pca, 400, rtol=0.05)  # |shift|², as long as no part of it is blank
    assert max(moved.precision, moved.recall, moved.coverage) < 0.01
    poor = quality(real, rows(3, 800, STD * np.array([0.05, 1, 1, 1])))
    assert poor.recall < 0.2 < 0.9 < poor.precision
    expected = frechet_distance(rows(2, 800)[:, :2] ** 2, rows(3, 800)[:, :2] ** 2)
    np.testing.assert_allclose(same.frechet_features, expected, rtol=1e-9)
    assert np.isnan(quality(real._replace(features=None), rows(3, 800)).frechet_features)


def test_refuses(real, unchecked):
    with pytest.raises(ValueError, match="held must have 4 columns, as train; got 3"):
        reference(rows(1, 50), np.ones((9, 3)))
    with pytest.raises(ValueError, match="samples must be finite"):
        quality(real, np.full((9, 4), np.nan))
    with pytest.raises(ValueError, match="at least 6 rows"):
        quality(real, np.ones((5, 4)))
