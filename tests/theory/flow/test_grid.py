import numpy as np
import pytest
from scipy.optimize import minimize

from rfcollapse.theory.flow import best_grid, self_consuming_rate

SPECTRUM = np.array([25.0, 4.0, 1.0, 0.3, 0.01])


def best_on_a_mesh(variance, steps, mesh=700):
    """The least mean loss over all grids on a fine mesh in ln(t/(1−t)), by dynamic programming over the steps."""
    z = np.linspace(-7, 7, mesh)
    angle = np.concatenate(
        [
            np.zeros((len(variance), 1)),
            np.arctan(np.sqrt(variance)[:, None] * np.exp(z)),
            np.full((len(variance), 1), np.pi / 2),
        ],
        axis=1,
    )
    with np.errstate(divide="ignore"):
        loss = sum(-2 * np.log(np.abs(np.cos(a[None, :] - a[:, None]))) for a in angle) / len(variance)
    loss[np.tril_indices(mesh + 2)] = np.inf
    cost = loss[0]
    for _ in range(steps - 1):
        cost = np.min(cost[:, None] + loss, axis=0)
    return cost[-1]


@pytest.mark.parametrize("variance", [1e-12, 0.2, 1.0, 7.0, 1e12])
@pytest.mark.parametrize("steps", [1, 2, 5, 40])
def test_one_variance_has_equal_angles_and_the_least_loss(variance, steps):
    grid = np.asarray(best_grid(variance, steps))
    assert grid[0] == 0 and grid[-1] == 1 and np.all(np.diff(grid) > 0)
    loss = float(self_consuming_rate(variance, grid))
    if steps > 1:
        angles = np.arctan2(np.sqrt(variance) * grid, 1 - grid)
        rounding = 1e-15 * max(1, variance**-0.5)  # of 1 − t, where the grid crowds at t = 1
        np.testing.assert_allclose(np.diff(angles), np.pi / 2 / steps, rtol=1e-12, atol=rounding)
        assert loss == pytest.approx(-2 * steps * np.log(np.cos(np.pi / 2 / steps)), rel=1e-12)
    rng = np.random.default_rng(0)
    for _ in range(20):
        odds = grid[1:-1] / (1 - grid[1:-1]) * np.exp(1e-2 / steps * rng.normal(size=steps - 1))
        moved = np.concatenate([[0], odds / (1 + odds), [1]])
        assert float(self_consuming_rate(variance, moved)) >= loss * (1 - 1e-13)


@pytest.mark.parametrize("steps", [2, 3, 5, 10])
def test_a_spectrum_reaches_the_least_loss_of_any_grid_on_a_mesh(steps):
    found = float(np.mean(self_consuming_rate(SPECTRUM, best_grid(SPECTRUM, steps))))
    on_mesh = best_on_a_mesh(SPECTRUM, steps)
    assert found <= on_mesh < found * (1 + 2e-3)


def test_a_spectrum_reaches_what_a_derivative_free_search_finds():
    steps = 4

    def loss(parts):
        grid = np.concatenate([[0], np.cumsum(np.exp(parts))])
        return float(np.mean(self_consuming_rate(SPECTRUM, grid / grid[-1])))

    search = minimize(
        loss, np.zeros(steps), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-12, "maxiter": 4000}
    )
    found = float(np.mean(self_consuming_rate(SPECTRUM, best_grid(SPECTRUM, steps))))
    assert found == pytest.approx(search.fun, rel=1e-7)


def test_many_steps_and_repeated_variances():
    grid = np.asarray(best_grid(SPECTRUM, 60))
    assert np.all(np.diff(grid) > 0)
    losses = [np.mean(self_consuming_rate(SPECTRUM, steps)) for steps in (grid, 60)]
    assert losses[0] < 0.9 * losses[1]
    np.testing.assert_allclose(best_grid(np.full((2, 3), 3.0), 6), best_grid(3.0, 6), atol=1e-8)


def test_refusals(unchecked):
    with pytest.raises(ValueError, match="variance must be greater than 0"):
        best_grid([1.0, 0.0], 4)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        best_grid(1.0, 0)
