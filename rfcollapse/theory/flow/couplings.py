"""The pairs of noise and data on which each Reflow scheme trains its next model, in one direction: their moments.

A model of gain g (g² = the variance it generates) makes a fraction 1−α of own pairs, x1 = g z with z ~ N(0, 1). The
other α is real, x1 ~ N(0, λ0). Which kind of noise x0 belongs to either is a row of `rfcollapse.schemes`:

    own   "kept"        x0 = z
          "redrawn"     x0 ~ N(0, 1), independent
    real  "inverted"    x0 = x1/g; where the scheme refreshes its pairs, x1/g' with g' of the model in training
          "anchored"    x0 = x1/g₁, inverted by a first model
          "diffused"    x0 = √κ x1/g + noise of variance 1−κ: the reverse SDE with diffusion ε and a Gaussian's score
          "scored"      the same: of a Gaussian model this is its own score
          "scattered"   x0 = x1/g + noise of variance −ln κ: the same SDE without its score
          "redrawn"     x0 ~ N(0, 1), independent

All that the laws of a row need of its kinds of noise is written here, once for each kind. RA (inverted), ORA
(refreshed) and ORAS (diffused) are of Zhu et al., arXiv 2412.08175.
"""

from typing import Annotated, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import check
from ...check import Elementwise, Fraction, Nonnegative, Positive, choice
from ...schemes import SCHEMES, mixed
from ..bisection import DEAD


class PairMoments(NamedTuple):
    """The second moments of one direction's pairs, in the order of `coupling_gain` and `coupling_angle`.

    Example:
        >>> from rfcollapse.theory import flow
        >>> float(flow.coupling_angle(*flow.PairMoments(1.0, 4.0, 2.0)))
        0.0
    """

    noise_moment: Float[Array, "..."]
    """Q0 = E x0²."""
    data_moment: Float[Array, "..."]
    """Q1 = E x1²."""
    cross_moment: Float[Array, "..."]
    """c = E x0x1."""


class Direction(NamedTuple):
    """What decides over one direction's pairs: float64, all of one shape."""

    real: Float[Array, "..."]
    """λ0."""
    fraction: Float[Array, "..."]
    """α; 0 where the scheme has no real pairs."""
    ridge: Float[Array, "..."]
    """τ."""
    current: Float[Array, "..."]
    """g² of the current model."""
    anchor: Float[Array, "..."]
    """g₁² of the first."""
    diffusion: Float[Array, "..."]
    """ε of the reverse SDE."""


def half_turn(name, value):
    """Angles in [0, π], as float64."""
    return check.fraction(f"{name}/π", check.real(name, value) / jnp.pi) * jnp.pi


HalfTurn = Annotated[Elementwise, half_turn]
SchemeName = choice(SCHEMES)


def pairing(scheme, real, fraction, ridge, initial, anchor, diffusion, without=()):
    """The scheme's row of the table, and the `Direction`, of the arguments that all laws of schemes take.

    without: kinds of real noise for which the caller has no form.
    """
    row = SCHEMES[scheme]
    kind = real_kind(row)
    if row.own not in OWN or kind not in REAL or kind in without:
        raise ValueError(f"scheme {scheme!r}: no law here for {row.own!r} own noise with {kind!r} real noise")
    initial = real if initial is None else initial
    fraction = jnp.zeros_like(fraction) if row.real is None else fraction
    return row, Direction(real, fraction, ridge, initial, initial if anchor is None else anchor, diffusion)


def law(core):
    """A law of a scheme's name and settings, of a core that takes the scheme's row of the table and a `Direction`."""

    @check.arguments
    def of_scheme(
        scheme: SchemeName,
        real_variance: Positive,
        *,
        real_fraction: Fraction = 0.0,
        ridge: Nonnegative = 0.0,
        initial_variance: Positive | None = None,
        anchor_variance: Positive | None = None,
        diffusion: Nonnegative = 0.0,
    ):
        return core(*pairing(scheme, real_variance, real_fraction, ridge, initial_variance, anchor_variance, diffusion))

    for told in ("__module__", "__name__", "__qualname__", "__doc__"):  # all but the signature, which is its own
        setattr(of_scheme, told, getattr(core, told))
    return of_scheme


