from decimal import Decimal, getcontext

import jax
import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from rfcollapse.schemes import SCHEMES, Scheme
from rfcollapse.theory.flow import (
    coupling_angle,
    coupling_gain,
    denoiser_trajectory,
    mixed_pairs_trajectory,
    network_variance,
    one_step_gain,
    scheme_contraction,
    scheme_coupling,
    scheme_limit,
    scheme_trajectory,
)
from rfcollapse.theory.flow.couplings import forgetting

REAL, START, ANCHOR, FRACTION, DIFFUSION, RIDGE = 4.0, 1.7, 2.9, 0.3, 0.8, 0.2
SETTINGS = dict(real_fraction=FRACTION, initial_variance=START, anchor_variance=ANCHOR, diffusion=DIFFUSION)


def two_points(*scales):
    """Independent centred variables of these standard deviations, as equally weighted points with exact moments."""
    return [scale * axis.ravel() for scale, axis in zip(scales, np.meshgrid(*[[-1.0, 1.0]] * len(scales)))]


def weighted_pairs(row, variance, memory=None, scatter=None, training=None):
    """x0, x1 and weights of a round's pairs, from what the table says of the row.

    memory: √κ of the reverse SDE; scatter: the variance that it adds without its score; training: g'² of the model in
    training. By default both as on a straight path, and what refreshing until nothing changes leads to.
    """
    if row.refreshed and training is None:
        training = variance
        for _ in range(60):
            training = flow_gain(fitted_velocity(*weighted_pairs(row, variance, training=training), RIDGE)) ** 2
    gain, spreading = np.sqrt(variance), DIFFUSION**2 / np.sqrt(variance)
    memory = np.exp(-spreading / 2) if memory is None else memory
    noise, own, data = two_points(1.0, gain, np.sqrt(REAL))
    own_noise = noise if row.own == "redrawn" else own / gain
    real_noise = {
        None: noise,
        "redrawn": noise,
        "inverted": data / np.sqrt(training or variance),
        "anchored": data / np.sqrt(ANCHOR),
        "diffused": memory * data / gain + np.sqrt(max(1 - memory**2, 0)) * noise,
        "scored": memory * data / gain + np.sqrt(max(1 - memory**2, 0)) * noise,
        "scattered": data / gain + np.sqrt(spreading if scatter is None else scatter) * noise,
    }[row.real]
    share = 0.0 if row.real is None else FRACTION
    weights = np.repeat([1 - share, share], len(noise)) / len(noise)
    return np.concatenate([own_noise, real_noise]), np.concatenate([own, data]), weights


def fitted_velocity(x0, x1, weights, ridge):
    """a(t) of the weighted ridge regression of x1 − x0 on x_t."""

    def velocity(t):
        x = (1 - t) * x0 + t * x1
        return (weights * x) @ (x1 - x0) / ((weights * x) @ x + ridge)

    return velocity


def flow_gain(velocity):
    return np.exp(quad(velocity, 0, 1, epsabs=1e-12, epsrel=1e-12)[0])


def reverse_sde(velocity, gain, score=True):
    """E x0x1/g and E x0² by the moments of dx = −[v + (ε²/2)(x/Q)] ds + ε dW, backwards from x1, Q the model's own."""

    def model_variance(t):
        return np.exp(2 * quad(velocity, 0, t, epsabs=1e-12)[0])

    def slopes(s, state):  # s = 1 − t; the covariance with x1, and the variance started at the model's own
        t = 1 - s
        drift = -velocity(t) - (DIFFUSION**2 / 2 / model_variance(t) if score else 0)
        return [drift * state[0], 2 * drift * state[1] + DIFFUSION**2]

    end = gain**2
    covariance, variance = solve_ivp(slopes, (0, 1), [end, end], rtol=1e-10, atol=1e-12).y[:, -1]
    return covariance / gain, variance


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("ridge", [0.0, 0.2])
def test_rounds_are_those_of_the_fitted_velocity(scheme, ridge, monkeypatch):
    monkeypatch.setitem(globals(), "RIDGE", ridge)
    path, gains = predicted_rounds(scheme)
    expected, one_step = fitted_rounds(SCHEMES[scheme])
    np.testing.assert_allclose(path, expected, rtol=1e-10)
    np.testing.assert_allclose(gains, one_step, rtol=1e-10, atol=1e-14)


