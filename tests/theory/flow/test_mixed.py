"""The best velocity of mixed pairs, against the quantile map and against the linear law."""

import jax.numpy as jnp
import numpy as np
import pytest

from rfcollapse.theory.flow import denoiser_trajectory, mixed_pairs_trajectory, network_variance, scheme_trajectory
from rfcollapse.theory.flow.mixed import _kind

SETTINGS = {"real_fraction": 0.3, "ridge": 0.2}


@pytest.mark.parametrize("scheme", ["ra", "anchored", "oras", "fresh"])
@pytest.mark.parametrize("dimension", [1, 2])
def test_isotropic_data_follow_the_quantile_map(scheme, dimension):
    settings = SETTINGS | {"initial_variance": 2.0, "diffusion": 0.7 if scheme == "oras" else 0.0}
    expected = network_variance(scheme, 4.0, dimension=dimension, **settings)
    law = scheme_trajectory(scheme, 4.0, 1, **settings)[1]
    result = mixed_pairs_trajectory(scheme, jnp.full(dimension, 4.0), 1, **settings)[1]
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
    settings |= {"ridge": 0.2, "initial_variance": jnp.array([3.0, 0.5])}
    real = jnp.array([4.0, 0.25])
    np.testing.assert_allclose(
        mixed_pairs_trajectory(scheme, real, 3, **settings), scheme_trajectory(scheme, real, 3, **settings), rtol=1e-6
    )


def test_without_ridge_the_target_is_not_destroyed():
    real = jnp.array([4.0, 0.25])
    for scheme in ("ra", "anchored", "fresh"):
        result = mixed_pairs_trajectory(scheme, real, 2, real_fraction=0.3)
        np.testing.assert_allclose(result, jnp.broadcast_to(real, (3, 2)), rtol=1e-4)


@pytest.mark.parametrize("scheme", ["reflow", "fresh"])
def test_a_denoiser_of_one_kind_follows_its_law(scheme):
    settings = {"real_fraction": 0.0, "ridge": 0.05, "initial_variance": jnp.array([3.0, 0.5])}
    real = jnp.array([4.0, 0.25])
    np.testing.assert_allclose(
        mixed_pairs_trajectory(scheme, real, 3, denoiser_steps=10, **settings),
        denoiser_trajectory(scheme, real, 3, steps=10, **settings),
        rtol=1e-10,
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
    result = mixed_pairs_trajectory("anchored", jnp.array([real]), 1, denoiser_steps=1, **settings)[1, 0]
    linear = denoiser_trajectory("anchored", jnp.array([real]), 1, steps=1, **settings)[1, 0]
    np.testing.assert_allclose(result, expected, rtol=5e-3)
    assert abs(linear / result - 1) > 0.01


def test_two_directions_by_simulation():
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
        point = jnp.asarray(place)[None]
        (a, one), (b, two) = (
            _kind(t, point, jnp.ones(2), jnp.asarray(q1), jnp.asarray(c), 0.2)
            for q1, c in ((current, np.sqrt(current)), (real, np.zeros(2)))
        )
        share = 0.7 * np.exp(a) / (0.7 * np.exp(a) + 0.3 * np.exp(b))
        assert np.all(np.abs((share[:, None] * one + (1 - share)[:, None] * two)[0] - expected) < 5 * error + 0.01)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"real_variance": np.ones(4)}, "list of 1 to 3 numbers"),
        ({"real_variance": np.ones((2, 2))}, "list of 1 to 3 numbers"),
        ({"real_fraction": np.array([0.1, 0.2])}, "a single number"),
        ({"scheme": "rca"}, "scheme must be one of"),
        ({"rounds": -1}, "rounds must be at least 0"),
    ],
)
def test_refuses(change, words, unchecked):
    arguments = {"scheme": "ra", "real_variance": np.ones(2), "rounds": 1} | change
    with pytest.raises(ValueError, match=words):
        mixed_pairs_trajectory(**arguments)
