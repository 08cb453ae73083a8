"""Straightness and curvature against integrals of known curves, errors against loops."""

import jax
import numpy as np
import pytest

from rfcollapse.measure import paths

DIRECTION = np.array([[3.0, 4.0], [0.0, 2.0]])  # two samples, of lengths 5 and 2


def along(progress):
    """Straight lines from (1, 1) walked by so much at each time."""
    return 1 + np.asarray(progress)[:, None, None] * DIRECTION[None]


def circle(turns, steps, radius=2.0):
    angle = 2 * np.pi * turns * np.linspace(0, 1, steps + 1)
    # through the origin, so that a tiny arc keeps its digits
    return radius * np.stack([np.sin(angle), 2 * np.sin(angle / 2) ** 2], axis=1)[:, None]


def test_straight_paths_of_constant_speed_are_straight():
    times = np.array([0.0, 0.1, 0.5, 0.6, 1.0])
    np.testing.assert_allclose(paths.straightness(along(times), times), 0, atol=1e-28)
    np.testing.assert_allclose(paths.straightness(along(times)[::-1], times[::-1]), 0, atol=1e-28)  # backwards
    np.testing.assert_allclose(paths.straightness(along(times), 7 - 3 * times), 0, atol=1e-26)
    np.testing.assert_allclose(paths.curvature(along(times)), 0, atol=1e-15)


def test_straightness_sees_the_speed_and_curvature_does_not():
    """z = a + t² s: ∫ (1 − 2t)² dt |s|² = |s|²/3, approached as 1/N² from below by N chords."""
    times = np.linspace(0, 1, 1001)
    squared_lengths = np.array([25.0, 4.0])
    np.testing.assert_allclose(paths.straightness(along(times**2)), squared_lengths / 3, rtol=1.1e-6 * 3)
    np.testing.assert_allclose(paths.curvature(along(times**2)), 0, atol=1e-8)


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
    expected = (np.pi**2 - 4) * 4
    np.testing.assert_allclose(paths.straightness(circle(0.5, 2000)), expected, rtol=1e-5)


@pytest.mark.parametrize("turns, steps", [(1.0, 100), (0.5, 7), (3.0, 50), (1e-9, 4)])
def test_curvature_of_a_circle_is_its_angle(turns, steps):
    """N chords of an arc turn N − 1 times by the arc's angle over N, tiny angles included."""
    expected = 2 * np.pi * turns * (steps - 1) / steps
    np.testing.assert_allclose(paths.curvature(circle(turns, steps)), expected, rtol=1e-12)
    np.testing.assert_allclose(paths.curvature(1e3 * circle(turns, steps)), expected, rtol=1e-12)


def test_curvature_of_corners_and_pauses():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=float)[:, None]
    np.testing.assert_allclose(paths.curvature(square), np.pi, rtol=1e-15)
    there_and_back = np.array([[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]])[:, None]
    np.testing.assert_allclose(paths.curvature(there_and_back), np.pi, rtol=1e-15)
    np.testing.assert_array_equal(paths.curvature(np.ones((4, 2, 3))), 0)
    np.testing.assert_array_equal(paths.curvature(along([0.0, 1.0])), 0)


def test_reconstruction_error_is_one_number_per_sample():
    rng = np.random.default_rng(2)
    samples, noise = rng.normal(size=(2, 5, 3))
    expected = [np.linalg.norm(row) ** 2 for row in noise]
    np.testing.assert_allclose(paths.reconstruction_error(samples, samples + noise), expected, rtol=1e-12)


def test_step_discrepancy_is_the_missed_part_of_the_variance():
    rng = np.random.default_rng(3)
    many = rng.normal(size=(500, 3)) * [1, 2, 3] + 10
    mean = many.mean(axis=0)
    np.testing.assert_array_equal(paths.step_discrepancy(many, many), 0)
    np.testing.assert_allclose(np.mean(paths.step_discrepancy(np.tile(mean, (500, 1)), many)), 1, rtol=1e-12)
    shrunk = mean + 0.9 * (many - mean)
    np.testing.assert_allclose(np.mean(paths.step_discrepancy(shrunk, many)), 0.01, rtol=1e-10)
    # independent copies differ by twice the variance
    other = np.mean(paths.step_discrepancy(rng.permutation(many), many))
    assert abs(other - 2) < 0.3


def test_measures_can_be_compiled():
    walk = np.random.default_rng(4).normal(size=(5, 3, 2))
    for measure in (paths.straightness, paths.curvature, lambda w: paths.step_discrepancy(w[0], w[1])):
        np.testing.assert_allclose(jax.jit(measure)(walk), measure(walk), rtol=1e-12)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: paths.straightness(np.ones((3, 2))), r"paths must have shape .* got shape \(3, 2\)"),
        (lambda: paths.curvature(np.ones((1, 2, 2))), r"got shape \(1, 2, 2\)"),
        (lambda: paths.curvature(np.ones((4, 0, 2))), r"got shape \(4, 0, 2\)"),
        (lambda: paths.straightness(np.ones((3, 2, 1)), np.ones(2)), r"times must have shape \(3,\)"),
        (lambda: paths.straightness(np.ones((3, 2, 1)), np.array([0, 1, 1.0])), "all increase or all decrease"),
        (lambda: paths.straightness(np.ones((3, 2, 1)), np.array([0, 1, 0.5])), "all increase or all decrease"),
        (lambda: paths.reconstruction_error(np.eye(2), np.eye(3)), "samples and reconstruction must have one shape"),
        (lambda: paths.step_discrepancy(np.eye(2), np.ones((3, 2))), "one_step and many_steps must have one shape"),
        (lambda: paths.step_discrepancy(np.eye(2), np.ones((2, 2))), "many_steps must have rows that differ"),
    ],
)
def test_bad_input_is_refused(unchecked, call, words):
    with pytest.raises(ValueError, match=words):
        call()
