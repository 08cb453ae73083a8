"""A linear rectified flow fitted, with ridge τ, to any coupling of noise and data: the balance law.

Pairs (x0, x1) with second moments Q0 = E x0x0ᵀ, Q1 = E x1x1ᵀ, X = E x0x1ᵀ; x_t = (1−t)x0 + t x1. The ridge fit of
x1 − x0 on x_t is v = C(Q_t + τ)⁻¹x with C = E(x1 − x0)x_tᵀ, and because C + Cᵀ = dQ_t/dt its flow map G satisfies

    G (Q0 + τI) Gᵀ = Q1 + τI

for any coupling. Ridge τ is the same as input noise of variance τ in training (clean target) with sampling from
N(0, I); weight decay, or one matrix for all t, is neither. Ours.

In one direction the picture is the one of `sampler`: Q_t + τ is the squared length of the segment
from p0 to p1, |p0|² = Q0 + τ, |p1|² = Q1 + τ, p0·p1 = c + τ, and its angle Θ is the lack of straightness.
"""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from ... import check
from ...check import Covariance, Nonnegative, NonnegativeScalar, Number
from .grid import Steps

ROTATION_TOLERANCE = 1e-13  # of the integrated rotation, whose entries are at most 1
SINGULAR = 1e-13  # of the variance that independent pairs would have in the same direction


@check.arguments
def transport_map(covariance: Covariance) -> Float[Array, "dim dim"]:
    """Σ^(1/2), where the exact rectified flow of independent pairs takes N(0, I) to N(0, Σ); also the optimal map.

    Args:
        covariance: Σ, (d, d), symmetric positive semi-definite.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import flow
        >>> flow.transport_map(np.array([[4.0, 0.0], [0.0, 1.0]])).tolist()
        [[2.0, 0.0], [0.0, 1.0]]
    """
    values, vectors = jnp.linalg.eigh(covariance)
    return (vectors * jnp.sqrt(jnp.maximum(values, 0))[None, :]) @ vectors.T


@check.arguments
def balance_map(
    noise_moment: Covariance,
    data_moment: Covariance,
    cross_moment: Real[ArrayLike, "dim dim"],
    *,
    ridge: NonnegativeScalar = 0.0,
) -> Float[Array, "dim dim"]:
    """G = B Λ^(1/2) R B⁻¹, in the basis B where B⁻¹(Q0 + τ)B⁻ᵀ = I and B⁻¹(Q1 + τ)B⁻ᵀ = Λ is diagonal. Ours.

    The balance law fixes G up to the rotation R, and the cross moment fixes R: dR/dt = ΩR, R(0) = I. There, with L the
    Cholesky factor of Q_t + τ, M = L⁻¹ (dQ_t/dt) L⁻ᵀ and A = (Xᵀ − X)/2 (constant in t), Ω = L⁻¹AL⁻ᵀ + (the upper minus
    the lower triangle of M)/2. Integrating R and not G keeps the law exact to rounding whatever the spread of the
    variances; for independent pairs R = I, if τ = 0 or Q0 and Q1 commute.

    Args:
        noise_moment: Q0 = E x0x0ᵀ, (d, d), symmetric.
        data_moment: Q1 = E x1x1ᵀ, (d, d), symmetric.
        cross_moment: X = E x0x1ᵀ, (d, d).
        ridge: τ ≥ 0.

    Raises:
        ValueError: moments that are no second moments of a pair, or with Q_t + τ singular at some t, as x1 = −x0 has.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import flow
        >>> flow.balance_map(np.array([[1.0]]), np.array([[4.0]]), np.array([[1.0]]), ridge=0.5).round(3).tolist()
        [[1.732]]
    """
    cross_moment = check.real("cross_moment", cross_moment)
    if not noise_moment.shape == data_moment.shape == cross_moment.shape:
        shapes = noise_moment.shape, data_moment.shape, cross_moment.shape
        raise ValueError(f"the three moments must have one shape (d, d); got {shapes}")
    if not check.traced(cross_moment):
        joint = jnp.block([[noise_moment, cross_moment], [cross_moment.T, data_moment]])
        check.covariance("the joint moment [[Q0, X], [Xᵀ, Q1]]", joint)
    shift = ridge * jnp.eye(noise_moment.shape[0])
    shifted = noise_moment + shift, data_moment + shift, cross_moment + shift
    result = _integrate(*shifted)
    if not check.traced(result) and (not jnp.all(jnp.isfinite(result)) or _vanishes(*shifted)):
        raise ValueError("Q_t + τI must be positive definite at every t in [0, 1]; these moments make it singular")
    return result