def predicted_rounds(scheme, rounds=4):
    path = scheme_trajectory(scheme, REAL, rounds, ridge=RIDGE, **SETTINGS)
    return path, one_step_gain(scheme, REAL, ridge=RIDGE, **{**SETTINGS, "initial_variance": path[:-1]})


def fitted_rounds(row, rounds=4):
    path, one_step = [START], []
    for _ in range(rounds):
        velocity = fitted_velocity(*weighted_pairs(row, path[-1]), RIDGE)
        one_step.append(1 + velocity(0.0))
        path.append(flow_gain(velocity) ** 2)
    return path, one_step


@pytest.mark.parametrize("own", ["kept", "redrawn"])
@pytest.mark.parametrize("real", ["inverted", "diffused"])
def test_a_new_row_of_known_kinds_is_predicted(monkeypatch, own, real):
    row = Scheme("a toy", own, real)
    monkeypatch.setitem(SCHEMES, "toy", row)
    path, gains = predicted_rounds("toy")
    expected, one_step = fitted_rounds(row)
    np.testing.assert_allclose(path, expected, rtol=1e-10)
    np.testing.assert_allclose(gains, one_step, rtol=1e-10, atol=1e-14)
    settings = dict(SETTINGS, ridge=RIDGE)
    late = np.asarray(scheme_trajectory("toy", REAL, 400, **settings))
    limit, factor = float(scheme_limit("toy", REAL, **settings)), float(scheme_contraction("toy", REAL, **settings))
    assert late[-1] == pytest.approx(limit, rel=1e-9)
    distance = late - limit
    near = np.flatnonzero((abs(distance) < 1e-5) & (abs(distance) > 1e-8))
    np.testing.assert_allclose(distance[near[1:]] / distance[near[:-1]], factor, atol=1e-5)
    # A denoiser's step and the flow of the best velocity: from the moments of the fitted points, as for any row.
    x0, x1, weights = weighted_pairs(row, START)
    step = (weights @ (x0 * x1) / (weights @ x0**2 + RIDGE)) ** 2
    assert float(denoiser_trajectory("toy", REAL, 1, steps=1, **settings)[1]) == pytest.approx(step, rel=1e-12)
    best = float(network_variance("toy", REAL, **settings))
    if own == "kept":
        several = mixed_pairs_trajectory("toy", np.full(1, REAL), 1, **settings)[1, 0]
        assert float(several) == pytest.approx(best, rel=5e-5)
    # The row is read when it is asked for, not when a program was compiled under its name.
    monkeypatch.setitem(SCHEMES, "toy", Scheme("another", "kept", None))
    np.testing.assert_array_equal(predicted_rounds("toy")[0], predicted_rounds("reflow")[0])


@pytest.mark.parametrize("scheme", ["anchored", "oras", "naive_oras"])
def test_limits_can_be_differentiated(scheme, in_float64):
    def limit(ridge):
        return scheme_limit(scheme, REAL, ridge=ridge, **SETTINGS)

    difference = (limit(RIDGE + 1e-5) - limit(RIDGE - 1e-5)) / 2e-5
    assert float(jax.grad(limit)(RIDGE)) == pytest.approx(float(difference), rel=1e-7)


