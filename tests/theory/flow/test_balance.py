import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from scipy.integrate import solve_ivp

from rfcollapse.theory.flow import balance_map, coupling_angle, coupling_gain, euler_gain, transport_map


def least_squares_flow(x0, x1, ridge):
    """The flow map, by scipy, of the velocity that ridge regression fits to these very pairs (rows) at every t."""
    n, d = x0.shape

    def slope(t, flow):
        x = (1 - t) * x0 + t * x1
        inputs = np.concatenate([x, np.sqrt(n * ridge) * np.eye(d)])
        targets = np.concatenate([x1 - x0, np.zeros((d, d))])
        velocity = np.linalg.lstsq(inputs, targets, rcond=None)[0].T
        return (velocity @ flow.reshape(d, d)).ravel()

    solution = solve_ivp(slope, (0, 1), np.eye(d).ravel(), method="DOP853", rtol=1e-12, atol=1e-13)
    return solution.y[:, -1].reshape(d, d)


def sampled_pairs(d, seed=0):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(60, 2 * d)) @ (rng.normal(size=(2 * d, 2 * d)) * np.exp(rng.normal(size=(2 * d, 1))))
    return hidden[:, :d], hidden[:, d:]


def moments(x0, x1):
    return x0.T @ x0 / len(x0), x1.T @ x1 / len(x0), x0.T @ x1 / len(x0)


@pytest.mark.parametrize("d, ridge", [(1, 0.4), (2, 0.0), (3, 0.4), (5, 0.05)])
def test_map_is_the_flow_of_the_least_squares_velocity(d, ridge):
    x0, x1 = sampled_pairs(d)
    expected = least_squares_flow(x0, x1, ridge)
    found = np.asarray(balance_map(*moments(x0, x1), ridge=ridge))
    np.testing.assert_allclose(found, expected, atol=1e-9 * np.abs(expected).max())
    shift = ridge * np.eye(d)
    noise, data, _ = moments(x0, x1)
    np.testing.assert_allclose(found @ (noise + shift) @ found.T, data + shift, atol=1e-13 * np.abs(data).max())


def test_ridge_is_input_noise_at_training():
    rng = np.random.default_rng(3)
    x0, x1 = sampled_pairs(2)
    n, ridge, t = len(x0), 0.3, 0.6
    x = (1 - t) * x0 + t * x1
    # Noise with exact second moments, uncorrelated with the pairs: each pair twice, once with either sign of the noise.
    noise = np.linalg.qr(rng.normal(size=(n, 2)))[0] * np.sqrt(n * ridge)
    noisy = np.linalg.lstsq(np.concatenate([x + noise, x - noise]), np.tile(x1 - x0, (2, 1)), rcond=None)[0]
    ridged = np.linalg.solve(x.T @ x + n * ridge * np.eye(2), x.T @ (x1 - x0))
    np.testing.assert_allclose(noisy, ridged, rtol=1e-10)


def test_rotation_of_the_noise_is_undone_or_kept():
    angle = 0.7
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    # Pairs (x0, Rx0): the straight flow between them is R itself, though both moments are the identity.
    np.testing.assert_allclose(balance_map(np.eye(2), np.eye(2), rotation.T), rotation, atol=1e-12)


@pytest.mark.parametrize("ratio", [1.0, 0.3, 1e-6, 1e6])
def test_pairs_that_pass_through_zero_have_no_flow(ratio):
    for turn in (np.eye(2), np.linalg.qr(np.random.default_rng(0).normal(size=(2, 2)))[0]):
        flip = turn @ np.diag([-ratio, 1.0]) @ turn.T  # x1 = −ratio x0 in one direction
        with pytest.raises(ValueError, match="positive definite at every t"):
            balance_map(np.eye(2), flip @ flip.T, flip.T)
        near = balance_map(np.eye(2), flip @ flip.T, flip.T, ridge=1e-3)
        assert np.all(np.isfinite(near))


@pytest.mark.parametrize("spread", [1.0, 1e3, 1e6])
def test_independent_pairs_give_the_transport_map(spread):
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    covariance = rotation @ np.diag([spread, 1, 1 / spread]) @ rotation.T
    covariance = (covariance + covariance.T) / 2
    np.testing.assert_allclose(
        balance_map(np.eye(3), covariance, np.zeros((3, 3))), transport_map(covariance), atol=1e-13 * spread**0.5
    )
    diagonal = np.diag([spread**2, 1, 1 / spread**2])
    np.testing.assert_allclose(balance_map(np.eye(3), diagonal, np.zeros((3, 3))), diagonal**0.5, rtol=1e-13)


