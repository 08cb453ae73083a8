"""The best velocity of mixed pairs, against the quantile map and against the linear law."""

import jax.numpy as jnp
import numpy as np
import pytest

from rfcollapse.theory.flow import denoiser_trajectory, mixed_pairs_trajectory, network_variance, scheme_trajectory
from rfcollapse.theory.flow.mixed import _atoms, _gaussian

SETTINGS = {"real_fraction": 0.3, "ridge": 0.2}


@pytest.mark.parametrize("scheme", ["ra", "anchored", "oras", "fresh"])
@pytest.mark.parametrize("dimension", [1, 2])
def test_isotropic_data_follow_the_quantile_map(scheme, dimension):
    settings = SETTINGS | {"initial_variance": 2.0, "diffusion": 0.7 if scheme == "oras" else 0.0}
    expected = network_variance(scheme, 4.0, dimension=dimension, **settings)
    law = scheme_trajectory(scheme, 4.0, 1, **settings)[1]
    result = mixed_pairs_trajectory(scheme, np.full(dimension, 4.0), 1, **settings)[1]
    np.testing.assert_allclose(result, expected, rtol=2e-5)
    assert scheme == "anchored" or abs(expected / law - 1) > 1e-3  # the correction is not within the tolerance


@pytest.mark.parametrize(
    "scheme, settings",
    [
        ("reflow", {"real_fraction": 0.3}),
        ("fresh", {"real_fraction": 0.0}),
        ("fresh", {"real_fraction": 1.0}),
        ("ra", {"real_fraction": 1.0}),
    ],
)
def test_one_kind_of_pairs_follows_the_linear_law(scheme, settings):
    settings |= {"ridge": 0.2, "initial_variance": np.array([3.0, 0.5])}
    real = np.array([4.0, 0.25])
    np.testing.assert_allclose(
        mixed_pairs_trajectory(scheme, real, 3, **settings), scheme_trajectory(scheme, real, 3, **settings), rtol=5e-5
    )


@pytest.mark.parametrize("dimension", [1, 2])
@pytest.mark.parametrize("scheme", ["ra", "anchored", "fresh"])
def test_rounds_against_sorted_samples(scheme, dimension):
    """In isotropic data the flow is radial: the monotone map between the laws of two radii, by sorting samples."""
    n, rounds, results = 400_000, 3, []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        grid = np.linspace(0, 6, 601)
        forward, path = np.sqrt(1.5) * grid, []
        for _ in range(rounds):
            real = rng.random(n) < 0.3
            x0, x1 = rng.normal(size=(2, n, dimension))
            start, end = np.linalg.norm(x0, axis=1), 2 * np.linalg.norm(x1, axis=1)  # radii of own x0 and of real x1
            x1 = np.where(real[:, None], 2 * x1, x0 * (np.interp(start, grid, forward) / start)[:, None])
            if scheme == "ra":
                beyond = np.maximum(end - forward[-1], 0) / (forward[-1] - forward[-2]) * grid[1]
                x0 = np.where(real[:, None], x1 / end[:, None] * (np.interp(end, forward, grid) + beyond)[:, None], x0)
            elif scheme == "anchored":
                x0 = np.where(real[:, None], x1 / np.sqrt(2.5), x0)
            else:
                x0 = np.where(real[:, None], rng.normal(size=(n, dimension)), x0)
            blur = np.sqrt(0.2) * rng.normal(size=(2, n, dimension))
            before, after = np.sort(np.linalg.norm(np.stack([x0, x1]) + blur, axis=-1), axis=1)
            forward = np.interp(grid, before, after)
            weights = grid ** (dimension - 1) * np.exp(-(grid**2) / 2)
            weights[0] /= 2  # the trapezoidal rule
            path.append(weights @ forward**2 / weights.sum() / dimension)
        results.append(path)
    mean, error = np.mean(results, axis=0), np.std(results, axis=0, ddof=1) / 2
    settings = SETTINGS | {"initial_variance": 1.5, "anchor_variance": 2.5}
    found = mixed_pairs_trajectory(scheme, np.full(dimension, 4.0), rounds, **settings)[1:]
    assert np.all(np.abs(found - mean[:, None]) < 6 * error[:, None] + 1e-3), (found, mean, error)
    law = scheme_trajectory(scheme, 4.0, rounds, **settings)[1:]
    assert scheme == "ra" or np.all(np.abs(law - mean) > 6 * error + 1e-3)  # the correction is seen