def test_refreshed_pairs_are_reflow_at_a_larger_ridge():
    real, ridge = np.array([0.25, 4.0]), 0.2
    path = scheme_trajectory("ora", real, 5, ridge=ridge, **SETTINGS)
    shift = scheme_trajectory("reflow", real, 5, ridge=ridge / (1 - FRACTION), **SETTINGS)
    np.testing.assert_allclose(path, shift, rtol=1e-13)
    np.testing.assert_array_equal(scheme_trajectory("ora", real, 2, real_fraction=1.0, initial_variance=1.7), 1.7)
    np.testing.assert_allclose(scheme_trajectory("ora", real, 1, real_fraction=1.0, ridge=0.1)[1], 1, rtol=1e-14)


def test_a_reverse_sde_without_its_score_ends_in_noise():
    """Its root in closed form; without ridge 1/g grows by ε²/(2λ0) a round in the end, whatever real data there are."""
    real, ridge = np.array([0.25, 4.0]), np.array([[0.05], [1.0]])
    pull = FRACTION * DIFFUSION**2
    expected = (2 * ridge / (pull + np.sqrt(pull**2 + 4 * ridge**2))) ** 2 * np.ones(2)
    np.testing.assert_allclose(scheme_limit("naive_oras", real, ridge=ridge, **SETTINGS), expected, rtol=1e-13)
    np.testing.assert_array_equal(scheme_limit("naive_oras", real, **SETTINGS), 0)
    np.testing.assert_allclose(scheme_contraction("naive_oras", real, **SETTINGS), 1, rtol=1e-12)
    path = scheme_trajectory("naive_oras", real, 40_000, **SETTINGS)
    growth = np.diff(1 / np.sqrt(np.asarray(path)[-2:]), axis=0)[0]
    np.testing.assert_allclose(growth, DIFFUSION**2 / 2 / real, rtol=2e-3)


@pytest.mark.parametrize("first_pairs, angle", [("straight", 0.0), ("independent", np.pi / 2), ("mixed", None)])
def test_reverse_sdes_against_their_moment_equations(first_pairs, angle):
    if first_pairs == "straight":
        points = weighted_pairs(SCHEMES["reflow"], START)
    elif first_pairs == "independent":
        points = *two_points(1.0, np.sqrt(START)), np.full(4, 0.25)
    else:
        points = weighted_pairs(SCHEMES["fresh"], START)
        angle = float(coupling_angle(*scheme_coupling("fresh", REAL, **SETTINGS)))
    velocity = fitted_velocity(*points, 0.0)
    gain = flow_gain(velocity)
    forgotten = float(forgetting(gain**2, DIFFUSION, angle))
    memory, variance = reverse_sde(velocity, gain)
    assert memory**2 == pytest.approx(np.exp(-forgotten), rel=1e-7)
    assert variance == pytest.approx(1, rel=1e-7)  # the score keeps the marginal: it starts at g² and arrives at 1
    memory, variance = reverse_sde(velocity, gain, score=False)
    assert memory == pytest.approx(1, rel=1e-7) and variance == pytest.approx(1 + forgotten, rel=1e-7)


@pytest.mark.parametrize("scheme", ["oras", "naive_oras"])
def test_bent_paths_are_followed_round_by_round(scheme):
    variance, expected = START, [START]
    velocity = fitted_velocity(*two_points(1.0, np.sqrt(START)), np.full(4, 0.25), 0.0)  # a first model on fresh pairs
    for _ in range(3):
        memory, second = reverse_sde(velocity, np.sqrt(variance), score=scheme == "oras")
        velocity = fitted_velocity(*weighted_pairs(SCHEMES[scheme], variance, memory, max(second - 1, 0)), RIDGE)
        variance = flow_gain(velocity) ** 2
        expected.append(variance)
    path = scheme_trajectory(scheme, REAL, 3, ridge=RIDGE, initial_angle=np.pi / 2, **SETTINGS)
    np.testing.assert_allclose(path, expected, rtol=1e-7)


