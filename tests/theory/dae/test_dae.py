"""The optimum, its training curve, and the recursion, each against an oracle that does not know the formula."""

from fractions import Fraction

import jax
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcollapse.theory import dae

CORNERS = (1e-12, 1e-6, 0.3, 1.0, 7.5, 1e6, 1e12)


def exact_next(u, rho, alpha=Fraction(0), u0=Fraction(0), own=False):
    """The round map in rational arithmetic, from the definition: fit a gain to the pool, pass noisy data through it."""
    pool = (1 - alpha) * u + alpha * u0
    gain = pool / (pool + 1)
    return gain * gain * ((u if own else pool) + rho)


@pytest.mark.parametrize("rank", [1, 2, 4, None])
def test_optimal_map_minimises_the_loss_at_its_rank(rank):
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 6))
    covariance, noise_std = root @ root.T, 0.8
    best = np.asarray(dae.optimal_map(covariance, noise_std, rank))

    def loss(w):
        # E‖W(x + σε) − x‖² written out.
        return np.trace((w - np.eye(4)) @ covariance @ (w - np.eye(4)).T) + noise_std**2 * np.sum(w**2)

    k = rank or 4
    assert np.linalg.matrix_rank(best, tol=1e-10) == k
    # An oracle: reduced-rank regression by truncating the *whitened* target, with scipy's square root.
    total = covariance + noise_std**2 * np.eye(4)
    white = scipy.linalg.sqrtm(total)
    left, values, right = np.linalg.svd(covariance @ np.linalg.inv(white))
    oracle = (left[:, :k] * values[:k]) @ right[:k] @ np.linalg.inv(white)
    np.testing.assert_allclose(best, oracle, atol=1e-10)
    for _ in range(50):
        factor = np.linalg.svd(best)[0][:, :k] + 0.05 * rng.normal(size=(4, k))
        rival = factor @ np.linalg.lstsq(factor, covariance @ np.linalg.inv(total), rcond=None)[0]
        assert loss(rival) >= loss(best) - 1e-12


def test_optimal_map_equals_ridge_regression_of_data_on_itself():
    rng = np.random.default_rng(1)
    data, noise_std = rng.normal(size=(50, 3)) @ np.diag([3.0, 1.0, 0.2]), 0.7
    penalty = np.sqrt(50) * noise_std * np.eye(3)
    ridge = np.linalg.lstsq(np.vstack([data, penalty]), np.vstack([data, np.zeros((3, 3))]), rcond=None)[0].T
    np.testing.assert_allclose(dae.optimal_map(data.T @ data / 50, noise_std), ridge, rtol=1e-10, atol=1e-13)


def test_optimal_map_at_zero_noise_is_the_projection_on_the_data():
    direction = np.array([0.6, 0.8])
    np.testing.assert_allclose(
        dae.optimal_map(np.outer(direction, direction) * 3, 0.0, 1), np.outer(direction, direction), atol=1e-12
    )


@pytest.mark.parametrize("variance, noise_std, initial", [(2.0, 0.7, 0.1), (0.01, 1.0, 0.3), (5.0, 0.0, 1.4)])
def test_training_curve_is_gradient_flow_of_balanced_factors(variance, noise_std, initial):
    def flow(_, factors):
        a, b = factors  # gain w = ba; loss ½[(1 − w)²λ + σ²w²]
        pull = variance * (1 - a * b) - noise_std**2 * a * b
        return [pull * b, pull * a]

    times = np.linspace(0, 6, 7)
    start = np.sqrt(initial)
    flowed = scipy.integrate.solve_ivp(flow, (0, 6), [start, start], t_eval=times, rtol=1e-11, atol=1e-13).y
    np.testing.assert_allclose(
        dae.training_curve(times, variance, noise_std, initial), flowed[0] * flowed[1], rtol=1e-8
    )


def test_training_curve_limits():
    assert float(dae.training_curve(0.0, 3.0, 1.0, 0.2)) == pytest.approx(0.2, rel=1e-14)
    assert float(dae.training_curve(1e9, 3.0, 1.0, 0.2)) == pytest.approx(3 / 4, rel=1e-14)
    # λ → 0: dw/dt = −2σ²w², so 1/w grows linearly.
    for variance in (0.0, 1e-300, 1e-20):
        assert float(dae.training_curve(1.5, variance, 2.0, 0.5)) == pytest.approx(1 / (2 + 2 * 4 * 1.5), rel=1e-12)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 1e-9, 0.25, 1.0])