@pytest.mark.parametrize("scheme", ["reflow", "fresh"])
def test_a_denoiser_of_one_kind_follows_its_law(scheme):
    settings = {"real_fraction": 0.0, "ridge": 0.05, "initial_variance": np.array([3.0, 0.5])}
    real = np.array([4.0, 0.25])
    np.testing.assert_allclose(
        mixed_pairs_trajectory(scheme, real, 3, denoiser_steps=10, **settings),
        denoiser_trajectory(scheme, real, 3, steps=10, **settings),
        rtol=1e-4,
    )


def test_one_step_of_a_denoiser_knows_the_kind_by_the_noise():
    """At t = 0 a pair's kind is told from x0 + √τ e alone; the first step goes to E[x1 | x0 + √τ e], by simulation."""
    rng = np.random.default_rng(1)
    n, real, current = 2_000_000, 4.0, 2.0
    own = rng.random(n) > 0.3
    x1 = np.where(own, np.sqrt(current), np.sqrt(real)) * rng.normal(size=n)
    x0 = np.where(own, x1 / np.sqrt(current), x1 / np.sqrt(3.0))  # the anchor's variance is 3
    noisy = x0 + np.sqrt(0.2) * rng.normal(size=n)
    edges = np.quantile(noisy, np.linspace(0, 1, 401)[1:-1])
    bins = np.digitize(noisy, edges)
    size = np.bincount(bins)
    means, places = np.bincount(bins, x1) / size, np.bincount(bins, noisy) / size
    z = rng.normal(size=n)
    expected = np.mean(np.interp(z, places, means) ** 2)
    settings = {"real_fraction": 0.3, "ridge": 0.2, "initial_variance": current, "anchor_variance": 3.0}
    result = mixed_pairs_trajectory("anchored", np.array([real]), 1, denoiser_steps=1, **settings)[1, 0]
    linear = denoiser_trajectory("anchored", np.array([real]), 1, steps=1, **settings)[1, 0]
    np.testing.assert_allclose(result, expected, rtol=5e-3)
    assert abs(linear / result - 1) > 0.01


def test_two_directions_by_simulation(in_float64):
    """The conditional mean estimated from pairs themselves, by local averages, in place of Gaussian algebra."""
    rng = np.random.default_rng(0)
    real, current, n = np.array([4.0, 0.25]), np.array([3.5, 0.375]), 4_000_000
    own = rng.random(n) > 0.3
    x0 = rng.normal(size=(n, 2))
    x1 = np.where(own[:, None], np.sqrt(current) * x0, np.sqrt(real) * rng.normal(size=(n, 2)))
    t = 0.7
    xt = (1 - t) * x0 + t * x1 + np.sqrt(0.2) * rng.normal(size=(n, 2))
    for place in ([2.0, 0.5], [0.5, -0.3], [-1.0, 1.2]):
        near = np.max(np.abs(xt - place), axis=1) < 0.05
        expected = (x1 - x0)[near].mean(axis=0)
        error = (x1 - x0)[near].std(axis=0) / near.sum() ** 0.5
        grid = np.linspace(-5, 5, 101)
        atoms = jnp.asarray(np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2))
        log_weight = -jnp.sum(atoms**2, axis=1) / 2 + np.log(0.01 / 2 / np.pi)
        at = t, jnp.asarray(place), np.full(2, 0.2), False
        a, one = _atoms(atoms, atoms * np.sqrt(current)[None], log_weight, *at)
        b, two = _gaussian(np.ones(2), jnp.asarray(real), jnp.zeros(2), *at)
        share = 0.7 * np.exp(a) / (0.7 * np.exp(a) + 0.3 * np.exp(b))
        assert np.all(np.abs(share * one + (1 - share) * two - expected) < 5 * error + 0.01)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"real_variance": np.ones(3)}, "list of 1 or 2 numbers"),
        ({"real_variance": np.ones((2, 2))}, "list of 1 or 2 numbers"),
        ({"ridge": 0.0}, "ridge must be greater than 0"),
        ({"real_variance": np.full(2, 1e4), "ridge": 1e-3}, "ridge must not be so small beside the variances"),
        ({"scheme": "self_consuming"}, "no law here for 'redrawn' own noise"),
        ({"real_fraction": np.array([0.1, 0.2])}, "must be single numbers"),
        ({"scheme": "rca"}, "scheme must be one of"),
        ({"rounds": -1}, "rounds must be at least 0"),
    ],
)
def test_refuses(change, words, unchecked):
    arguments = {"scheme": "ra", "real_variance": np.ones(2), "rounds": 1, "ridge": 0.2} | change
    with pytest.raises(ValueError, match=words):
        mixed_pairs_trajectory(**arguments)
