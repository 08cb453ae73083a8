"""The simulated process against the closed forms, by standard errors, and against a plain NumPy program."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rfcollapse.simulate import dae as simulate
from rfcollapse.simulate import direct
from rfcollapse.theory import dae

KEY = jax.random.key(0)
SPECTRUM = np.array([12.0, 3.0, 0.8])


def deviations(measured, predicted):
    """(mean − prediction) in standard errors, over seeds (axis 0)."""
    measured = np.asarray(measured)
    error = measured.std(axis=0, ddof=1) / np.sqrt(len(measured))
    return (measured.mean(axis=0) - predicted) / np.maximum(error, 1e-300)


@pytest.mark.parametrize("method", ["reduced", "direct"])
@pytest.mark.parametrize("rho", [0.0, 1.0, 2.0, 3.0])
def test_replace_follows_the_recursion(rho, method):
    result = simulate.run(
        KEY,
        np.diag(SPECTRUM),
        samples=20_000,
        noise_std=1.0,
        resample_std=rho**0.5,
        rounds=5,
        seeds=16,
        method=method,
    )
    law = np.asarray(dae.trajectory(SPECTRUM, 1.0, 5, resample_std=rho**0.5))
    # Below u ≈ 1 relative errors double each round, so that the mean is off by more than sampling error: look above.
    assert np.all(np.abs(deviations(result.variances, law))[law > 1] < 5)
    np.testing.assert_allclose(np.mean(result.variances, axis=0), law, rtol=0.02, atol=0.02)
    np.testing.assert_allclose(result.gains[:, 0], 12 / 13, rtol=0.01)


@pytest.mark.parametrize("source", ["pool", "own"])
@pytest.mark.slow
def test_real_data_follow_the_recursion(source):
    options = dict(real_fraction=0.3, resample_from=source, real_every=2)
    result = simulate.run(KEY, np.diag(SPECTRUM), samples=10_000, noise_std=1.0, rounds=6, seeds=12, **options)
    law = np.asarray(dae.trajectory(SPECTRUM, 1.0, 6, **options))
    np.testing.assert_allclose(np.mean(result.variances, axis=0), law, rtol=0.02, atol=0.01)
    assert np.all(np.abs(deviations(result.variances[:, 1:4, 0], law[1:4, 0])) < 5)


def test_a_real_fraction_for_each_round():
    options = dict(samples=20, noise_std=1.0, rounds=4, seeds=2)
    every = simulate.run(KEY, np.eye(2), real_fraction=0.3, real_every=3, **options)
    listed = simulate.run(KEY, np.eye(2), real_fraction=[0.3, 0, 0, 0.3, 0], **options)
    np.testing.assert_array_equal(listed.eigenvalues, every.eigenvalues)


@pytest.mark.parametrize("source", ["pool", "own"])
@pytest.mark.slow
def test_accumulate_follows_the_recursion(source):
    result = simulate.run(
        KEY,
        np.diag(SPECTRUM),
        samples=4000,
        noise_std=1.0,
        rounds=8,
        seeds=12,
        schedule="accumulate",
        resample_from=source,
    )
    law = np.asarray(dae.trajectory(SPECTRUM, 1.0, 8, schedule="accumulate", resample_from=source))
    np.testing.assert_allclose(np.mean(result.variances, axis=0), law, rtol=0.02, atol=0.01)


@pytest.mark.slow
def test_accumulate_mixes_in_real_data():
    # All real: the map is fitted to the real data alone, and all rows are drawn from them.
    options = dict(schedule="accumulate", real_fraction=1.0)
    result = simulate.run(KEY, np.diag(SPECTRUM), samples=4000, noise_std=1.0, rounds=4, seeds=8, **options)
    law = np.asarray(dae.trajectory(SPECTRUM, 1.0, 4, **options))
    np.testing.assert_allclose(np.mean(result.variances, axis=0), law, rtol=0.03)


@pytest.mark.parametrize("method", ["reduced", "direct"])
@pytest.mark.slow
def test_pool_weights_cohorts_rather_than_subsampling(method):
    """The whole pool process again in NumPy, with lists of cohorts; means over seeds must agree at small n."""
    alpha, n, rounds, seeds = 0.4, 6, 3, 4000
    rng = np.random.default_rng(3)
    tops = np.zeros((seeds, rounds + 1))
    root = np.diag(np.sqrt([4.0, 1.0]))
    for i in range(seeds):
        real = rng.normal(size=(n, 2)) @ root
        cohorts, weights = [real], [1.0]
        for j in range(rounds + 1):
            moment = sum(w * c.T @ c / n for w, c in zip(weights, cohorts))
            tops[i, j] = np.trace(moment)
            cohorts, weights = [*cohorts, real], [(1 - alpha) * w for w in weights] + [alpha]
            pool = sum(w * c.T @ c / n for w, c in zip(weights, cohorts))
            fitted = pool @ np.linalg.inv(pool + np.eye(2))
            cohorts = [(c + rng.normal(size=c.shape)) @ fitted.T for c in cohorts]
    result = simulate.run(
        KEY,
        np.diag([4.0, 1.0]),
        samples=n,
        noise_std=1.0,
        rounds=rounds,
        seeds=seeds,
        real_fraction=alpha,
        method=method,
    )
    traces = np.asarray(result.eigenvalues).sum(axis=-1)
    error = np.sqrt((traces.var(axis=0) + tops.var(axis=0)) / seeds)
    assert np.all(np.abs(traces.mean(axis=0) - tops.mean(axis=0)) < 5 * error)
    np.testing.assert_allclose(traces.std(axis=0), tops.std(axis=0), rtol=0.08)


@pytest.mark.slow
def test_floor_holds_in_every_round_of_every_seed():
    result = simulate.run(
        KEY,
        np.diag(SPECTRUM),
        samples=5,
        noise_std=0.7,
        rounds=80,
        seeds=50,
        resample_std=0.0,
        real_fraction=0.2,
        resample_from="own",
    )
    floor = dae.norm_floor(result.eigenvalues[:, :1, 0], 0.7, 0.2)
    assert np.all(result.gains >= floor - 1e-12)
    assert np.median(result.eigenvalues[:, -1, 0] / result.eigenvalues[:, 0, 0]) < 1e-3  # and yet the samples die


@pytest.mark.parametrize("method", ["reduced", "direct"])
def test_rank_truncates_every_round(method):
    result = simulate.run(KEY, np.diag(SPECTRUM), samples=500, noise_std=1.0, rounds=3, rank=2, method=method)
    assert np.all(result.eigenvalues[:, 1:, 2] < 1e-12)
    assert np.all(result.eigenvalues[:, 1:, 1] > 0.1)


def test_given_data_are_the_real_data_of_every_seed():
    data = np.random.default_rng(0).normal(size=(40, 3))
    result = simulate.run(KEY, None, data=data, noise_std=1.0, rounds=2, seeds=3, keep=4, method="direct")
    np.testing.assert_allclose(
        result.eigenvalues[:, 0], np.tile(np.linalg.eigvalsh(data.T @ data / 40)[::-1], (3, 1)), rtol=1e-10
    )
    np.testing.assert_array_equal(result.kept[:, 0], np.tile(data[:4], (3, 1, 1)))
    assert np.std(np.asarray(result.kept[:, 1]), axis=0).min() > 0
    assert result.kept.shape == (3, 3, 4, 3)


@pytest.mark.slow
def test_batching_does_not_change_the_numbers(monkeypatch):
    options = dict(samples=5, noise_std=1.0, rounds=1, seeds=5, real_fraction=0.5, method="direct")
    whole = simulate.run(KEY, np.eye(2), **options)
    monkeypatch.setattr(direct, "BATCH_BYTES", 1)
    direct.simulate.clear_cache()
    np.testing.assert_allclose(simulate.run(KEY, np.eye(2), **options).eigenvalues, whole.eigenvalues, rtol=1e-12)


@pytest.mark.slow
def test_samples_on_several_cpu_devices_do_not_lock_up():
    """LAPACK called by two CPU devices at once can wait for ever; seeds carried as samples therefore keep to one."""
    program = (
        "import jax, numpy as np; from rfcollapse.simulate import dae; assert len(jax.devices()) == 2; "
        "options = dict(samples=100, noise_std=1.0, rounds=50, seeds=200, method='direct'); "
        "run = dae.run(jax.random.key(0), np.eye(8), **options); "
        "assert np.all(np.isfinite(run.gains))"
    )
    # Compiled as users compile it.
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_DISABLE_MOST_OPTIMIZATIONS": "0"}
    flags = os.environ | flags
    subprocess.run([sys.executable, "-c", program], env=flags, check=True, timeout=240)


def test_zero_rounds_and_one_sample():
    result = simulate.run(KEY, jnp.eye(3), samples=1, noise_std=1.0, rounds=0)
    assert result.eigenvalues.shape == (1, 1, 3) and result.gains.shape == (1, 1)
    assert result.eigenvalues[0, 0, 1] < 1e-12  # one sample spans one direction


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(noise_std=0.0), "noise_std must be greater than 0"),
        (dict(rounds=-1), "rounds must be at least 0; got -1"),
        (dict(seeds=0), "seeds must be at least 1; got 0"),
        (dict(samples=0), "samples must be at least 1; got 0"),
        (dict(samples=None), "give covariance and samples, or data"),
        (dict(real_fraction=2.0), r"real_fraction must lie in \[0, 1\]"),
        (dict(real_fraction=[0.1, 0.2]), r"real_fraction must be one number or 3; got shape \(2,\)"),
        (dict(rank=4), "rank must be from 1 to 3; got 4"),
        (dict(keep=99), "keep must be from 0 to 10; got 99"),
        (dict(keep=2), "keep needs method='direct'"),
        (dict(method="fast"), "method must be one of"),
        (dict(schedule="both"), "schedule must be one of"),
        (dict(data=np.ones((10, 3))), "covariance must be None when data are given"),
        (dict(covariance=np.ones(3)), "covariance must be a square matrix"),
        (dict(covariance=None, data=np.ones((4, 3))), "samples must be None or the 4 rows of data; got 10"),
    ],
)
def test_bad_input_is_named(options, words, unchecked):
    settings = dict(covariance=np.eye(3), samples=10, noise_std=1.0, rounds=2) | options
    with pytest.raises(ValueError, match=words):
        simulate.run(KEY, settings.pop("covariance"), **settings)