@pytest.mark.parametrize("u", CORNERS)
def test_next_variance_to_twelve_digits(u, alpha, own):
    for rho in (0.0, 1.0, 4.0):  # exact square roots, so that s² is exact
        for u0 in CORNERS:
            value = dae.next_variance(
                u,
                1.0,
                resample_std=rho**0.5,
                real_fraction=alpha,
                real_variance=u0,
                resample_from="own" if own else "pool",
            )
            oracle = float(exact_next(Fraction(u), Fraction(rho), Fraction(alpha), Fraction(u0), own))
            assert float(value) == pytest.approx(oracle, rel=1e-12)


def test_noise_sets_the_unit_of_variance():
    np.testing.assert_allclose(
        dae.next_variance(7.0 * 9, 3.0, resample_std=4.5), 9 * dae.next_variance(7.0, 1.0, resample_std=1.5), rtol=1e-14
    )
    assert float(dae.next_variance(5.0, 0.0)) == 5.0  # no noise, nothing is lost
    assert float(dae.next_variance(0.0, 0.0)) == 0.0


def test_equal_noise_is_the_cusp_of_the_mandelbrot_set():
    u = dae.trajectory(30.0, 1.0, 20)
    z = 1 / u + 0.5
    np.testing.assert_allclose(z[1:], z[:-1] ** 2 + 0.25, rtol=1e-12)


@given(
    st.floats(1e-6, 1e6), st.floats(0, 1), st.floats(0, 9), st.sampled_from(["pool", "own"]), st.floats(1.0001, 10.0)
)
@settings(max_examples=60, deadline=None)
def test_next_variance_increases_with_the_variance(u, alpha, rho, source, factor):
    def mapped(variance):
        return float(
            dae.next_variance(
                variance, 1.0, resample_std=rho**0.5, real_fraction=alpha, real_variance=3.0, resample_from=source
            )
        )

    assert 0 <= mapped(u) <= mapped(u * factor) * (1 + 1e-14)


def test_trajectory_replace_iterates_the_map():
    u0, alpha, every = 12.0, 0.3, 3
    for source in ("pool", "own"):
        path, u = [u0], u0
        for j in range(10):
            a = alpha if j % every == 0 else 0.0
            pool = (1 - a) * u + a * u0
            u = (pool / (pool + 1)) ** 2 * ((pool if source == "pool" else u) + 2.25)
            path.append(u)
        result = dae.trajectory(
            u0, 1.0, 10, resample_std=1.5, real_fraction=alpha, resample_from=source, real_every=every
        )
        np.testing.assert_allclose(result, path, rtol=1e-13)


def test_trajectory_accumulate_averages_all_rounds():
    u0 = Fraction(5)
    rounds, path = [u0], [u0]
    for _ in range(12):
        pool = sum(rounds) / len(rounds)
        rounds.append(exact_next(pool, Fraction(1)))
        path.append(sum(rounds) / len(rounds))
    result = dae.trajectory(5.0, 1.0, 12, schedule="accumulate")
    np.testing.assert_allclose(result, [float(v) for v in path], rtol=1e-13)
    # The increment in closed form.
    np.testing.assert_allclose(np.diff(result), -(result[:-1] / (result[:-1] + 1)) / (np.arange(12.0) + 2), rtol=1e-11)


def test_trajectory_accumulate_from_own_data():
    rounds = [5.0]
    for _ in range(6):
        pool = np.mean(rounds)
        rounds.append((pool / (pool + 1)) ** 2 * (rounds[-1] + 4.0))
    expected = [np.mean(rounds[: j + 1]) for j in range(7)]
    np.testing.assert_allclose(
        dae.trajectory(5.0, 1.0, 6, schedule="accumulate", resample_from="own", resample_std=2.0), expected, rtol=1e-13
    )


