"""The loss law: what a round of self-training forgets is its training loss. Ours; any data, any network.

Symbols as in `rfcollapse.theory.anydata`. For any D, L = E|x − D|² and κ = E⟨D, x − D⟩ give E|D|² = E|x|² − L − 2κ. At
the optimum of a class that is closed under scaling its output, as with a last linear layer that is not decayed, κ = 0.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import check
from ...check import Fraction, Nonnegative, Number, Positive


@check.arguments
def variance_after(
    pool_variance: Nonnegative, loss: Nonnegative, *, scale_defect: Number = 0.0
) -> Float[Array, "*shape"]:
    """V' = V − L − 2κ: the total variance of the next round, ρ = 1.

    With both L and κ measured it is an identity; with κ = 0, at the optimum, a law. It needs ρ = 1 (the pool passed on
    with the training noise), for L is of the noise that D was fitted with. Pythagoras for conditional expectations.

    Args:
        pool_variance: V ≥ 0, total variance of what D is fitted to and passes on.
        loss: L ≥ 0, mean squared error per sample, summed over coordinates, on fresh noise.
        scale_defect: κ = E⟨D, x − D⟩; positive under weight decay, when more is lost than the loss says.

    Example:
        >>> from rfcollapse.theory import anydata
        >>> float(anydata.variance_after(4.0, 0.8))
        3.2
    """
    return pool_variance - loss - 2 * scale_defect


@check.arguments
def settled_variance(real_variance: Nonnegative, loss: Nonnegative, real_fraction: Fraction) -> Float[Array, "*shape"]:
    """V* = V0 − L*/α: the generated variance at which a run with a fraction α of real data in its pool stands still.

    From V* = (1−α)V* + αV0 − L*. It audits a level, it promises none: L* is the loss *at that level*, and a loss
    measured elsewhere may be smaller.

    Args:
        real_variance: V0 ≥ 0.
        loss: L* ≥ 0.
        real_fraction: α in (0, 1].

    Returns:
        V*; 0 or less means that no level fits that loss.

    Example:
        >>> from rfcollapse.theory import anydata
        >>> float(anydata.settled_variance(4.0, 0.5, 0.25))
        2.0
    """
    if not check.traced(real_fraction) and bool(jnp.any(real_fraction == 0)):
        raise ValueError("real_fraction must be above 0, for without real data nothing settles; got 0")
    return real_variance - loss / real_fraction


@check.arguments
def settled_fraction(retention: Fraction, real_variance: Nonnegative, loss: Nonnegative) -> Float[Array, "*shape"]:
    """α = L*/((1 − R)V0): the real fraction with which a run stands still at V* = R V0, L* being the loss there.

    Args:
        retention: R in [0, 1).
        real_variance: V0 ≥ 0.
        loss: L* ≥ 0.

    Returns:
        α; above 1 no fraction does.

    Example:
        >>> from rfcollapse.theory import anydata
        >>> float(anydata.settled_fraction(0.5, 4.0, 0.5))
        0.25
    """
    return jnp.where(loss == 0, 0.0, loss / ((1 - retention) * real_variance))


@check.arguments
def cost_after(cost: Nonnegative, loss: Nonnegative, straightness: Nonnegative) -> Float[Array, "*shape"]:
    """c' = c − L − S: the transport cost E|x1 − x0|² of the pairs that a flow makes, from that of the pairs it learnt.

    ∫E|v|² dt is c − L on the pairs that v was fitted to, where v is the conditional mean of x1 − x0, and c' + S along
    its own paths. Summed over rounds it contains min S ≤ c/K of Liu et al. (arXiv 2209.03003), and says where the slack
    is. It needs own pairs with the same law of x0 (Reflow), found by following the flow exactly.

    Args:
        cost: c ≥ 0 of the pairs that the flow is trained on.
        loss: L ≥ 0, E|x1 − x0 − v|² at the end of training, t uniform.
        straightness: S ≥ 0 of the flow's own paths Z, ∫E|v − (Z1 − Z0)|² dt.

    Example:
        >>> from rfcollapse.theory import anydata
        >>> round(float(anydata.cost_after(6.17, 4.118, 1.325)), 3)
        0.727
    """
    return cost - loss - straightness


@check.arguments
def ra_pace(own_loss: Positive, real_loss: Nonnegative, real_fraction: Fraction) -> Float[Array, "*shape"]:
    """1/M, M = 1 − α + α L_real/L_own: what RA loses of its own pairs in a round, over what Reflow loses of them.

    The balance law in function space. A class linear in its parameters, fitted with a small penalty, keeps M/(M + τ) of
    a mode of which the real pairs hold w, the own ones g, and M = 1 − α + αw/g. So Reflow, fitted to own pairs alone,
    loses Στg of them, and Στw of real pairs that are inverted and shown to it: L_own and L_real. RA loses Στg/M of its
    own pairs. With one M for all modes that lose this is L_own/M; in general it is more, by Jensen. Of the pool as a
    whole RA loses what Reflow does: real pairs bear more of it. That is a theorem for maps. A flow, fitted in its
    velocity and followed, weighs its modes with signs (`ra_loss_by_modes`): there 1/M is no bound, and exact to first
    order in α where the pairs' lines are the model's own paths, and the class holds the gradient of |x̂1|² as a function
    of (t, x_t). It knows nothing of own pairs that are few, to which real ones are more data.

    Args:
        own_loss: L_own > 0, E|x1|² − E|x̂1|² of pairs that the last model made from noise not trained on, x̂1 being what
            Reflow's next model makes of the same noise.
        real_loss: L_real ≥ 0, the same of real data, from the noise to which the last model inverts them.
        real_fraction: α in [0, 1].

    Example:
        >>> from rfcollapse.theory import anydata
        >>> float(anydata.ra_pace(1.0, 3.0, 0.5))
        0.5
    """
    return own_loss / ((1 - real_fraction) * own_loss + real_fraction * real_loss)


@check.arguments
def ra_loss_by_modes(
    mode_losses: Number, excess: Number, real_fraction: Number, *, corrections: Number = 0.0
) -> Float[Array, "..."]:
    """Σ(c + αd)/(1 + αq): what RA loses of its own pairs in a round, in a class linear in its parameters with a ridge.

    v = ⟨θ, φ(t, x)⟩, θ of the last model; A = E φφᵀ and b = E φ(x1 − x0)ᵀ of own pairs, A_r and b_r of real ones, which
    that model inverted; u = b − (A + τ)θ, u_r = b_r − (A_r + τ)θ; γ the gradient of E|x̂1|² of own pairs. In modes e
    with (A_r − A)e = q(A + τ)e and ⟨e, (A + τ)e⟩ = 1 a fit to 1 − α of own and α of real pairs changes θ by
    Σ⟨e, u + α(u_r − u)⟩e/(1 + αq), exactly. What is lost is −γ times that, to first order in the change. `ra_pace` is
    the case of one mode without d.

    Args:
        mode_losses: c = −⟨γ, e⟩⟨e, u⟩ along the last axis, what each mode loses in Reflow; of any sign.
        excess: q > −1, by how much the real pairs hold more of the mode, beside the own ones' content and the ridge.
        real_fraction: α in [0, 1], of a shape that broadcasts with the modes.
        corrections: d = −⟨γ, e⟩⟨e, u_r − u⟩, what the real pairs' residuals add; 0 where the pairs' lines are the
            model's own paths.

    Example:
        >>> from rfcollapse.theory import anydata
        >>> float(anydata.ra_loss_by_modes([0.75, 0.25], [0.0, 1.0], 1.0, corrections=[-0.25, 0.0]))
        0.625
    """
    lost = (mode_losses + real_fraction * corrections) / (1 + real_fraction * excess)
    return jnp.atleast_1d(lost).sum(axis=-1)