def test_bending_moves_the_limits_of_oras_little():
    real, diffusion, fraction, ridge = np.meshgrid([0.1, 0.25, 4, 10], [0.3, 1, 2], [0.1, 0.3, 0.7], [0.05, 0.2])
    settings = dict(real_fraction=fraction, ridge=ridge, diffusion=diffusion)
    bent = scheme_trajectory("oras", real, 2_000, initial_angle=np.pi / 2, **settings)[-1]
    assert np.max(np.abs(bent / scheme_limit("oras", real, **settings) - 1)) < 0.026


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("ridge", [0.0, 0.2])
@pytest.mark.parametrize("start", [0.05, 1.7, 60.0])
def test_limit_and_contraction_are_what_the_rounds_do(scheme, ridge, start):
    real = np.array([0.25, 1.0, 4.0])
    settings = dict(SETTINGS, initial_variance=start, ridge=ridge)
    if ridge == 0 and SCHEMES[scheme].real == "scattered":  # tends to zero, but not geometrically
        return
    path = np.asarray(scheme_trajectory(scheme, real, 2_000, **settings))
    limit, factor = (np.asarray(f(scheme, real, **settings)) for f in (scheme_limit, scheme_contraction))
    np.testing.assert_allclose(path[-1], limit, rtol=1e-11)
    distance = np.abs(path - limit) / limit
    if ridge == 0 and SCHEMES[scheme].own == "kept" and SCHEMES[scheme].real in (None, "inverted"):
        assert np.all(distance < 1e-13)
        np.testing.assert_allclose(factor, 1, rtol=1e-15)
        return
    for direction in range(3):
        late = np.flatnonzero((distance[:, direction] < 1e-5) & (distance[:, direction] > 1e-9))
        measured = np.diff(np.log(distance[late, direction]))
        np.testing.assert_allclose(measured, np.log(factor[direction]), atol=2e-5)


def test_the_numbers_that_a_trained_network_was_measured_against():
    real, settings = np.array([4.0, 0.25]), dict(real_fraction=0.3, ridge=0.2)
    for scheme, expected in [
        ("reflow", (2.20, 0.70)),
        ("ra", (2.29, 0.73)),
        ("anchored", (2.88, 0.53)),
        ("fresh", (2.88, 0.53)),
    ]:
        np.testing.assert_allclose(scheme_trajectory(scheme, real, 5, **settings)[-1], expected, atol=0.006)


def test_hard_corners_in_extended_precision():
    getcontext().prec = 80
    for scheme in SCHEMES:
        for exponent in (-12, 12):
            for fraction in ("0", "1e-9", "1"):
                for ridge in ("0", "1e-6"):
                    real, start, anchor = Decimal(10) ** exponent, Decimal(10) ** (-exponent), Decimal(3)
                    a, tau, g2 = Decimal(fraction), Decimal(ridge), start
                    for _ in range(3):
                        kappa = (-Decimal("0.01") / g2.sqrt()).exp()
                        row = SCHEMES[scheme]
                        inverting = g2
                        if row.refreshed and a < 1:  # what its own inversions leave where it is
                            inverting = ((1 - a) * g2 + tau) / (1 - a + tau)
                        elif row.refreshed and tau > 0:
                            inverting = Decimal(1)
                        found = {
                            "inverted": real / inverting,
                            "anchored": real / anchor,
                            "diffused": 1 + (real / g2 - 1) * kappa,
                            "scored": 1 + (real / g2 - 1) * kappa,
                            "scattered": real / g2 + Decimal("0.01") / g2.sqrt(),
                            "redrawn": Decimal(1),
                            None: Decimal(1),
                        }[row.real]
                        share = Decimal(0) if row.real is None else a
                        g2 = ((1 - share) * g2 + share * real + tau) / (1 - share + share * found + tau)
                    path = scheme_trajectory(
                        scheme,
                        float(real),
                        3,
                        real_fraction=float(a),
                        ridge=float(tau),
                        initial_variance=float(start),
                        anchor_variance=3.0,
                        diffusion=0.1,
                    )
                    assert float(path[-1]) == pytest.approx(float(g2), rel=1e-12), (scheme, exponent, fraction, ridge)


