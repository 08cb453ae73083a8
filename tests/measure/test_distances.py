"""Wasserstein distances against scipy's matrix root, brute force over permutations, and closed forms."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.spatial
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcollapse import data
from rfcollapse.measure import distances

KEY = jax.random.key(3)


def rng(seed):
    return np.random.default_rng(seed)


def random_covariance(seed, d, rank=None):
    factor = rng(seed).normal(size=(d, rank or 2 * d))
    return factor @ factor.T / d


def exact_w2(x, y):
    cost = scipy.spatial.distance.cdist(x, y, "sqeuclidean")
    return np.sqrt(cost[scipy.optimize.linear_sum_assignment(cost)].mean())


def textbook_w2_squared(a, b):
    root = np.real(scipy.linalg.sqrtm(a))
    return np.trace(a) + np.trace(b) - 2 * np.trace(np.real(scipy.linalg.sqrtm(root @ b @ root)))


# W2 of Gaussians


@pytest.mark.parametrize("d", [1, 2, 5, 20])
def test_gaussian_w2_agrees_with_scipy(d):
    a, b = random_covariance(d, d), random_covariance(d + 100, d)
    np.testing.assert_allclose(distances.gaussian_w2(a, b) ** 2, textbook_w2_squared(a, b), rtol=1e-11)
    mean, other_mean = rng(d).normal(size=(2, d))
    np.testing.assert_allclose(
        distances.gaussian_w2(a, b, mean=mean, other_mean=other_mean) ** 2,
        textbook_w2_squared(a, b) + np.sum((mean - other_mean) ** 2),
        rtol=1e-11,
    )
    np.testing.assert_allclose(distances.gaussian_w2(a, b, mean=mean), distances.gaussian_w2(b, a, other_mean=mean))


def test_gaussian_w2_is_the_cost_of_the_best_gaussian_coupling():
    """E|x − y|² = tr A + tr B − 2 tr C: no C = LUMᵀ, A = LLᵀ, B = MMᵀ, U orthogonal, is cheaper, and some are close."""
    a, b = random_covariance(5, 3), random_covariance(6, 3)
    optimum = float(distances.gaussian_w2(a, b)) ** 2
    root_a, root_b = np.linalg.cholesky(a), np.linalg.cholesky(b)
    turns = scipy.stats.ortho_group(3, seed=0).rvs(20_000)
    costs = np.trace(a) + np.trace(b) - 2 * np.einsum("ij,njk,ik->n", root_a, turns, root_b)
    assert optimum <= costs.min() + 1e-12
    np.testing.assert_allclose(costs.min(), optimum, rtol=0.05)


@given(
    scale=st.floats(1e-6, 1e6),
    ratios=st.lists(st.just(0.0) | st.floats(1e-9, 1e3), min_size=1, max_size=6),
    stretch=st.just(0.0) | st.floats(1e-9, 1e3),
)
@settings(max_examples=40, deadline=None)
def test_gaussian_w2_of_commuting_covariances_is_that_of_their_roots(scale, ratios, stretch):
    spectrum = scale * np.array(ratios)
    basis = np.linalg.qr(rng(len(ratios)).normal(size=(len(ratios),) * 2))[0]
    one, two = (basis * spectrum) @ basis.T, (basis * (stretch * spectrum)) @ basis.T
    expected = abs(1 - np.sqrt(stretch)) * np.sqrt(spectrum.sum())
    largest = max(1, np.sqrt(stretch)) * np.sqrt(spectrum.max())
    np.testing.assert_allclose(distances.gaussian_w2(one, two), expected, rtol=1e-12, atol=1e-7 * largest)


def test_gaussian_w2_of_singular_covariances():
    np.testing.assert_allclose(distances.gaussian_w2(np.diag([1.0, 0.0]), np.diag([0.0, 4.0])), np.sqrt(5), rtol=1e-15)
    np.testing.assert_array_equal(distances.gaussian_w2(np.zeros((2, 2)), np.zeros((2, 2))), 0)
    # rank one: N(0, aaᵀ) and N(0, bbᵀ) are lines, W2² = |a|² + |b|² − 2 |a·b|
    a, b = rng(8).normal(size=(2, 6))
    expected = np.sqrt(a @ a + b @ b - 2 * abs(a @ b))
    np.testing.assert_allclose(distances.gaussian_w2(np.outer(a, a), np.outer(b, b)), expected, rtol=1e-7)


def test_gaussian_w2_keeps_its_digits_between_near_equals():
    """A relative change δ of Σ moves W2 by √(tr Σ) (√(1 + δ) − 1), 1e-9 and below, where traces have cancelled."""
    covariance = random_covariance(9, 10)
    for change in (1e-6, 1e-9, 1e-12):
        expected = np.sqrt(np.trace(covariance)) * np.expm1(np.log1p(change) / 2)
        np.testing.assert_allclose(distances.gaussian_w2(covariance, covariance * (1 + change)), expected, atol=1e-14)


# Fréchet distance


def test_frechet_distance_agrees_with_scipy():
    x, y = rng(10).normal(size=(200, 5)) @ rng(11).normal(size=(5, 5)), rng(12).normal(size=(300, 5)) + 0.3
    expected = np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2)
    expected += textbook_w2_squared(np.cov(x.T, bias=True), np.cov(y.T, bias=True))
    np.testing.assert_allclose(distances.frechet_distance(x, y), expected, rtol=1e-11)
    np.testing.assert_allclose(distances.frechet_distance(y, x), expected, rtol=1e-11)


def test_frechet_distance_of_shifted_and_scaled_samples():
    x = rng(13).normal(size=(50, 4)) + 2
    centre = x.mean(axis=0)
    shift = np.array([3.0, 0.0, 4.0, 0.0])
    total = np.sum((x - centre) ** 2) / 50
    np.testing.assert_allclose(distances.frechet_distance(x, x + shift), 25, rtol=1e-13)
    np.testing.assert_allclose(distances.frechet_distance(x, centre + 3 * (x - centre)), 4 * total, rtol=1e-13)
    np.testing.assert_allclose(
        distances.frechet_distance(x, centre + (1 + 1e-9) * (x - centre)), 1e-18 * total, rtol=1e-5
    )


@pytest.mark.parametrize("n, m, d", [(3, 40, 6), (4, 5, 30), (40, 3, 6), (1, 9, 2), (1, 1, 2)])
def test_frechet_distance_with_fewer_samples_than_dimensions(n, m, d):
    """Singular covariances: the nuclear norm of the n × m matrix of inner products replaces the matrix root."""
    x, y = rng(n).normal(size=(n, d)), rng(m + 50).normal(size=(m, d))
    a, b = (x - x.mean(axis=0)) / np.sqrt(n), (y - y.mean(axis=0)) / np.sqrt(m)
    expected = np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2)
    expected += np.sum(a**2) + np.sum(b**2) - 2 * np.linalg.svd(a @ b.T, compute_uv=False).sum()
    np.testing.assert_allclose(distances.frechet_distance(x, y), expected, rtol=1e-13)


def test_frechet_distance_resolves_directions_that_have_died():
    """Standard deviations 1, 1e-6, 1e-12 in turned axes: covariances (1, 1e-12, 1e-24) have lost the last one."""
    corners = np.array(list(itertools.product([-1.0, 1.0], repeat=3)))  # second moment 1, exactly
    basis = scipy.stats.ortho_group(3, seed=1).rvs()
    real, dead = corners * [1, 1, 1] @ basis, corners * [1, 1e-6, 1e-12] @ basis
    expected = (1 - 1e-6) ** 2 + (1 - 1e-12) ** 2
    np.testing.assert_allclose(distances.frechet_distance(real, dead), expected, rtol=1e-14)
    less = corners * [1, 2e-6, 2e-12] @ basis
    np.testing.assert_allclose(distances.frechet_distance(dead, less), 1e-12, rtol=1e-8)


def test_frechet_distance_falls_to_its_law_as_n_grows():
    """Two halves of one Gaussian sample: the distance is a bias of order d²/n, no trace of the true distance, 0."""
    covariance = random_covariance(2, 5)
    values = [
        float(distances.frechet_distance(*jnp.split(data.gaussian(KEY, 2 * n, covariance), 2))) for n in (100, 10_000)
    ]
    assert values[1] < values[0] / 30


# sliced W2


def test_sliced_w2_in_one_dimension_is_exact_also_for_unequal_sizes():
    for n, m in [(7, 7), (5, 8), (12, 4), (1, 6)]:
        x, y = rng(n).normal(size=(n, 1)), rng(m + 9).normal(size=(m, 1)) * 2 + 1
        # brute force: repeat each point until both sets have n m points
        one, two = np.sort(np.repeat(x, m)), np.sort(np.repeat(y, n))
        expected = np.sqrt(np.mean((one - two) ** 2))
        np.testing.assert_allclose(distances.sliced_w2(KEY, x, y, projections=3), expected, rtol=1e-13)


def test_sliced_w2_of_shifted_samples_is_the_shift_over_the_root_of_d():
    """E (θ·s)² = |s|²/d; (θ·s)² has variance 2|s|⁴(d − 1)/(d²(d + 2)) (a Beta law)."""
    d, projections = 6, 4000
    x, shift = rng(20).normal(size=(30, d)), np.full(d, 0.7)
    squared = float(distances.sliced_w2(KEY, x, x + shift, projections=projections)) ** 2
    energy = shift @ shift
    error = energy / d * np.sqrt(2 * (d - 1) / (d + 2) / projections)
    assert abs(squared - energy / d) < 5 * error
    assert error < 0.03 * energy / d


def test_sliced_w2_agrees_with_a_loop_over_its_directions(in_float64):
    x, y = rng(21).normal(size=(40, 3)), rng(22).normal(size=(25, 3)) * [1, 2, 3]
    directions = np.asarray(jax.random.normal(KEY, (50, 3), dtype=jnp.float64))
    squares = []
    for theta in directions / np.linalg.norm(directions, axis=1, keepdims=True):
        one, two = np.sort(np.repeat(x @ theta, 25)), np.sort(np.repeat(y @ theta, 40))
        squares.append(np.mean((one - two) ** 2))
    ours = distances.sliced_w2(KEY, x, y, projections=50)
    np.testing.assert_allclose(ours, np.sqrt(np.mean(squares)), rtol=1e-12)


def test_the_distances_stand_in_their_order():
    """Fréchet ≤ exact W2² (Gelbrich's bound), sliced W2 ≤ exact W2."""
    x, y = np.asarray(data.two_moons(KEY, 300)), np.asarray(data.checkerboard(KEY, 300))
    exact = exact_w2(x, y)
    assert float(distances.frechet_distance(x, y)) < exact**2
    assert float(distances.sliced_w2(KEY, x, y)) < exact
    # Gelbrich's bound is attained for affine images of one set
    stretch = np.diag([2.0, 0.5])
    np.testing.assert_allclose(exact_w2(x, x @ stretch) ** 2, distances.frechet_distance(x, x @ stretch))


def test_measures_can_be_compiled(in_float64):
    x, y = rng(25).normal(size=(2, 20, 3))
    for measure in (distances.frechet_distance, lambda x, y: distances.sliced_w2(KEY, x, y)):
        np.testing.assert_allclose(jax.jit(measure)(x, y), measure(x, y), rtol=1e-10)
    a, b = random_covariance(1, 3), random_covariance(2, 3)
    np.testing.assert_allclose(jax.jit(distances.gaussian_w2)(a, b), distances.gaussian_w2(a, b), rtol=1e-12)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: distances.gaussian_w2(np.eye(2), np.eye(3)), r"one shape; got \(2, 2\) and \(3, 3\)"),
        (lambda: distances.gaussian_w2(-np.eye(2), np.eye(2)), "covariance must be positive semi-definite"),
        (lambda: distances.gaussian_w2(np.eye(2), -np.eye(2)), "other_covariance must be positive semi-definite"),
        (
            lambda: distances.gaussian_w2(np.eye(2), np.eye(2), mean=np.ones(3)),
            r"mean must have shape \(2,\); got \(3,\)",
        ),
        (lambda: distances.frechet_distance(np.ones((3, 2)), np.ones((3, 1))), "as many columns; got 2 and 1"),
        (lambda: distances.sliced_w2(KEY, np.ones((3, 2)), np.ones((0, 2))), "other must be a table"),
        (lambda: distances.sliced_w2(KEY, np.eye(2), np.eye(2), projections=0), "projections must be at least 1"),
    ],
)
def test_bad_input_is_refused(unchecked, call, words):
    with pytest.raises(ValueError, match=words):
        call()