@law
def scheme_coupling(row, direction):
    """Q0, Q1 and c of the pairs that the model of g² = initial_variance makes: what `coupling_gain` takes.

    Q1 = (1−α)g² + αλ0, Q0 = 1−α + αq and c = (1−α)g + αb (without g where own noise is redrawn), with (q, b) =
    (λ0/g², λ0/g) for inverted, (λ0/g'², λ0/g') for refreshed, (λ0/g₁², λ0/g₁) for anchored, (1−κ + κλ0/g², √κ λ0/g) for
    diffused and scored, (λ0/g² − ln κ, λ0/g) for scattered and (1, 0) for redrawn real pairs. Ours.

    Pairs (x1/g', x1) fulfil the balance law of g' by themselves, so that real pairs refreshed by the model in training
    only weaken the own ones against the ridge: g'² = ((1−α)g² + τ)/(1−α + τ), Reflow at the ridge τ/(1−α).

    Args:
        scheme, real_variance, real_fraction, ridge, initial_variance, anchor_variance, diffusion: see
            `scheme_trajectory`; the ridge matters to refreshed pairs only.

    Example:
        >>> from rfcollapse.theory import flow
        >>> [float(m) for m in flow.scheme_coupling("ra", 4.0, real_fraction=0.5, initial_variance=1.0)]
        [2.5, 2.5, 2.5]
    """
    return coupling(row, direction)


def real_kind(row):
    """The kind of a scheme's real noise; pairs that are refreshed are a kind of their own."""
    return f"{row.real}, refreshed" if row.refreshed else row.real


def coupling(row, direction, angle=None):
    """Moments of all pairs; angle: Θ of the pairs that the current model was trained on, None for a straight path."""
    own, real = own_pairs(row, direction), real_pairs(row, direction, angle)
    return PairMoments(*(mixed(one, other, direction.fraction) for one, other in zip(own, real)))


def own_pairs(row, direction):
    return PairMoments(jnp.ones_like(direction.current), direction.current, OWN[row.own](direction))


def real_pairs(row, direction, angle=None):
    noise, cross, _ = _real_noise(row, direction, angle)
    return PairMoments(noise, direction.real, cross)


def excess(row, direction):
    """g² E x0² − λ0 of the real pairs: by how much they miss the balance law of the model that made them."""
    return _real_noise(row, direction, None)[2]


def forgetting(variance, diffusion, angle):
    """−ln κ = ε² ∫dt/Q_t = (ε²/g) Θ/sin Θ, κ the squared correlation of x1 and the x0 that a reverse SDE finds for it.

    The SDE is dx = v dt against time, with diffusion ε dW and the score −x/Q_t of the model's own marginal. √Q_t is the
    distance along a segment whose ends, at distances 1 and g, enclose the angle Θ: κ = e^(−ε²/g) on a straight path,
    e^(−πε²/(2g)) for a model trained on independent pairs. Without the score the noise adds up instead of being
    forgotten: what enters at t is ε²dt, and the flow takes it back to t = 0 with the factor 1/Q_t. Ours.
    """
    return diffusion**2 / jnp.sqrt(variance) / jnp.sinc(angle / jnp.pi)


def _real_noise(row, direction, angle):
    direction = direction._replace(current=jnp.maximum(direction.current, DEAD))  # one that has underflowed
    angle = jnp.zeros_like(direction.current) if angle is None else angle
    return REAL[real_kind(row)](direction, forgetting(direction.current, direction.diffusion, angle))


# Own noise: E x0x1, E x0² being 1.
OWN = {"kept": lambda own: jnp.sqrt(own.current), "redrawn": lambda own: jnp.zeros_like(own.current)}


def _inverted(pair, forgotten):
    return pair.real / pair.current, pair.real / jnp.sqrt(pair.current), jnp.zeros_like(pair.current)


def _refreshed(pair, forgotten):
    pull = (1 - pair.fraction) + pair.ridge  # none: any model that is trained stays where it is
    trained = ((1 - pair.fraction) * pair.current + pair.ridge) / jnp.where(pull > 0, pull, 1.0)
    return _inverted(pair._replace(current=jnp.where(pull > 0, trained, pair.current)), forgotten)


def _anchored(pair, forgotten):
    excess = pair.real * (pair.current - pair.anchor) / pair.anchor
    return pair.real / pair.anchor, pair.real / jnp.sqrt(pair.anchor), excess


def _diffused(pair, forgotten):
    lost = -jnp.expm1(-forgotten)
    noise = lost + jnp.exp(-forgotten) * pair.real / pair.current
    return noise, jnp.exp(-forgotten / 2) * pair.real / jnp.sqrt(pair.current), lost * (pair.current - pair.real)


def _scattered(pair, forgotten):
    return pair.real / pair.current + forgotten, pair.real / jnp.sqrt(pair.current), pair.current * forgotten


def _redrawn(pair, forgotten):
    return jnp.ones_like(pair.current), jnp.zeros_like(pair.current), pair.current - pair.real


# Real noise: E x0², E x0x1, and g² E x0² − λ0 written so that nothing cancels. None has the weight 0.
REAL = {
    None: _redrawn,
    "inverted": _inverted,
    "inverted, refreshed": _refreshed,
    "anchored": _anchored,
    "diffused": _diffused,
    "scored": _diffused,
    "scattered": _scattered,
    "redrawn": _redrawn,
}
