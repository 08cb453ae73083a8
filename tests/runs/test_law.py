"""Which law is set beside which run, against gains taken round by round."""

from itertools import pairwise

import numpy as np
import pytest

from rfcollapse.learn.plan import Plan, Training
from rfcollapse.runs.law import closed_form
from rfcollapse.schemes import SCHEMES, Scheme
from rfcollapse.theory import flow

REAL = np.array([[4.0, 1.0, 0.0], [4.0, 1.0, 0.0]])
FIRST = np.array([[3.0, 1.1, -1e-18], [5.0, 0.9, 1e-18]])


def test_independent_pairs_lose_what_the_steps_lose():
    plan = Plan(scheme="self_consuming", rounds=3, real_fraction=0.3, steps=5, method="euler")
    law = closed_form(plan, gaussian=True)
    assert law.words == "law: of a linear model in steps of euler, from the real data on"
    expected = [np.asarray(flow.euler_gain(REAL, 5)) ** 2]
    for _ in range(3):
        expected.append(np.asarray(flow.euler_gain(0.7 * expected[-1] + 0.3 * REAL, 5)) ** 2)
    np.testing.assert_allclose(law.variances(3, REAL, FIRST), expected, rtol=1e-9, atol=1e-9)


def test_kept_pairs_start_from_the_first_model_and_blank_directions_stay_blank():
    plan = Plan(scheme="ra", rounds=1, real_fraction=0.3, ridge=0.2)
    variances = closed_form(plan, gaussian=True).variances(1, REAL, FIRST)
    np.testing.assert_allclose(variances[0], np.maximum(FIRST, 4e-12))
    mixed = 0.7 + 0.3 * REAL[:, :2] / FIRST[:, :2]  # Q0; Q1 = g² Q0
    expected = (mixed * FIRST[:, :2] + 0.2) / (mixed + 0.2)
    np.testing.assert_allclose(variances[1, :, :2], expected, rtol=1e-12)
    assert np.all(np.diff(variances, axis=2) <= 0)
    assert np.all(np.isnan(closed_form(plan, gaussian=True).variances(1, REAL, np.full((2, 3), np.nan))))


@pytest.mark.parametrize("grid", [4, np.array([0.0, 0.2, 0.5, 0.7, 1.0])])
def test_a_denoiser_has_its_own(grid):
    plan = Plan(scheme="reflow", rounds=2, ridge=0.1, steps=grid, method="euler", parametrisation="denoiser")
    law = closed_form(plan, gaussian=False)
    assert law.words.endswith(
        "Euler steps, from the measured first model on; it takes the data for Gaussian, which they are not"
    )
    g = np.sqrt(FIRST[:, :2])
    times = np.linspace(0, 1, 5) if np.ndim(grid) == 0 else grid
    for _ in range(2):
        gain = np.ones_like(g)
        for t, later in pairwise(times):
            straight = 1 - t + t * g
            denoised = g * straight / (straight**2 + 0.1)
            gain *= 1 + (later - t) * (denoised - 1) / (1 - t)
        g = gain
    np.testing.assert_allclose(law.variances(2, REAL[:, :2], FIRST[:, :2])[2], g**2, rtol=1e-9)


def test_what_theory_refuses_has_no_law(monkeypatch):
    def refuse(*_, **__):
        raise ValueError("not law")

    monkeypatch.setattr(flow, "scheme_trajectory", refuse)
    law = closed_form(Plan(scheme="naive_oras", rounds=1), gaussian=True)
    assert law.trajectory is None
    assert law.words == "no law: theory has none for the scheme 'naive_oras' with a velocity"


def test_weight_decay_has_no_law():
    decayed = Training.usual("mlp", optimizer="adamw", weight_decay=0.01)
    law = closed_form(Plan(scheme="ra", rounds=1, training=decayed), gaussian=True)
    assert law.trajectory is None and "weight decay" in law.words


def test_own_data_alone_with_new_noise_lose_what_the_steps_lose(monkeypatch):
    monkeypatch.setitem(SCHEMES, "toy", Scheme("own data alone", "redrawn", None))
    law = closed_form(Plan(scheme="toy", rounds=2, real_fraction=0.5, steps=10, method="euler"), gaussian=True)
    expected = flow.self_consuming_trajectory(REAL[:, :2], 10, 3)[1:]
    np.testing.assert_allclose(law.variances(2, REAL[:, :2], REAL[:, :2]), expected, rtol=1e-12)
