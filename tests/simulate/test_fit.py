"""Two honest fits land on the closed form they know nothing about."""

import jax
import numpy as np
import optax
import pytest

from rfcollapse.simulate import fit
from rfcollapse.theory import dae

KEY = jax.random.key(3)


@pytest.fixture
def data():
    rng = np.random.default_rng(4)
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    return rng.normal(size=(400, 4)) @ np.diag([2.0, 1.3, 0.8, 0.3]) @ rotation


@pytest.mark.parametrize("rank", [1, 2, None])
def test_gradient_descent_lands_on_the_optimum(data, rank):
    best = dae.optimal_map(data.T @ data / len(data), 0.9, rank)
    found = fit.by_gradient(
        KEY, data, 0.9, rank=rank, optimizer=optax.adam(0.02), steps=3000, explicit_noise=False, record_every=3000
    )
    np.testing.assert_allclose(found.map, best, atol=1e-4)
    assert found.losses[-1] < found.losses[0]


def test_gradient_descent_with_explicit_noise_lands_nearby(data):
    best = dae.optimal_map(data.T @ data / len(data), 0.9)
    optimizer = optax.adam(optax.cosine_decay_schedule(0.03, 4000))
    found = fit.by_gradient(KEY, data, 0.9, optimizer=optimizer, steps=4000, record_every=4000)
    np.testing.assert_allclose(found.map, best, atol=0.02)


def test_descent_follows_the_training_curve():
    rng = np.random.default_rng(0)
    white = np.linalg.qr(rng.normal(size=(50, 2)))[0] * np.sqrt(50)
    variances, noise_std, initial, rate = np.array([3.0, 0.5]), 0.8, 0.05, 1e-3
    factors = (np.sqrt(initial) * np.eye(2), np.sqrt(initial) * np.eye(2))
    found = fit.by_gradient(
        KEY,
        white * np.sqrt(variances),
        noise_std,
        optimizer=optax.sgd(rate),
        steps=4000,
        factors=factors,
        explicit_noise=False,
        record_every=400,
    )
    times = rate * 400 * np.arange(10.0)
    curve = dae.training_curve(times[:, None], variances[None], noise_std, initial)
    np.testing.assert_allclose(np.diagonal(found.path, axis1=1, axis2=2), curve, atol=2e-3)
    # Unbalanced factors of the same initial gain follow another curve.
    uneven = (2 * factors[0], factors[1] / 2)
    found = fit.by_gradient(
        KEY,
        white * np.sqrt(variances),
        noise_std,
        optimizer=optax.sgd(rate),
        steps=4000,
        factors=uneven,
        explicit_noise=False,
        record_every=400,
    )
    assert np.max(np.abs(np.diagonal(found.path, axis1=1, axis2=2) - curve)) > 0.05


def test_least_squares_with_explicit_noise_tends_to_ridge(data):
    best = np.asarray(dae.optimal_map(data.T @ data / len(data), 0.9))
    few, many = (
        np.abs(np.asarray(fit.by_least_squares(KEY, data, 0.9, copies=copies)) - best).max() for copies in (2, 500)
    )
    assert many < 0.01 < few < 0.3


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: fit.by_least_squares(KEY, np.ones((1, 3)), 1.0), "1 samples × 1 copies cannot fit 3 dimensions"),
        (lambda: fit.by_least_squares(KEY, np.ones((4, 3)), -1.0), "noise_std"),
        (
            lambda: fit.by_gradient(KEY, np.ones((4, 3)), 1.0, optimizer=optax.sgd(0.1), steps=5, record_every=2),
            "steps must be a multiple of record_every, 2; got 5",
        ),
        (lambda: fit.by_gradient(KEY, np.ones((4, 3)), 1.0, optimizer=optax.sgd(0.1), steps=0), "steps"),
    ],
)
def test_bad_input_is_named(call, words, unchecked):
    with pytest.raises(ValueError, match=words):
        call()
