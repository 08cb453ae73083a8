"""Where the optimal nonlinear network leaves the balance law: real and synthetic pairs mixed, in isotropic data. Ours.

The law of `schemes` is exact for a model linear in x. A network fits E[x1 − x0 | x_t + √τ e], and its
flow carries law(x0)∗N(0, τ) to law(x1)∗N(0, τ). On one Gaussian coupling that is linear, and the law holds. A mixture
of real and synthetic pairs is not jointly Gaussian; where it is isotropic the flow is radial, so the map is the one
that matches the quantiles of |x|, and the noise it is started from, N(0, I), gives another variance than the law.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ... import check
from ...check import Count, Fraction, Nonnegative, Positive, Whole
from ...schemes import mixed
from ..bisection import DEAD, bisected
from .couplings import SchemeName, pairing, real_pairs

REACH = 9.0  # standard deviations of the noise beyond which nothing is counted
NODES = 400  # of the Gauss–Legendre rule in |x0|
MOST_ATOMS = 4096
WITHOUT = ("inverted, refreshed",)  # kinds of real noise that have no form here: it is yet unknown what inverts
WITHOUT_LATER = (*WITHOUT, "diffused", "scattered")  # nor these, once the model is not linear


@check.arguments
def network_variance(
    scheme: SchemeName,
    real_variance: Positive,
    *,
    dimension: Count = 1,
    real_fraction: Fraction = 0.0,
    ridge: Nonnegative = 0.0,
    initial_variance: Positive | None = None,
    anchor_variance: Positive | None = None,
    diffusion: Nonnegative = 0.0,
) -> Float[Array, "..."]:
    """E|G(z)|²/d, z ~ N(0, I), F₁(|G(z)|) = F₀(|z|): the variance generated after one round from a Gaussian model.

    F₀ and F₁ are the laws of |x0 + √τ e| and |x1 + √τ e|: mixtures of scaled χ_d with weights 1−α and α, the variances
    being 1 + τ and q + τ (q of the scheme's real pairs), and g² + τ and λ0 + τ.

    Args:
        scheme: by name, see `couplings`; pairs that are refreshed have no such form.
        real_variance: λ0 > 0, of the real data N(0, λ0 I).
        dimension: d ≥ 1.
        real_fraction, ridge, initial_variance, anchor_variance, diffusion: see `scheme_trajectory`.

    Example:
        >>> from rfcollapse.theory import flow
        >>> settings = {"initial_variance": 1.5, "real_fraction": 0.3, "ridge": 0.2}
        >>> round(float(flow.network_variance("fresh", 4.0, **settings)), 3)
        1.993
        >>> round(float(flow.scheme_trajectory("fresh", 4.0, 1, **settings)[1]), 3)
        2.042
    """
    arguments = real_variance, real_fraction, ridge, initial_variance, anchor_variance, diffusion
    row, start = pairing(scheme, *arguments, without=WITHOUT)
    return _one_round(start, real_pairs(row, start).noise_moment, dimension)


@check.arguments
def network_trajectory(
    scheme: SchemeName,
    real_variance: Positive,
    rounds: Whole,
    *,
    ridge: Positive,
    real_fraction: Fraction = 0.0,
    initial_variance: Positive | None = None,
    anchor_variance: Positive | None = None,
) -> Float[Array, "rounds_and_start ..."]:
    """E G_j(z)² of rounds 0 … J in d = 1, G_{j+1} = F₁⁻¹ ∘ F₀, where F₀ and F₁ are made by G_j itself, Gaussian or not.

    F₀ and F₁ are the distribution functions of x0 + √τ e and x1 + √τ e over the round's pairs; the law of G_j(z), and
    of G_j⁻¹(x1) where real data are inverted, is held as atoms, so the ridge must blur them: τ > 0. The first model and
    the anchor are linear.

    Args:
        scheme: by name, see `couplings`; the reverse SDE of a non-Gaussian model has no such form, nor has refreshing.
        real_variance: λ0 > 0.
        rounds: J ≥ 0.
        ridge: τ > 0.
        real_fraction: α in [0, 1].
        initial_variance: g² > 0 of the first model; None is λ0.
        anchor_variance: g₁² > 0 of the model that inverts in "anchored"; None is the initial variance.

    Returns:
        The variance generated at rounds 0 … J, (J + 1, …), the round axis first.

    Raises:
        ValueError: a ridge too small beside the variances, for which the law of `scheme_trajectory` is close.

    Example:
        >>> from rfcollapse.theory import flow
        >>> flow.network_trajectory("ra", 4.0, 2, ridge=0.2, real_fraction=0.3).round(3).tolist()
        [4.0, 3.5, 3.097]
    """
    arguments = real_variance, real_fraction, ridge, initial_variance, anchor_variance, jnp.zeros_like(ridge)
    row, start = pairing(scheme, *arguments, without=WITHOUT_LATER)
    widths = jnp.sqrt(jnp.stack([start.real, start.current, jnp.ones_like(start.real)]))
    # Atoms are spaced by at most .7 √τ, where the rule of equal spacings has an error of e^(−2π²/.49).
    spread = jnp.max(widths, axis=0) / jnp.min(widths, axis=0) / jnp.sqrt(start.ridge)
    atoms = max(64, int(np.ceil(REACH * float(jnp.max(spread)) / 0.7)))
    if atoms > MOST_ATOMS:
        raise ValueError(f"ridge must not be so small beside the variances: {atoms} atoms, of {MOST_ATOMS} at most")
    flat = jax.tree.map(jnp.ravel, start)
    result = jax.lax.map(partial(_rounds, row, rounds, atoms), flat)
    return jnp.moveaxis(result, 0, 1).reshape(rounds + 1, *start.real.shape)


@partial(jax.jit, static_argnames="dimension")
def _one_round(start, real_noise, dimension):
    fraction, ridge = start.fraction, start.ridge
    starts, ends = (1 + ridge, real_noise + ridge), (start.current + ridge, start.real + ridge)
    half = dimension / 2

    def beyond(square, variances):
        tails = [jax.scipy.special.gammaincc(half, square / variance / 2) for variance in variances]
        return mixed(*tails, fraction)

    def stretched(square):
        """|G|² where |z|² is `square`."""
        goal = beyond(square, starts)
        low, high = jnp.minimum(*ends) / jnp.maximum(*starts), jnp.maximum(*ends) / jnp.minimum(*starts)
        return bisected(lambda mapped: beyond(mapped, ends) > goal, square * low, square * high)

    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    bottom, top = max(0.0, dimension**0.5 - REACH), dimension**0.5 + REACH
    radius = jnp.asarray(bottom + (nodes + 1) * (top - bottom) / 2)
    log_density = (dimension - 1) * jnp.log(radius) - radius**2 / 2 - (half - 1) * np.log(2) - jax.lax.lgamma(half)
    mass = jnp.asarray(weights) * (top - bottom) / 2 * jnp.exp(log_density)
    squares = jax.lax.map(stretched, radius**2)
    return jnp.tensordot(mass, squares, axes=1) / dimension


@partial(jax.jit, static_argnums=(0, 1, 2))
def _rounds(row, rounds, atoms, start):
    """The trajectory of one direction. Laws are symmetric: a node z > 0 stands for −z also."""
    real, fraction, ridge, initial, *_ = start
    inverts, real_noise = row.real == "inverted", real_pairs(row, start).noise_moment
    z = (jnp.arange(atoms, dtype=jnp.float64) + 0.5) * (REACH / atoms)
    mass = jnp.exp(-(z**2) / 2)
    mass = mass / jnp.sum(mass)
    sources = jnp.sqrt(real) * z  # real x1

    def gaussian(x, variance):
        return jax.scipy.special.erfc(x / jnp.sqrt(2 * variance)) / 2

    def blurred(x, places):
        return jnp.sum(mass * (gaussian(x - places, ridge) + gaussian(x + places, ridge))) / 2

    def matched(points, beyond_here, beyond_there):
        """The points with the same tail probability there; both laws lie well within the upper end of the bracket."""
        goal = jax.lax.map(beyond_here, points)
        variances = jnp.stack([real, initial, jnp.ones_like(real)])
        most = 20 * REACH * jnp.max(variances) / jnp.min(variances)
        short = lambda there: jax.lax.map(beyond_there, there) > goal  # noqa: E731
        return bisected(short, jnp.full_like(points, DEAD), jnp.full_like(points, most))

    def one_round(state, _):
        generated, inverted = state

        def beyond_noise(x):
            tail = blurred(x, inverted) if inverts else gaussian(x, real_noise + ridge)
            return mixed(gaussian(x, 1 + ridge), tail, fraction)

        def beyond_data(x):
            return mixed(blurred(x, generated), gaussian(x, real + ridge), fraction)

        following = matched(z, beyond_noise, beyond_data)
        inverse = matched(sources, beyond_data, beyond_noise) if inverts else inverted
        return (following, inverse), jnp.sum(mass * following**2)

    _, later = jax.lax.scan(one_round, (jnp.sqrt(initial) * z, sources / jnp.sqrt(initial)), length=rounds)
    return jnp.concatenate([initial[None], later])
