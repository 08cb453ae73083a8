from decimal import Decimal, getcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from rfcollapse.theory.flow import (
    SCHEMES,
    coupling_angle,
    coupling_gain,
    one_step_gain,
    reverse_sde_correlation,
    scheme_contraction,
    scheme_coupling,
    scheme_limit,
    scheme_trajectory,
)

REAL, START, ANCHOR, FRACTION, DIFFUSION = 4.0, 1.7, 2.9, 0.3, 0.8
SETTINGS = dict(real_fraction=FRACTION, initial_variance=START, anchor_variance=ANCHOR, diffusion=DIFFUSION)


def two_points(*scales):
    """Independent centred variables of these standard deviations, as equally weighted points with exact moments."""
    return [scale * axis.ravel() for scale, axis in zip(scales, np.meshgrid(*[[-1.0, 1.0]] * len(scales)))]


def weighted_pairs(scheme, variance, memory=None):
    """x0, x1 and weights of a round's pairs, from the scheme's description; memory: √κ of the reverse SDE."""
    gain = np.sqrt(variance)
    first, second = two_points(1.0, np.sqrt(REAL))  # noise, real data
    if scheme == "reflow":
        return first, gain * first, np.full(4, 0.25)
    if scheme == "ra":
        found = second / gain
    elif scheme == "anchored":
        found = second / np.sqrt(ANCHOR)
    elif scheme == "oras":
        found = memory * second / gain + np.sqrt(1 - memory**2) * first
    else:
        found = first
    weights = np.concatenate([np.full(4, (1 - FRACTION) / 4), np.full(4, FRACTION / 4)])
    return np.concatenate([first, found]), np.concatenate([gain * first, second]), weights


def fitted_velocity(x0, x1, weights, ridge):
    """a(t) of the weighted ridge regression of x1 − x0 on x_t."""

    def velocity(t):
        x = (1 - t) * x0 + t * x1
        return (weights * x) @ (x1 - x0) / ((weights * x) @ x + ridge)

    return velocity


def flow_gain(velocity):
    return np.exp(quad(velocity, 0, 1, epsabs=1e-12, epsrel=1e-12)[0])


def reverse_sde_memory(velocity, gain):
    """√κ by the moments of dx = −[v + (ε²/2)(x/Q)] ds + ε dW, backwards from x1, Q the model's own marginal."""

    def model_variance(t):
        return np.exp(2 * quad(velocity, 0, t, epsabs=1e-12)[0])

    def slopes(s, state):  # s = 1 − t; the covariance with x1, and the variance started at the model's own
        t = 1 - s
        drift = -velocity(t) - DIFFUSION**2 / 2 / model_variance(t)
        return [drift * state[0], 2 * drift * state[1] + DIFFUSION**2]

    end = gain**2
    covariance, variance = solve_ivp(slopes, (0, 1), [end, end], rtol=1e-10, atol=1e-12).y[:, -1]
    assert variance == pytest.approx(1, rel=1e-7)  # the score keeps the marginal: it starts at g² and arrives at 1
    return covariance / gain


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("ridge", [0.0, 0.2])
def test_rounds_are_those_of_the_fitted_velocity(scheme, ridge):
    variance, expected, one_step = START, [START], []
    for _ in range(4):
        memory = np.exp(-(DIFFUSION**2) / np.sqrt(variance) / 2)
        velocity = fitted_velocity(*weighted_pairs(scheme, variance, memory), ridge)
        one_step.append(1 + velocity(0.0))
        variance = flow_gain(velocity) ** 2
        expected.append(variance)
    path = scheme_trajectory(scheme, REAL, 4, ridge=ridge, **SETTINGS)
    np.testing.assert_allclose(path, expected, rtol=1e-10)
    gains = one_step_gain(scheme, REAL, ridge=ridge, **{**SETTINGS, "initial_variance": path[:-1]})
    np.testing.assert_allclose(gains, one_step, rtol=1e-10)


@pytest.mark.parametrize("first_pairs, angle", [("straight", 0.0), ("independent", np.pi / 2), ("mixed", None)])
def test_reverse_sde_correlation_against_its_moment_equations(first_pairs, angle):
    if first_pairs == "straight":
        points = weighted_pairs("reflow", START)
    elif first_pairs == "independent":
        points = *two_points(1.0, np.sqrt(START)), np.full(4, 0.25)
    else:
        points = weighted_pairs("fresh", START)
        angle = float(coupling_angle(*scheme_coupling("fresh", REAL, **SETTINGS)))
    velocity = fitted_velocity(*points, 0.0)
    gain = flow_gain(velocity)
    expected = reverse_sde_memory(velocity, gain) ** 2
    assert float(reverse_sde_correlation(gain**2, DIFFUSION, bend=angle)) == pytest.approx(expected, rel=1e-7)


def test_bent_paths_are_followed_round_by_round():
    ridge, variance, expected = 0.2, START, [START]
    velocity = fitted_velocity(*two_points(1.0, np.sqrt(START)), np.full(4, 0.25), 0.0)  # a first model on fresh pairs
    for _ in range(3):
        memory = reverse_sde_memory(velocity, np.sqrt(variance))
        velocity = fitted_velocity(*weighted_pairs("oras", variance, memory), ridge)
        variance = flow_gain(velocity) ** 2
        expected.append(variance)
    path = scheme_trajectory("oras", REAL, 3, ridge=ridge, initial_angle=np.pi / 2, **SETTINGS)
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
    real = jnp.array([0.25, 1.0, 4.0])
    settings = dict(SETTINGS, initial_variance=start, ridge=ridge)
    path = np.asarray(scheme_trajectory(scheme, real, 2_000, **settings))
    limit, factor = (np.asarray(f(scheme, real, **settings)) for f in (scheme_limit, scheme_contraction))
    np.testing.assert_allclose(path[-1], limit, rtol=1e-11)
    distance = np.abs(path - limit) / limit
    if ridge == 0 and scheme in ("reflow", "ra"):
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
                        found = {
                            "ra": real / g2,
                            "anchored": real / anchor,
                            "oras": 1 + (real / g2 - 1) * kappa,
                            "fresh": Decimal(1),
                            "reflow": Decimal(1),
                        }[scheme]
                        share = Decimal(0) if scheme == "reflow" else a
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


def test_elementwise_jitted_and_degenerate_settings():
    real = jnp.array([[0.3], [2.0]])
    ridge = jnp.array([0.1, 0.2, 0.5])
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
        (lambda: reverse_sde_correlation(1.0, 1.0, bend=-1.0), "bend/π must lie in"),
    ],
)
def test_refusals(unchecked, call, words):
    with pytest.raises(ValueError, match=words):
        call()