def test_where_reflow_and_ra_end():
    settings = dict(real_fraction=0.3, ridge=0.1, initial_variance=2.0)
    paths = {s: np.asarray(scheme_trajectory(s, 4.0, 30, **settings)) for s in ("reflow", "ra")}
    assert np.all(np.diff(paths["ra"]) < 0) and np.all(paths["ra"][1:] > paths["reflow"][1:])  # λ0 > g²: slower
    faster = scheme_trajectory("ra", 0.5, 5, **settings)
    assert np.all(faster[1:] < scheme_trajectory("reflow", 0.5, 5, **settings)[1:])  # λ0 < g²: faster
    assert float(scheme_limit("ra", 4.0, **settings)) == 1 == float(scheme_limit("reflow", 4.0, **settings))


def test_straightness_of_the_pairs():
    gain = np.sqrt(START)
    for scheme in ("reflow", "ra"):
        pairs = scheme_coupling(scheme, REAL, **SETTINGS)
        assert float(coupling_angle(*pairs)) < 1e-7
        assert float(one_step_gain(scheme, REAL, **SETTINGS)) == pytest.approx(gain, rel=1e-14)
    assert float(one_step_gain("fresh", REAL, **SETTINGS)) == pytest.approx((1 - FRACTION) * gain, rel=1e-14)
    one = coupling_gain(*scheme_coupling("anchored", REAL, **SETTINGS), ridge=0.2, steps=1)
    assert float(one_step_gain("anchored", REAL, ridge=0.2, **SETTINGS)) == pytest.approx(float(one), rel=1e-13)


def test_elementwise_jitted_and_degenerate_settings(in_float64):
    real = np.array([[0.3], [2.0]])
    ridge = np.array([0.1, 0.2, 0.5])
    table = jax.jit(lambda r, t: scheme_trajectory("anchored", r, 3, ridge=t, real_fraction=0.2))(real, ridge)
    assert table.shape == (4, 2, 3)
    single = scheme_trajectory("anchored", 2.0, 3, ridge=0.5, real_fraction=0.2)
    np.testing.assert_allclose(table[:, 1, 2], single, rtol=1e-14)
    for scheme in SCHEMES:  # neither ridge nor real data: every model stays
        still = dict(initial_variance=0.7, anchor_variance=1.1)
        assert float(scheme_limit(scheme, 3.0, **still)) == 0.7
        assert float(scheme_contraction(scheme, 3.0, **still)) == pytest.approx(1, rel=1e-15)
        np.testing.assert_allclose(scheme_trajectory(scheme, 3.0, 5, **still), 0.7, rtol=1e-15)
    assert scheme_trajectory("ra", 3.0, 0).shape == (1,)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: scheme_trajectory("rca", 1.0, 3), "scheme must be one of 'reflow', 'ra'"),
        (lambda: scheme_trajectory("ra", 0.0, 3), "real_variance must be greater than 0"),
        (lambda: scheme_trajectory("ra", 1.0, 3, real_fraction=-0.1), "real_fraction must lie in"),
        (lambda: scheme_trajectory("ra", 1.0, 3.0), "rounds must be a whole number"),
        (lambda: scheme_trajectory("oras", 1.0, 3, initial_angle=4.0), "initial_angle/π must lie in"),
        (lambda: scheme_limit("ra", 1.0, ridge=-1.0), "ridge must be at least 0"),
        (lambda: scheme_contraction("oras", 1.0, diffusion=np.nan), "diffusion must be at least 0 and be finite"),
        (lambda: one_step_gain("ra", [1.0, 2.0], ridge=[0, 0, 0]), "do not combine"),
        (lambda: network_variance("ora", 1.0), "'ora': no law here for 'kept' own noise with 'inverted, refreshed'"),
        (lambda: mixed_pairs_trajectory("ora", np.ones(1), 2, ridge=0.1), "no law here"),
    ],
)
def test_refusals(unchecked, call, words):
    with pytest.raises(ValueError, match=words):
        call()
