"""The terms of Reflow's transport cost: closed forms of Gaussian couplings, other measures, and the law itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from rfcollapse.learn import integrate
from rfcollapse.learn.velocity import MLP, Velocity
from rfcollapse.measure import paths, transport
from rfcollapse.theory import anydata

pytestmark = pytest.mark.usefixtures("in_float64")
VARIANCES = np.array([4.0, 0.25])
LEVELS = stats.norm.ppf((np.arange(4096) + 0.5) / 4096)
LEVELS /= np.sqrt(np.mean(LEVELS**2))


def noise(key):
    """N(0, 1), each coordinate in an order of its own, with second moments 1."""
    rng = np.random.default_rng(key)
    return jnp.asarray(np.stack([rng.permutation(LEVELS) for _ in VARIANCES], axis=1))


def independent(t, x):
    """The exact velocity of independent Gaussian pairs."""
    return (t * VARIANCES - (1 - t)) / (t**2 * VARIANCES + (1 - t) ** 2) * x


def means(terms):
    return {name: float(values.mean()) for name, values in terms._asdict().items()}


def test_independent_gaussian_pairs():
    """c = Σ λ + 1, L = Σ ∫λ/(t²λ + (1−t)²) dt = Σ √λ π/2, the next pairs (z, √λ z): c' = Σ (√λ − 1)²; S is the rest."""
    x0, x1 = noise(1), noise(2) * np.sqrt(VARIANCES)[None]
    found = transport.transport_cost(independent, x0, x1)
    root = VARIANCES**0.5
    exact = {"cost": (VARIANCES + 1).sum(), "loss": (root * np.pi / 2).sum(), "next_cost": ((root - 1) ** 2).sum()}
    exact |= {"straightness": exact["cost"] - exact["loss"] - exact["next_cost"], "scale_defect": 0.0}
    for name, value in means(found).items():
        error = float(getattr(found, name).std()) / len(x0) ** 0.5
        assert error < 0.12
        np.testing.assert_allclose(value, exact[name], atol=5 * error, err_msg=name)
    np.testing.assert_allclose(found.next_cost.mean(), exact["next_cost"], rtol=1e-5)
    np.testing.assert_allclose(found.straightness.mean(), exact["straightness"], rtol=1e-4)


def test_pairs_that_the_model_made_itself():
    """Straight paths, Reflow's fixed point: nothing is missed, nothing is lost. v = (g − 1) x/(1 − t + tg)."""
    root = np.sqrt(VARIANCES)
    found = transport.transport_cost(lambda t, x: (root - 1) / (1 - t + t * root) * x, noise(3), noise(3) * root[None])
    for name, value in means(found).items():
        expected = ((root - 1) ** 2).sum() if name in ("cost", "next_cost") else 0.0
        np.testing.assert_allclose(value, expected, atol=1e-6, err_msg=name)


def test_the_law_for_a_conditional_mean():
    """Two points, no Gaussian: v = (tanh(t x/(1−t)²) − x)/(1−t), and c' by the sign of the noise, which paths keep."""

    def model(t, x):
        return (jnp.tanh(t * x / (1 - t) ** 2) - x) / (1 - t)

    x0 = jnp.asarray(LEVELS[:, None])
    x1 = jnp.asarray(np.random.default_rng(4).permutation(np.sign(LEVELS))[:, None])
    found = transport.transport_cost(model, x0, x1, steps=256)
    terms = means(found)
    law = anydata.cost_after(*(terms[name] for name in ("cost", "loss", "straightness")))
    rest = found.cost - found.loss - found.straightness - found.next_cost
    assert float(rest.std()) / len(x0) ** 0.5 < 0.03
    np.testing.assert_allclose(terms["next_cost"], law, atol=5 * float(rest.std()) / len(x0) ** 0.5)
    np.testing.assert_allclose(terms["next_cost"], ((np.abs(LEVELS) - 1) ** 2).mean(), rtol=2e-3)


def test_any_network():
    """What holds pair by pair, whatever the network: the loss's identity, and straightness and ends as of its paths."""
    net = MLP(2, width=16, depth=2, key=jax.random.key(1))
    model = Velocity(jax.tree.map(lambda w: 2 * w.astype(jnp.float64) if isinstance(w, jax.Array) else w, net))
    x0, x1 = noise(5)[:8], noise(6)[:8]
    found = transport.transport_cost(model, x0, x1, steps=128, times=1024)
    walks = integrate.paths(model, x0, steps=1000)
    np.testing.assert_allclose(found.straightness, paths.straightness(walks), rtol=1e-4)
    np.testing.assert_allclose(found.next_cost, ((walks[-1] - x0) ** 2).sum(axis=1), rtol=1e-4)
    speed = found.cost - found.loss - 2 * found.scale_defect
    t = jnp.asarray((np.arange(2000) + 0.5) / 2000)
    line = jax.vmap(lambda t: jax.vmap(lambda a, b: model(t, (1 - t) * a + t * b))(x0, x1))
    np.testing.assert_allclose(speed, (line(t) ** 2).sum(axis=2).mean(axis=0), rtol=2e-3)


def test_shapes_must_be_one(unchecked):
    with pytest.raises(ValueError, match=r"got shape \(4096, 2\) and \(4, 2\)"):
        transport.transport_cost(independent, noise(1), noise(2)[:4])