def test_trajectory_shapes_and_edges(in_float64):
    assert dae.trajectory(np.ones((3, 2)), 1.0, 4).shape == (5, 3, 2)
    assert dae.trajectory(2.0, np.array([1.0, 2.0]), 0).shape == (1, 2)
    only_real = dae.trajectory(4.0, 1.0, 5, real_fraction=1.0)
    np.testing.assert_allclose(only_real[1:], 16 / 5, rtol=1e-14)
    np.testing.assert_allclose(
        jax.jit(lambda v: dae.trajectory(v, 1.0, 3))(4.0), dae.trajectory(4.0, 1.0, 3), rtol=1e-14
    )


def test_threshold():
    assert float(dae.critical_resample_std(3.0)) == pytest.approx(3 * 2**0.5)
    assert float(dae.unstable_variance(2.0, 2.0)) == np.inf
    level = float(dae.unstable_variance(0.5, 0.9))
    rounds = 4000
    assert float(dae.trajectory(level * 1.001, 0.5, rounds, resample_std=0.9)[-1]) > 10 * level
    assert float(dae.trajectory(level * 0.999, 0.5, rounds, resample_std=0.9)[-1]) < 1e-6
    # The multiplier at the unstable point, by finite differences.
    step = 1e-6 * level
    slope = (
        dae.next_variance(level + step, 0.5, resample_std=0.9) - dae.next_variance(level - step, 0.5, resample_std=0.9)
    ) / (2 * step)
    rho = (0.9 / 0.5) ** 2
    assert float(slope) == pytest.approx(1 + ((rho - 2) / (rho - 1)) ** 2, rel=1e-8)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: dae.next_variance(1.0, -1.0), "noise_std must be at least 0 and be finite; got -1"),
        (lambda: dae.next_variance(1.0, float("nan")), "noise_std .* got nan"),
        (lambda: dae.next_variance(-0.5, 1.0), "variance .* got -0.5"),
        (lambda: dae.next_variance(1.0, 1.0, real_fraction=1.5), r"real_fraction must lie in \[0, 1\] .* got 1.5"),
        (lambda: dae.next_variance(1.0, 1.0, real_fraction=0.5), "real_variance is needed"),
        (lambda: dae.next_variance(1.0, 1.0, resample_from="mine"), "resample_from must be one of 'pool', 'own'"),
        (lambda: dae.next_variance(np.ones(3), np.ones(2)), "do not combine"),
        (lambda: dae.next_variance("a", 1.0), "variance must be a number"),
        (lambda: dae.trajectory(1.0, 1.0, -1), "rounds must be at least 0; got -1"),
        (lambda: dae.trajectory(1.0, 1.0, 2.5), "rounds must be a whole number; got 2.5"),
        (lambda: dae.trajectory(1.0, 1.0, 2, schedule="keep"), "schedule must be one of"),
        (lambda: dae.trajectory(1.0, 1.0, 2, real_every=0), "real_every must be at least 1"),
        (lambda: dae.optimal_map(np.ones((2, 3)), 1.0), r"covariance must be a square matrix .* got shape \(2, 3\)"),
        (lambda: dae.optimal_map(np.array([[1.0, 0.5], [0.0, 1.0]]), 1.0), "covariance must be symmetric"),
        (lambda: dae.optimal_map(np.diag([1.0, -1.0]), 1.0), "positive semi-definite; its smallest eigenvalue is -1"),
        (lambda: dae.optimal_map(np.eye(2), 1.0, 0), "rank must be from 1 to 2; got 0"),
        (lambda: dae.optimal_map(np.eye(2), 1.0, 3), "rank must be from 1 to 2; got 3"),
        (lambda: dae.optimal_map(np.eye(2) * np.nan, 1.0), "covariance must be finite"),
        (lambda: dae.training_curve(-1.0, 1.0, 1.0, 0.1), "time .* got -1"),
        (lambda: dae.training_curve(1.0, 1.0, 1.0, 0.0), "initial_gain must be greater than 0"),
        (lambda: dae.critical_resample_std(-2.0), "noise_std"),
        (lambda: dae.unstable_variance(0.0, 1.0), "noise_std must be greater than 0"),
        (lambda: dae.optimal_gain(1j, 1.0), "variance must be real"),
    ],
)
def test_bad_input_is_named(call, words, unchecked):
    with pytest.raises(ValueError, match=words):
        call()
