"""Bounds: constants from their proofs, checked on draws and on adversarial realisations."""

import jax
import numpy as np
import pytest

from rfcollapse.theory import dae


def self_train(rng, data, noise_std, resample_std, rounds):
    """The process itself, in NumPy: norms of the fitted maps and top eigenvalues of the data, rounds 0 … J."""
    samples, dimension = data.shape
    norms, tops = [], []
    for _ in range(rounds + 1):
        moment = data.T @ data / samples
        fitted = moment @ np.linalg.inv(moment + noise_std**2 * np.eye(dimension))
        norms.append(np.linalg.norm(fitted, 2))
        tops.append(np.linalg.eigvalsh(moment)[-1])
        data = (data + resample_std * rng.normal(size=data.shape)) @ fitted.T
    return np.array(norms), np.array(tops)


@pytest.mark.parametrize("samples, dimension", [(1, 1), (1, 5), (3, 8), (20, 4), (50, 2)])
def test_norm_bound_holds_where_it_applies(samples, dimension):
    rng = np.random.default_rng(samples * 100 + dimension)
    noise_std, rounds, failures = 0.9, 6, 0
    for _ in range(200):
        data = rng.normal(size=(samples, dimension)) * rng.uniform(0.5, 3)
        constant = 1 + np.sqrt(dimension / samples) + np.sqrt(2)
        resample_std = np.sqrt(samples) * noise_std**2 / (2 * constant * np.linalg.norm(data, 2))
        assert bool(dae.norm_bound_applies(data, noise_std, resample_std * (1 - 1e-9)))
        assert not bool(dae.norm_bound_applies(data, noise_std, resample_std * (1 + 1e-9)))
        bound = np.asarray(dae.norm_bound(data, noise_std, rounds))
        norms, _ = self_train(rng, data, noise_std, resample_std, rounds)
        failures += np.any(norms > bound)
    assert failures <= 200 * min(1, 2 * rounds * np.exp(-samples))


def test_norm_bound_is_tight_at_its_first_step_as_signal_vanishes():
    # ‖W_0‖ = u/(u + 1) → u, the bound's first entry, when the data are far below the noise.
    data = 1e-4 * np.eye(3)
    assert float(dae.norm_bound(data, 1.0, 0)[0]) == pytest.approx(1e-8 / 3, rel=1e-12)
    # The factor q per round tends to ½ there, q² per round for the norm.
    bound = dae.norm_bound(data, 1.0, 2)
    assert float(bound[1] / bound[0]) == pytest.approx(0.25, rel=1e-6)


def test_norm_bound_needs_tiny_noise():
    rng = np.random.default_rng(5)
    data = rng.normal(size=(1_000_000, 1))  # long, so that an n × n factor would not fit in memory
    data *= np.sqrt(0.043) / np.sqrt(np.mean(data**2))
    assert not bool(dae.norm_bound_applies(data, 1.0, 1.0))  # u0 = .043 is already too large when s = σ
    assert bool(dae.norm_bound_applies(data * 0.99, 1.0, 1.0))


@pytest.mark.parametrize("samples, dimension, rho", [(8, 8, 1.0), (64, 4, 0.0), (64, 4, 3.0), (1000, 3, 1.0)])
def test_variance_bound_holds_and_is_not_vacuous(samples, dimension, rho):
    rng = np.random.default_rng(samples + dimension)
    rounds, failures, ratios = 8, 0, []
    for _ in range(100):
        data = rng.normal(size=(samples, dimension)) * 2
        top = np.linalg.eigvalsh(data.T @ data / samples)[-1]
        bound = np.asarray(
            dae.variance_bound(
                top,
                1.0,
                rounds,
                samples=samples,
                dimension=dimension,
                resample_std=rho**0.5,
                failure_probability=0.05,
            )
        )
        _, tops = self_train(rng, data, 1.0, rho**0.5, rounds)
        assert bound[0] == pytest.approx(top, rel=1e-14)
        failures += np.any(tops > bound * (1 + 1e-12))
        ratios.append(bound[1] / tops[1])
    assert failures <= 5
    if samples == 1000:
        assert np.mean(ratios) < 1.6


def test_variance_bound_tends_to_the_exact_law():
    for samples, tolerance in ((10**6, 5e-2), (10**10, 5e-4), (10**14, 5e-6)):
        bound = dae.variance_bound(9.0, 1.0, 10, samples=samples, dimension=3, resample_std=1.2)
        law = dae.trajectory(9.0, 1.0, 10, resample_std=1.2)
        assert np.all(bound >= law * (1 - 1e-12))
        np.testing.assert_allclose(bound[:6], law[:6], rtol=tolerance)


def test_norm_floor_holds_in_every_realisation():
    rng = np.random.default_rng(2)
    for _ in range(200):
        real = rng.normal(size=(5, 3)) * rng.uniform(0.1, 10)
        junk = rng.normal(size=(7, 3)) @ np.diag(rng.uniform(0, 5, size=3))  # whatever the rounds have produced
        alpha, noise_std = rng.uniform(), rng.uniform(0.1, 3)
        pool = (1 - alpha) * junk.T @ junk / 7 + alpha * real.T @ real / 5
        gains = np.linalg.eigvalsh(pool @ np.linalg.inv(pool + noise_std**2 * np.eye(3)))
        floor = dae.norm_floor(np.linalg.eigvalsh(real.T @ real / 5), noise_std, alpha)
        assert np.all(gains >= np.asarray(floor) - 1e-12)


def test_norm_floor_is_reached_when_the_samples_have_died():
    assert float(dae.norm_floor(6.0, 2.0, 0.5)) == pytest.approx(3 / 7, rel=1e-14)
    assert float(dae.norm_floor(6.0, 2.0, 0.0)) == 0


def test_bounds_can_be_jitted(in_float64):
    data = np.random.default_rng(0).normal(size=(6, 2))
    np.testing.assert_allclose(jax.jit(lambda x: dae.norm_bound(x, 1.0, 3))(data), dae.norm_bound(data, 1.0, 3))


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: dae.norm_bound(np.ones(3), 1.0, 2), r"data must be a table of shape \(n, d\)"),
        (lambda: dae.norm_bound(np.ones((3, 2)), 0.0, 2), "noise_std must be greater than 0"),
        (lambda: dae.norm_bound(np.ones((3, 2)), 1.0, -2), "rounds must be at least 0; got -2"),
        (lambda: dae.norm_bound_applies(np.ones((3, 2)), 1.0, -1.0), "resample_std"),
        (lambda: dae.variance_bound(1.0, 1.0, 2, samples=3, dimension=4), "samples must be at least 4; got 3"),
        (
            lambda: dae.variance_bound(1.0, 1.0, 2, samples=4, dimension=4, failure_probability=0.0),
            "failure_probability must be greater than 0",
        ),
        (lambda: dae.norm_floor(1.0, 1.0, -0.1), r"real_fraction must lie in \[0, 1\]"),
    ],
)
def test_bad_input_is_named(call, words, unchecked):
    with pytest.raises(ValueError, match=words):
        call()
