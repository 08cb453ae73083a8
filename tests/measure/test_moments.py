"""Streamed moments against NumPy on the whole."""

import numpy as np
import pytest

from rfcollapse import data
from rfcollapse.measure.moments import moments, power_sums, within_and_between


def rng(seed):
    return np.random.default_rng(seed)


def test_moments_of_chunks_are_those_of_the_whole():
    samples = rng(1).normal(size=(1000, 4)) * [1, 2, 3, 4] + [0, 1, 10, 1e8]
    whole = moments([samples])
    parts = moments(iter(np.split(samples, [1, 300, 650])))
    for result in (whole, parts):
        assert result.count == 1000
        np.testing.assert_allclose(result.mean, samples.mean(axis=0), rtol=1e-13)
        # the last mean is 1e8 times the spread: its rounding, 1e-16 · 1e8, is all that may remain
        np.testing.assert_allclose(result.covariance, np.cov(samples.T, bias=True), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(parts.covariance[:3, :3], np.cov(samples.T[:3], bias=True), rtol=1e-12, atol=1e-13)


def test_moments_take_the_chunks_of_a_file(tmp_path):
    samples = rng(2).normal(size=(50, 3))
    np.save(tmp_path / "x.npy", samples.astype(np.float32))
    result = moments(data.sample_chunks(tmp_path / "x.npy", rows=16))
    np.testing.assert_allclose(result.covariance, np.cov(samples.T, bias=True), rtol=1e-5, atol=1e-6)


def test_within_and_between_groups():
    """Against the law of total variance, group by group, with whole weights as repeated rows."""
    rows, groups = rng(6).normal(size=(60, 3)) * [1, 2, 3], rng(7).integers(0, 3, 60)
    weights = rng(8).integers(0, 3, 60)
    many, names = np.repeat(rows, weights, axis=0), np.repeat(groups, weights)
    within = sum(many[names == g].var(axis=0).sum() * np.mean(names == g) for g in range(3))
    found = within_and_between(rows, groups, weights)
    np.testing.assert_allclose(found, (within, many.var(axis=0).sum() - within), rtol=1e-12)
    np.testing.assert_allclose(within_and_between(many, names.astype(str)), found, rtol=1e-12)


@pytest.mark.parametrize("cuts", [[], [1, 30, 30, 31, 65]])
def test_power_sums_are_those_of_the_whole(cuts):
    samples, centre = rng(3).normal(size=(100, 4)) + 1, np.array([1.0, 0.0, 2.0, 1.0])
    directions = np.linalg.qr(rng(4).normal(size=(4, 4)))[0][:, :2]
    sums = power_sums(iter(np.split(samples, cuts)), centre, directions, order=4, groups=7)
    for group in range(7):
        rows = samples[group::7] - centre
        assert sums.counts[group] == len(rows)
        for p in range(4):
            np.testing.assert_allclose(sums.along[p, group], ((rows @ directions) ** (p + 1)).sum(axis=0), rtol=1e-10)


@pytest.mark.parametrize(
    "chunks, words",
    [
        ([], "chunks must hold at least one array"),
        ([np.ones((2, 3)), np.ones((2, 4))], "chunks must all have 3 columns; got 4"),
        ([np.ones(3)], r"chunks must be a table .* got shape \(3,\)"),
        ([[[np.nan]]], "chunks must be finite"),
    ],
)
def test_bad_input_is_refused(unchecked, chunks, words):
    with pytest.raises(ValueError, match=words):
        moments(chunks)
