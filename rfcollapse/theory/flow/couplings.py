"""The pairs of noise and data on which each Reflow scheme trains its next model, in one direction.

A model of gain g (g² = the variance it generates) makes a fraction 1−α of synthetic pairs, (x0, g x0), x0 ~ N(0, 1).
The other α is real, x1 ~ N(0, λ0), with the noise x0 that the scheme gives it:

    "reflow"     no real pairs, whatever α is
    "ra"         x0 = x1/g: inverted by the current model (Zhu et al., arXiv 2412.08175, RA Reflow)
    "anchored"   x0 = x1/g₁: inverted once, by a first model
    "oras"       x0 = √κ x1/g + noise: the reverse SDE with diffusion ε and the model's own score (Zhu et al., ORAS)
    "fresh"      x0 ~ N(0, 1), independent
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from ... import check

SCHEMES = ("reflow", "ra", "anchored", "oras", "fresh")
DEAD = 1e-200  # the variance at which a direction that has underflowed is inverted

Elementwise = Real[ArrayLike, "*#shape"]


class Coupling(NamedTuple):
    """The second moments of one direction's pairs, in the order of `coupling_gain` and `coupling_angle`.

    Attributes:
        noise_moment: Q0 = E x0².
        data_moment: Q1 = E x1².
        cross_moment: c = E x0x1.
    """

    noise_moment: Float[Array, "..."]
    data_moment: Float[Array, "..."]
    cross_moment: Float[Array, "..."]


class Setting(NamedTuple):
    """One direction's λ0, α, τ, g² of the current model, g₁², ε: float64, of one shape."""

    real: Float[Array, "..."]
    fraction: Float[Array, "..."]
    ridge: Float[Array, "..."]
    current: Float[Array, "..."]
    anchor: Float[Array, "..."]
    diffusion: Float[Array, "..."]


def scheme_coupling(
    scheme: str,
    real_variance: Elementwise,
    *,
    real_fraction: Elementwise = 0.0,
    initial_variance: Elementwise | None = None,
    anchor_variance: Elementwise | None = None,
    diffusion: Elementwise = 0.0,
) -> Coupling:
    """Q0, Q1 and c of the pairs that the model of g² = initial_variance makes: what `coupling_gain` takes.

    Q1 = (1−α)g² + αλ0; Q0 = 1−α + αq and c = (1−α)g + αb with (q, b) = (λ0/g², λ0/g) for ra, (λ0/g₁², λ0/g₁) for
    anchored, (1−κ + κλ0/g², √κ λ0/g) for oras, (1, 0) for fresh. Ours.

    Args:
        scheme, real_variance, real_fraction, initial_variance, anchor_variance, diffusion: see `scheme_trajectory`.

    Raises:
        ValueError: an argument outside its range.
    """
    return coupling(
        scheme, make_setting(scheme, real_variance, real_fraction, 0.0, initial_variance, anchor_variance, diffusion)
    )


def reverse_sde_correlation(
    variance: Elementwise, diffusion: Elementwise, *, bend: Elementwise = 0.0
) -> Float[Array, "..."]:
    """κ = exp(−ε² ∫dt/Q_t) = exp(−(ε²/g) Θ/sin Θ): squared correlation of x1 and the x0 a reverse SDE finds for it.

    The SDE is dx = v dt against time, with diffusion ε dW and the score −x/Q_t of the model's own marginal. √Q_t is the
    distance along a segment whose ends, at distances 1 and g, enclose the angle Θ: e^(−ε²/g) on a straight path,
    e^(−πε²/(2g)) for a model trained on independent pairs. Ours.

    Args:
        variance: g² > 0, the variance that the model generates.
        diffusion: ε ≥ 0.
        bend: Θ in [0, π), the `coupling_angle` of the pairs it was trained on.

    Raises:
        ValueError: an argument outside its range.
    """
    variance, diffusion = check.positive("variance", variance), check.nonnegative("diffusion", diffusion)
    bend = half_turn("bend", bend)
    check.broadcastable(variance=variance, diffusion=diffusion, bend=bend)
    variance, diffusion, bend = jnp.broadcast_arrays(variance, diffusion, bend)
    return jnp.exp(-forgetting(variance, diffusion, bend))


def coupling(scheme, setting, bend=None):
    """Q0, Q1 and c, unchecked; bend as in `real_pair`."""
    real, fraction, _, current, _, _ = setting
    if scheme == "reflow":
        return Coupling(jnp.ones_like(current), current, jnp.sqrt(current))
    noise, cross = real_pair(scheme, setting, bend)
    return Coupling(
        (1 - fraction) + fraction * noise,
        (1 - fraction) * current + fraction * real,
        (1 - fraction) * jnp.sqrt(current) + fraction * cross,
    )


def real_pair(scheme, setting, bend=None):
    """E x0² and E x0x1 of the real pairs; bend: Θ of the current model's path (None: straight), for "oras"."""
    real, _, _, current, anchor, diffusion = setting
    current = jnp.maximum(current, DEAD)
    if scheme == "ra":
        return real / current, real / jnp.sqrt(current)
    if scheme == "anchored":
        return real / anchor, real / jnp.sqrt(anchor)
    if scheme == "oras":
        forgotten = forgetting(current, diffusion, jnp.zeros_like(current) if bend is None else bend)
        noise = -jnp.expm1(-forgotten) + jnp.exp(-forgotten) * real / current
        return noise, jnp.exp(-forgotten / 2) * real / jnp.sqrt(current)
    return jnp.ones_like(current), jnp.zeros_like(current)


def forgetting(variance, diffusion, bend):
    """−ln κ."""
    return diffusion**2 / jnp.sqrt(variance) / jnp.sinc(bend / jnp.pi)


def half_turn(name, value):
    """Angles in [0, π], as float64."""
    return check.fraction(f"{name}/π", check.real(name, value) / jnp.pi) * jnp.pi


def make_setting(scheme, real_variance, real_fraction, ridge, initial_variance, anchor_variance, diffusion):
    """The arguments every scheme takes, checked."""
    check.one_of("scheme", scheme, SCHEMES)
    real = check.positive("real_variance", real_variance)
    fraction, ridge = check.fraction("real_fraction", real_fraction), check.nonnegative("ridge", ridge)
    initial = real if initial_variance is None else check.positive("initial_variance", initial_variance)
    anchor = initial if anchor_variance is None else check.positive("anchor_variance", anchor_variance)
    diffusion = check.nonnegative("diffusion", diffusion)
    check.broadcastable(
        real_variance=real,
        real_fraction=fraction,
        ridge=ridge,
        initial_variance=initial,
        anchor_variance=anchor,
        diffusion=diffusion,
    )
    return Setting(*jnp.broadcast_arrays(real, fraction, ridge, initial, anchor, diffusion))
