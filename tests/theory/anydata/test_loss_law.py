"""The loss law against matrices, samples and iteration."""

import jax
import numpy as np
import pytest
from scipy import linalg

from rfcollapse.theory import anydata, dae, flow


def test_identity_holds_for_any_denoiser():
    """E|D|² from E|x|², loss and scale defect, for a function that was fitted to nothing."""
    rng = np.random.default_rng(0)
    x = rng.laplace(size=(1000, 5))
    denoised = np.tanh((x + rng.normal(size=x.shape)) @ rng.normal(size=(5, 5))) + 0.3
    loss = np.mean(np.sum((x - denoised) ** 2, axis=1))
    defect = np.mean(np.sum(denoised * (x - denoised), axis=1))
    after = anydata.variance_after(np.mean(np.sum(x**2, axis=1)), loss, scale_defect=defect)
    np.testing.assert_allclose(after, np.mean(np.sum(denoised**2, axis=1)), rtol=1e-12)


def test_law_holds_for_the_best_map_of_any_rank():
    covariance, noise = np.diag([4.0, 1.0, 0.25]), 0.7
    for rank in (1, 2, 3):
        best = np.asarray(dae.optimal_map(covariance, noise, rank))
        seen = covariance + noise**2 * np.eye(3)
        loss = np.trace(best @ seen @ best.T - 2 * best @ covariance + covariance)
        after = anydata.variance_after(np.trace(covariance), loss)
        np.testing.assert_allclose(after, np.trace(best @ seen @ best.T), rtol=1e-13)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 1.0])
def test_settled_level_is_where_the_recursion_stands_still(fraction):
    real, noise = 16.0, 1.0
    level = float(dae.retained_variance(real, noise, fraction))
    pool = (1 - fraction) * level + fraction * real
    loss = pool * noise**2 / (pool + noise**2)
    np.testing.assert_allclose(anydata.settled_variance(real, loss, fraction), level, rtol=1e-12)
    np.testing.assert_allclose(anydata.settled_fraction(level / real, real, loss), fraction, rtol=1e-12)


def test_what_no_level_fits_is_said_by_the_number():
    assert anydata.settled_variance(4.0, 2.0, 0.25) < 0
    assert anydata.settled_fraction(0.9, 4.0, 2.0) > 1
    assert anydata.settled_fraction(1.0, 4.0, 0.0) == 0
    assert anydata.settled_fraction(1.0, 4.0, 1.0) == np.inf


def test_without_real_data_nothing_settles(unchecked):
    with pytest.raises(ValueError, match="real_fraction must be above 0"):
        anydata.settled_variance(4.0, 2.0, [0.5, 0.0])


def test_transforms_pass(in_float64):
    jitted = jax.jit(jax.vmap(anydata.settled_variance))
    assert jitted(np.full(2, 4.0), np.full(2, 0.5), np.array([0.25, 0.5])).tolist() == [2.0, 3.0]


@pytest.mark.parametrize("variance", [0.25, 4.0])
def test_cost_of_gaussian_pairs(variance):
    """Independent pairs of Gaussians: the loss by integrating the conditional variance; the flow's own paths, which
    are not straight, by following them; and the pairs that it makes, (z, √λ z)."""
    t = np.linspace(0, 1, 20_001)
    moment = t**2 * variance + (1 - t) ** 2
    gain = np.asarray(flow.velocity_gain(t, variance))
    loss = np.trapezoid(variance + 1 - gain**2 * moment, t)
    # The exact path is z √Q_t; its speed's variance about the chord √λ − 1.
    speed = gain * np.sqrt(moment)
    bend = np.trapezoid((speed - (np.sqrt(variance) - 1)) ** 2, t)
    np.testing.assert_allclose(anydata.cost_after(variance + 1, loss, bend), (np.sqrt(variance) - 1) ** 2, atol=1e-7)


@pytest.mark.parametrize("data", [4.0, 0.25])
@pytest.mark.parametrize("fraction", [0.1, 0.5, 1.0])
def test_pace_of_one_direction_is_that_of_the_balance_law(data, fraction):
    """Rounds of RA and Reflow at a small ridge, of a model that generates another variance than the data's."""
    start, given = 2.0, dict(initial_variance=2.0, ridge=1e-7)
    reflow, ra = (
        float(flow.scheme_trajectory(scheme, data, 1, real_fraction=share, **given)[1])
        for scheme, share in (("reflow", 0.0), ("ra", fraction))
    )
    # A real x1 goes back to x1/√2 and comes again as √reflow times that.
    pace = anydata.ra_pace(start - reflow, data * (1 - reflow / start), fraction)
    assert float(pace) == pytest.approx((start - ra) / (start - reflow), rel=1e-6)


