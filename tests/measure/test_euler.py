"""Euler's loss of any flow: closed laws of Gaussians and densities, and Euler's very steps for random networks."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from rfcollapse.learn.velocity import MLP, Denoiser, Velocity
from rfcollapse.measure import euler
from rfcollapse.theory import anydata

pytestmark = pytest.mark.usefixtures("in_float64")
TURN = np.array([[0.8, 0.6], [-0.6, 0.8]])  # rows: principal directions


def gaussian(*variances):
    """The exact velocity, in the turned axes."""
    variances = np.array(variances)

    def velocity(t, x):
        return TURN.T @ ((t * variances - (1 - t)) / (t**2 * variances + (1 - t) ** 2) * (TURN @ x))

    return velocity


CENTRES, WIDTH = np.array([-1.0, 1.0]), 0.7


def modes(t, x):
    """The exact velocity of two modes: that of each, by the chance that x_t belongs to it."""
    total, off = (t * WIDTH) ** 2 + (1 - t) ** 2, x[0] - t * CENTRES
    inside = CENTRES + (t * WIDTH**2 - (1 - t)) / total * off
    return jax.nn.softmax(-(off**2) / (2 * total)) @ inside * jnp.ones(1)


def laplace(t, x):
    """That of a Laplace law of variance 4: by sums while noise is wide, then as two half-normal tails."""
    values = jnp.linspace(-36, 36, 721)
    early = jax.nn.softmax(-abs(values) / 2**0.5 - ((x - t * values) / (1 - t)) ** 2 / 2) @ values
    late = jnp.maximum(t, 0.4)
    y, s, b = x / late, (1 - late) / late, 2**0.5
    upper, lower = (jax.scipy.special.log_ndtr(sign * y / s - s / b) - sign * y / b for sign in (1, -1))
    return (jnp.where(t < 0.5, early, y - jnp.tanh((upper - lower) / 2) * s**2 / b) - x) / (1 - t)


def noise(n, d=1, key=1):
    """N(0, 1) at evenly spread levels, each coordinate in an order of its own."""
    levels = stats.norm.ppf((np.arange(n) + 0.5) / n)
    rng = np.random.default_rng(key)
    return jnp.asarray(np.stack([rng.permutation(levels) for _ in range(d)], axis=1))


def network(key, d=2):
    """Far from linear: weights three times as large as usual."""
    net = MLP(d, width=16, depth=2, frequencies=2, key=jax.random.key(key))
    return Velocity(jax.tree.map(lambda w: 2.5 * w.astype(jnp.float64) if eqx.is_array(w) else w, net))


def stepped(model, x, times):
    def step(i, x):
        return x + (times[i + 1] - times[i]) * jax.vmap(model, (None, 0))(times[i], x)

    return np.asarray(jax.lax.fori_loop(0, len(times) - 1, step, x))


@pytest.mark.parametrize("variances", [(4.0, 0.25), (1.0, 16.0)])
def test_gaussian_law(variances):
    x0 = noise(512, 2)
    x0 = x0 @ jnp.linalg.inv(jnp.linalg.cholesky(x0.T @ x0 / len(x0))).T
    found = euler.euler_loss_rate(gaussian(*variances), x0, directions=TURN, steps=128).mean(axis=0)
    variances = np.array(variances)
    k = variances**0.5 + variances**-0.5
    np.testing.assert_allclose(found, variances * (1 + np.pi * k / 4), rtol=1e-5)
    total = euler.euler_loss_rate(gaussian(*variances), x0, steps=128).mean(axis=0).sum()
    np.testing.assert_allclose(total, found.sum(), rtol=1e-12)


def test_steps_of_equal_angles():
    """tan θ = 2t/(1 − t) in even steps of θ, of which −2N ln cos(π/2N), π²/4 at first order, is lost of variance 4."""
    x0 = 2**0.5 * jnp.eye(2)
    found = euler.euler_loss_rate(gaussian(4.0, 4.0), x0, width=lambda t: np.pi / 4 * ((1 - t) ** 2 + 4 * t**2))
    np.testing.assert_allclose(found.sum() / 2, 2 * 4 * np.pi**2 / 4, rtol=1e-4)


POINTS = np.linspace(-5.5, 5.5, 601)
TWO_MODES = stats.norm.pdf(POINTS[:, None], CENTRES, WIDTH).mean(axis=1)


@pytest.mark.parametrize("shape", ["modes", "laplace"])
def test_densities(shape):
    """The acceleration's form against the theory's integral, for velocities written down apart."""
    points, density, model = POINTS, TWO_MODES, modes
    if shape == "laplace":
        points, model = np.linspace(-36, 36, 1301), laplace
        density = stats.laplace.pdf(points, scale=2**0.5)
        density /= np.trapezoid(density, points)
    x0 = np.linspace(-7, 7, 99)
    weight = stats.norm.pdf(x0)
    rate = euler.euler_loss_rate(model, jnp.asarray(x0[:, None]), steps=128)[:, 0]
    found = weight @ np.asarray(rate) / weight.sum()
    np.testing.assert_allclose(found, anydata.euler_loss_rate(points, density), rtol=2e-3)


@pytest.mark.parametrize("key", [1, 2])
def test_any_network_against_its_own_steps(key):
    """N × loss at N = 64 … 512, extrapolated: row by row, for a network that is fitted to nothing."""
    model, x0 = network(key), noise(4, 2)
    squares = {n: (stepped(model, x0, jnp.linspace(0, 1, n + 1)) @ TURN.T) ** 2 for n in (64, 128, 256, 512)}
    table = [2 * n * (squares[2 * n] - squares[n]) for n in (64, 128, 256)]  # R + …/N + …
    for order in (1, 2):
        table = [(2**order * fine - coarse) / (2**order - 1) for coarse, fine in itertools.pairwise(table)]
    expected = table[0]
    found = euler.euler_loss_rate(model, x0, directions=TURN, steps=128)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max())


def pairs(n, key):
    """The two modes, and independent noise."""
    side = np.random.default_rng(key).permutation(n) % 2
    return noise(n, key=key), noise(n, key=key + 1) * WIDTH + CENTRES[side][:, None]


def test_residuals_of_a_conditional_mean():
    """The rate and the exact split against the theory of the density, within five standard errors, each small."""
    x0, x1 = pairs(8192, 3)
    for found, expected in (
        (euler.residual_loss_rate(modes, x0, x1, steps=24, times=4), anydata.euler_loss_rate(POINTS, TWO_MODES)),
        (euler.euler_loss(modes, x0, x1, 8).loss, anydata.euler_loss(POINTS, TWO_MODES, 8)),
        (euler.euler_loss(modes, x0, x1, 2).loss, anydata.euler_loss(POINTS, TWO_MODES, 2)),
    ):
        error = float(found.std() / len(found) ** 0.5)
        assert error < 0.03 * expected
        np.testing.assert_allclose(found.mean(), expected, atol=5 * error)
    bias = euler.euler_loss(modes, x0, x1, 8).bias
    assert abs(float(bias.mean())) < 6 * float(bias.std()) / len(bias) ** 0.5


def test_a_biased_model_parts_the_two_forms():
    """A velocity that is too large is seen by its bias, and by the difference of the two rates."""
    x0, x1 = pairs(4096, 4)

    def model(t, x):
        return 1.5 * modes(t, x)

    bias = euler.euler_loss(model, x0, x1, 8).bias
    assert abs(float(bias.mean())) > 6 * float(bias.std()) / len(bias) ** 0.5
    by_paths, by_residuals = euler.euler_loss_rate(model, x0), euler.residual_loss_rate(model, x0, x1)
    assert abs(float(by_paths.mean() - by_residuals.mean())) > 6 * float(by_residuals.std()) / len(x1) ** 0.5


@pytest.mark.parametrize("steps", [5, np.array([0, 0.1, 0.5, 0.6, 1.0])])
def test_what_steps_miss_is_split_whole(steps):
    """For any network, grid, pair and direction, bias and loss add up to what the steps themselves miss."""
    model, x0, x1 = network(3), noise(6, 2, 5), noise(6, 2, 6)
    found = euler.euler_loss(model, x0, x1, steps, directions=TURN, at_once=4)
    times = jnp.linspace(0, 1, steps + 1) if np.ndim(steps) == 0 else jnp.asarray(steps)
    missed = (x1 @ TURN.T) ** 2 - (stepped(model, x0, times) @ TURN.T) ** 2
    np.testing.assert_allclose(found.bias + found.loss, missed, atol=1e-12)


def test_the_split_tends_to_the_residual_form():
    """N × loss at N = 64 and 128, extrapolated, on the very pairs, for a model that is no conditional mean."""
    model, x0, x1 = network(4), noise(32, 2, 7), noise(32, 2, 8)
    coarse, fine = (n * euler.euler_loss(model, x0, x1, n).loss for n in (64, 128))
    found = euler.residual_loss_rate(model, x0, x1, steps=48, times=64)
    np.testing.assert_allclose(found.mean(axis=0), (2 * fine - coarse).mean(axis=0), rtol=0.01)


def test_no_model_is_asked_at_the_end():
    """A denoiser has no velocity at t = 1."""
    model = Denoiser(lambda t, x: 0.9 * t * x)
    for found in (
        euler.euler_loss_rate(model, noise(4)),
        euler.residual_loss_rate(model, noise(4), noise(4, key=2)),
        euler.euler_loss(model, noise(4), noise(4, key=2), 3).loss,
    ):
        assert np.isfinite(found).all()


def test_rows_keep_their_dtype():
    model, x0 = Velocity(MLP(2, width=8, key=jax.random.key(0))), noise(4, 2).astype(jnp.float32)
    for found in (
        euler.euler_loss_rate(model, x0, directions=TURN),
        euler.residual_loss_rate(model, x0, x0),
        euler.euler_loss(model, x0, x0, 2).bias,
    ):
        assert found.dtype == jnp.float32 and found.shape == (4, 2)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda v, x: euler.euler_loss_rate(v, x[0]), r"noise and data must be tables .* got shape \(2,\)"),
        (lambda v, x: euler.euler_loss_rate(v, x, directions=np.eye(3)), r"shape \(k, 2\); got shape \(3, 3\)"),
        (lambda v, x: euler.euler_loss_rate(v, x, steps=0), "steps must be at least 1; got 0"),
        (lambda v, x: euler.residual_loss_rate(v, x, x[:2]), r"got shape \(4, 2\) and \(2, 2\)"),
        (lambda v, x: euler.residual_loss_rate(v, x, x, times=0), "times must be at least 1; got 0"),
        (lambda v, x: euler.euler_loss(v, x, x, 0), "steps must be at least 1; got 0"),
        (lambda v, x: euler.euler_loss(v, x, x, np.array([0, 0.5, 0.4, 1])), "steps must increase from 0 to 1"),
    ],
)
def test_bad_input_is_refused(unchecked, call, words):
    with pytest.raises(ValueError, match=words):
        call(lambda t, x: x, noise(4, 2))