@check.arguments
def coupling_gain(
    noise_moment: Nonnegative,
    data_moment: Nonnegative,
    cross_moment: Number,
    *,
    ridge: Nonnegative = 0.0,
    steps: Steps | None = None,
) -> Float[Array, "..."]:
    """g = √((Q1 + τ)/(Q0 + τ)) Π cos Δθ_i in one direction: the exact flow (no product), or N Euler steps. Ours.

    The Δθ_i sum to `coupling_angle`. A single Euler step has gain (c + τ)/(Q0 + τ).

    Args:
        noise_moment: Q0 = E x0² ≥ 0, with Q0 + τ > 0.
        data_moment: Q1 = E x1² ≥ 0.
        cross_moment: c = E x0x1, |c| ≤ √(Q0Q1).
        ridge: τ ≥ 0.
        steps: N uniform Euler steps, or a grid of N + 1 times from 0 to 1; None is the exact flow.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import flow
        >>> flow.coupling_gain(1.0, 4.0, np.array([0.0, 1.0, 2.0]), steps=4).round(3).tolist()
        [1.362, 1.7, 2.0]
    """
    start, end, inner = noise_moment + ridge, data_moment + ridge, cross_moment + ridge
    if steps is None:
        return jnp.sqrt(end / start)

    def factor(t, t_next, s, s_next):
        projected = s * s_next * start + (s * t_next + t * s_next) * inner + t * t_next * end
        return projected / (s**2 * start + 2 * s * t * inner + t**2 * end)

    time, rest, _ = steps
    return jnp.prod(jax.vmap(factor)(time[:-1], time[1:], rest[:-1], rest[1:]), axis=0)


@check.arguments
def coupling_angle(
    noise_moment: Nonnegative, data_moment: Nonnegative, cross_moment: Number, *, ridge: Nonnegative = 0.0
) -> Float[Array, "..."]:
    """Θ = arccos[(c + τ)/√((Q0 + τ)(Q1 + τ))]: 0 for straight paths, π/2 for independent pairs without ridge. Ours.

    Evaluated as atan2, with (Q0 + τ)(Q1 + τ) − (c + τ)² = (Q0Q1 − c²) + τ(Q0 + Q1 − 2c).

    Args:
        noise_moment: Q0 = E x0² ≥ 0.
        data_moment: Q1 = E x1² ≥ 0.
        cross_moment: c = E x0x1, |c| ≤ √(Q0Q1).
        ridge: τ ≥ 0.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.theory import flow
        >>> flow.coupling_angle(1.0, 4.0, np.array([0.0, 1.0, 2.0])).round(3).tolist()
        [1.571, 1.047, 0.0]
    """
    return angle_of(noise_moment, data_moment, cross_moment, ridge)


def angle_of(noise, data, cross, ridge):
    """Θ, unchecked."""
    cross_product = (noise * data - cross**2) + ridge * (noise + data - 2 * cross)
    return jnp.arctan2(jnp.sqrt(jnp.maximum(cross_product, 0)), cross + ridge)


@jax.jit
def _integrate(start, end, cross):
    """G for Q0 + τ, Q1 + τ, X + τ (the ridge moves all three alike, so that Q_t + τ is their quadratic in t)."""
    root, values, vectors, cross = _common_basis(start, end, cross)
    spin, blend = (cross.T - cross) / 2, cross + cross.T
    identity, end = jnp.eye(values.shape[0]), jnp.diag(values)

    def turn(t, rotation, _):
        lower = jnp.linalg.cholesky((1 - t) ** 2 * identity + t * (1 - t) * blend + t**2 * end)
        growth = 2 * (t * end - (1 - t) * identity) + (1 - 2 * t) * blend
        # One whitening of the sum: its antisymmetric part is the spin's, its symmetric part the growth's.
        both = _whiten(lower, spin + growth)
        upper = jnp.triu(both + both.T, 1) / 2
        return ((both - both.T) / 2 + (upper - upper.T) / 2) @ rotation

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(turn),
        diffrax.Dopri8(),
        t0=0.0,
        t1=1.0,
        dt0=None,
        y0=identity,
        stepsize_controller=diffrax.PIDController(rtol=ROTATION_TOLERANCE, atol=ROTATION_TOLERANCE),
        max_steps=100_000,
        throw=False,
    )
    left, _, right = jnp.linalg.svd(jnp.where(solution.result == diffrax.RESULTS.successful, solution.ys[-1], jnp.nan))
    basis = root @ vectors
    inverse = vectors.T @ jax.scipy.linalg.solve_triangular(root, identity, lower=True)
    return (basis * jnp.sqrt(values)[None, :]) @ (left @ right) @ inverse


def _common_basis(start, end, cross):
    """L, Λ, V with B = LV, and the cross moment in that basis, where `start` is I and `end` is diag Λ."""
    root = jnp.linalg.cholesky(start)
    values, vectors = jnp.linalg.eigh(_whiten(root, end))
    return root, values, vectors, vectors.T @ _whiten(root, cross) @ vectors


def _vanishes(start, end, cross):
    """Whether Q_t + τ is singular at some t, which an integrator can step over: by the roots 1/t of its determinant."""
    _, values, _, cross = (np.asarray(part) for part in _common_basis(start, end, cross))
    identity, blend = np.eye(len(values)), cross + cross.T
    companion = np.block([[2 * identity - blend, blend - identity - np.diag(values)], [identity, 0 * identity]])
    for root in np.linalg.eigvals(companion):
        t = min(max((1 / root).real, 0.0), 1.0) if root != 0 else 1.0
        independent = np.sqrt((1 - t) ** 2 + t**2 * values)
        scaled = identity + t * (1 - t) * blend / np.outer(independent, independent)
        if np.linalg.eigvalsh(scaled)[0] < SINGULAR:
            return True
    return False


def _whiten(lower, matrix):
    """L⁻¹ M L⁻ᵀ."""
    half = jax.scipy.linalg.solve_triangular(lower, matrix, lower=True)
    return jax.scipy.linalg.solve_triangular(lower, half.T, lower=True).T