@pytest.mark.parametrize("alike", [True, False])
def test_pace_of_many_modes_is_a_bound_and_the_pool_loses_alike(alike):
    """Least squares with a small ridge of x on itself, in ten dimensions, on own rows and richer ones."""
    draw, fraction, ridge = np.random.default_rng(5), 0.4, 1e-4
    own, more = (draw.normal(size=(4000, 10)) @ draw.normal(size=(10, 10)) for _ in range(2))
    richer, lost = 1.5 * own if alike else own + more, {}
    for share in (0.0, fraction):
        rows = np.concatenate([np.sqrt(1 - share) * own, np.sqrt(share) * richer]) / np.sqrt(4000)
        padded = np.concatenate([rows, np.sqrt(ridge) * np.eye(10)]), np.concatenate([rows, np.zeros((10, 10))])
        kept = np.linalg.lstsq(*padded, rcond=None)[0]
        lost[share] = [np.mean(np.sum(x**2 - (x @ kept) ** 2, axis=1)) for x in (own, richer)]
    measured, law = lost[fraction][0] / lost[0.0][0], float(anydata.ra_pace(*lost[0.0], fraction))
    assert fraction * lost[fraction][1] + (1 - fraction) * lost[fraction][0] == pytest.approx(lost[0.0][0], rel=1e-2)
    assert measured == pytest.approx(law, rel=1e-2) if alike else 1.05 * law < measured < 1


def test_modes_of_a_ridge_regression_fitted_anew():
    """A linear functional of what lstsq fits to own and real rows, of other features and other right sides."""
    draw, ridge, fraction = np.random.default_rng(7), 0.3, 0.35
    features = [draw.normal(size=(200, 5)) @ draw.normal(size=(5, 5)) for _ in range(2)]
    targets, before, slope = draw.normal(size=(2, 200)), draw.normal(size=5), draw.normal(size=5)
    shares = np.sqrt((1 - fraction) / 200), np.sqrt(fraction / 200)
    rows = np.concatenate([share * one for share, one in zip(shares, features)] + [np.sqrt(ridge) * np.eye(5)])
    sides = np.concatenate([share * one for share, one in zip(shares, targets)] + [np.zeros(5)])
    lost = slope @ (before - np.linalg.lstsq(rows, sides, rcond=None)[0])
    own, real = (one.T @ one / 200 for one in features)
    u, u_r = (x.T @ y / 200 - x.T @ x @ before / 200 - ridge * before for x, y in zip(features, targets))
    excess, modes = linalg.eigh(real - own, own + ridge * np.eye(5))
    along, losses, given = -slope @ modes, modes.T @ u, modes.T @ (u_r - u)
    law = anydata.ra_loss_by_modes(along * losses, excess, fraction, corrections=along * given)
    assert float(law) == pytest.approx(lost, rel=1e-9)
    # One mode that loses c = τg and of which real pairs hold w is the law of `ra_pace`.
    one = anydata.ra_loss_by_modes(np.array([0.2]), np.array([1.5]), fraction)
    assert float(one) == pytest.approx(0.2 * float(anydata.ra_pace(0.2, 0.5, fraction)), rel=1e-12)


@pytest.mark.parametrize("holds", [True, False])
def test_one_pace_is_the_slope_of_the_modes_where_lines_are_paths(holds):
    """A flow x1 = g x0 by quadrature, real pairs of another law; the class holds the gradient of |x̂1|², or not."""
    g, ridge, eps = 0.6, 1e-7, 1e-5
    nodes, weight = np.polynomial.legendre.leggauss(40)
    t, weight = (nodes[:, None] + 1) / 2, weight[:, None] / 2
    place, gradient = 1 - t + t * g, lambda x: 2 * g**2 * x / (1 - t + t * g) ** 2
    x0 = np.linspace(-6, 6, 2001)
    own, real = (chance / chance.sum() for chance in (np.exp(-(x0**2) / 2), 1.0 * (abs(x0) < 3)))
    x = place * x0
    rows = [(g - 1) / place * x, x**3, np.cos(x) * t] + [gradient(x)] * holds  # the first is the flow's velocity
    theta = np.eye(len(rows))[0]

    def mean(chance, one, other=1.0):
        return np.sum(weight * chance * one * other)

    A, A_r = (np.array([[mean(chance, a, b) for b in rows] for a in rows]) for chance in (own, real))
    slopes = [np.array([mean(chance, gradient(x), a) for a in rows]) for chance in (own, real)]
    normal, u = A + ridge * np.eye(len(rows)), -ridge * theta  # no residuals: b = Aθ, of either kind
    excess, modes = linalg.eigh(A_r - A, normal)
    losses = -(modes.T @ slopes[0]) * (modes.T @ u)
    slope = (float(anydata.ra_loss_by_modes(losses, excess, eps)) - losses.sum()) / eps
    lost = [-one @ linalg.solve(normal, u) for one in slopes]
    assert (slope == pytest.approx(lost[0] - lost[1], rel=1e-3)) == holds
