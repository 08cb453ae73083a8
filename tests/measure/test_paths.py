"""Straightness against integrals of known curves, errors against loops."""

import jax
import numpy as np
import pytest

from rfcollapse.measure import paths

DIRECTION = np.array([[3.0, 4.0], [0.0, 2.0]])  # two samples, of lengths 5 and 2


def along(progress):
    """Straight lines from (1, 1) walked by so much at each time."""
    return 1 + np.asarray(progress)[:, None, None] * DIRECTION[None]


def test_straight_paths_of_constant_speed_are_straight():
    times = np.array([0.0, 0.1, 0.5, 0.6, 1.0])
    np.testing.assert_allclose(paths.straightness(along(times), times), 0, atol=1e-28)
    np.testing.assert_allclose(paths.straightness(along(times)[::-1], times[::-1]), 0, atol=1e-28)  # backwards
    np.testing.assert_allclose(paths.straightness(along(times), 7 - 3 * times), 0, atol=1e-26)


def test_straightness_sees_the_speed():
    """z = a + t² s: ∫ (1 − 2t)² dt |s|² = |s|²/3, approached as 1/N² from below by N chords."""
    times = np.linspace(0, 1, 1001)
    squared_lengths = np.array([25.0, 4.0])
    np.testing.assert_allclose(paths.straightness(along(times**2)), squared_lengths / 3, rtol=1.1e-6 * 3)


def test_straightness_does_not_depend_on_the_clock():
    rng = np.random.default_rng(0)
    walk, times = rng.normal(size=(6, 4, 3)), np.sort(rng.uniform(size=6))
    expected = paths.straightness(walk, times)
    np.testing.assert_allclose(paths.straightness(walk, 5 * times + 1), expected, rtol=1e-12)
    np.testing.assert_allclose(paths.straightness(walk[::-1], times[::-1]), expected, rtol=1e-12)


def test_straightness_agrees_with_a_loop():
    rng = np.random.default_rng(1)
    walk, times = rng.normal(size=(5, 3, 2)), np.array([0.0, 0.3, 0.4, 0.8, 1.0])
    expected = np.zeros(3)
    for i in range(4):
        step = times[i + 1] - times[i]
        expected += step * np.sum((walk[-1] - walk[0] - (walk[i + 1] - walk[i]) / step) ** 2, axis=1)
    np.testing.assert_allclose(paths.straightness(walk, times), expected, rtol=1e-13)


def test_straightness_of_a_half_circle():
    """Radius r, half a turn: |chord| = 2r, |ż| = πr, so S = π²r² − 4r², less O(1/N²)."""
    angle = np.linspace(0, np.pi, 2001)
    half_circle = 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)[:, None]
    np.testing.assert_allclose(paths.straightness(half_circle), (np.pi**2 - 4) * 4, rtol=1e-5)


def test_reconstruction_error_is_one_number_per_sample():
    rng = np.random.default_rng(2)
    samples, noise = rng.normal(size=(2, 5, 3))
    expected = [np.linalg.norm(row) ** 2 for row in noise]
    np.testing.assert_allclose(paths.reconstruction_error(samples, samples + noise), expected, rtol=1e-12)


def test_measures_can_be_compiled(in_float64):
    walk = np.random.default_rng(4).normal(size=(5, 3, 2))
    for measure in (paths.straightness, lambda walk: paths.reconstruction_error(walk[0], walk[1])):
        np.testing.assert_allclose(jax.jit(measure)(walk), measure(walk), rtol=1e-12)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: paths.straightness(np.ones((3, 2))), r"paths must have shape .* got shape \(3, 2\)"),
        (lambda: paths.straightness(np.ones((1, 2, 2))), r"got shape \(1, 2, 2\)"),
        (lambda: paths.straightness(np.ones((4, 0, 2))), r"got shape \(4, 0, 2\)"),
        (lambda: paths.straightness(np.ones((3, 2, 1)), np.ones(2)), r"times must have shape \(3,\)"),
        (lambda: paths.straightness(np.ones((3, 2, 1)), np.array([0, 1, 1.0])), "all increase or all decrease"),
        (lambda: paths.straightness(np.ones((3, 2, 1)), np.array([0, 1, 0.5])), "all increase or all decrease"),
        (lambda: paths.reconstruction_error(np.eye(2), np.eye(3)), "samples and reconstruction must have one shape"),
    ],
)
def test_bad_input_is_refused(unchecked, call, words):
    with pytest.raises(ValueError, match=words):
        call()