def test_transport_map_is_the_matrix_root():
    rng = np.random.default_rng(2)
    factor = rng.normal(size=(4, 6))
    covariance = factor @ factor.T
    np.testing.assert_allclose(transport_map(covariance), scipy.linalg.sqrtm(covariance), atol=1e-13)
    low_rank = factor[:, :2] @ factor[:, :2].T
    root = transport_map(low_rank)
    np.testing.assert_allclose(root @ root, low_rank, atol=1e-13)


def test_jitted(in_float64):
    cross = jnp.array([[0.3, 0.1], [-0.2, 0.4]])

    def corner(scale):
        return balance_map(jnp.eye(2), scale * jnp.eye(2) * 2, cross, ridge=0.1)[0, 1]

    assert float(jax.jit(corner)(1.0)) == pytest.approx(float(corner(1.0)), rel=1e-12)


@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_euler_steps_of_any_coupling(ridge, steps):
    x0, x1 = sampled_pairs(1, seed=4)
    x0, x1 = x0[:, 0], x1[:, 0]
    n, gain, angles = len(x0), 1.0, [0.0]
    for i in range(steps):
        t = i / steps
        x = (1 - t) * x0 + t * x1
        gain *= 1 + x @ (x1 - x0) / (x @ x + n * ridge) / steps
    inner = [m / n for m in (x0 @ x0, x1 @ x1, x0 @ x1)]
    assert float(coupling_gain(*inner, ridge=ridge, steps=steps)) == pytest.approx(gain, rel=1e-12)
    # The angles of the steps add up to the whole, and many steps tend to the exact flow.
    start, end, across = (m + ridge for m in inner)
    for i in range(steps):
        t, after = i / steps, (i + 1) / steps
        square = [(1 - s) ** 2 * start + 2 * s * (1 - s) * across + s**2 * end for s in (t, after)]
        both = (1 - t) * (1 - after) * start + ((1 - t) * after + t * (1 - after)) * across + t * after * end
        angles.append(np.arccos(both / np.sqrt(square[0] * square[1])))
    assert float(coupling_angle(*inner, ridge=ridge)) == pytest.approx(sum(angles), rel=1e-9)
    exact = float(coupling_gain(*inner, ridge=ridge))
    assert exact == pytest.approx(
        float(balance_map(*(np.full((1, 1), m) for m in inner), ridge=ridge)[0, 0]), rel=1e-12
    )
    losses = [1 - float(coupling_gain(*inner, ridge=ridge, steps=count)) / exact for count in (2_000, 4_000)]
    assert losses[0] / losses[1] == pytest.approx(2, rel=2e-3)


def test_independent_pairs_are_the_cosine_law_and_straight_pairs_lose_nothing():
    variance = np.array([1e-12, 0.3, 1.0, 5.0, 1e12])
    np.testing.assert_allclose(coupling_gain(1.0, variance, 0.0, steps=11), euler_gain(variance, 11), rtol=1e-12)
    np.testing.assert_allclose(coupling_angle(1.0, variance, 0.0), np.pi / 2, rtol=1e-15)
    gain = np.sqrt(variance)
    np.testing.assert_allclose(coupling_gain(1.0, variance, gain, steps=1), gain, rtol=1e-15)
    np.testing.assert_allclose(coupling_angle(1.0, variance, gain), 0, atol=1e-7)


def test_a_small_angle_is_resolved():
    # sin Θ = √τ |g − 1| / √((1 + τ)(g² + τ)) for straight pairs under ridge, far below the resolution of arccos.
    ridge, gain = 1e-12, 2.0
    expected = np.sqrt(ridge) / np.sqrt((1 + ridge) * (4 + ridge))
    assert float(coupling_angle(1.0, gain**2, gain, ridge=ridge)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: balance_map(np.eye(2), np.eye(3), np.eye(2)), "must have one shape"),
        (lambda: balance_map(np.eye(2), np.eye(2), 2 * np.eye(2)), "joint moment .* must be positive semi-definite"),
        (lambda: balance_map(np.eye(2), -np.eye(2), np.eye(2)), "data_moment must be positive semi-definite"),
        (lambda: balance_map(np.eye(2), np.eye(2), np.eye(2), ridge=-1), "ridge must be at least 0"),
        (lambda: transport_map(np.ones((2, 3))), "covariance must be a square matrix"),
        (lambda: coupling_gain(1.0, -1.0, 0.0), "data_moment must be at least 0"),
        (lambda: coupling_angle(1.0, 1.0, np.inf), "cross_moment must be finite"),
    ],
)
def test_refusals(unchecked, call, words):
    with pytest.raises(ValueError, match=words):
        call()
