"""The rule of thumb: how much real data holds which level, for any self-training whose rate of decay is known. Ours.

A round that multiplies the variance by e^(−r), trained on a mixture with a fraction α of real data, has the fixed point
λ* = e^(−r)((1−α)λ* + αλ0). The rule is exact with r taken *at that fixed point*. A rate measured at λ0 instead is good
for gentle flows and can be far off, and unsafe, elsewhere: use the mechanism's own law where it is known.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ... import check
from ...check import Fraction, Nonnegative

ROUNDING = 1e-12  # by which a required fraction may exceed 1 and still count as 1


@check.arguments
def retention_rule(rate: Nonnegative, real_fraction: Fraction) -> Float[Array, "..."]:
    """R = λ*/λ0 = α/(α + e^r − 1), the retained part of the variance; 1 where nothing decays (r = 0).

    It holds for whatever a round multiplies by e^(−r). So diffusion models that stop t short of the data, their only
    fault, and are trained on each other's samples keep R of every Hermite moment E He_m(x), with r = mt: a round is
    p' = P_t(αp_0 + (1−α)p), P_t the Ornstein–Uhlenbeck semigroup, and tends to Σ_k α(1−α)^k P_{(k+1)t} p_0, whatever
    the data. (That process: Khelifa, Turner and Venkataramanan, arXiv 2606.13796, quoted second-hand.)

    Args:
        rate: r ≥ 0, the log-variance lost in a round, at the retained level.
        real_fraction: α in [0, 1].

    Example:
        >>> from rfcollapse.theory import flow
        >>> round(float(flow.retention_rule(0.1, 0.3)), 3)
        0.74
        >>> round(float(flow.retention_rule(4 * 0.1, 0.2)), 3)  # E He_4 at t = 0.1
        0.289
    """
    return jnp.where(rate > 0, real_fraction / (real_fraction + jnp.expm1(jnp.where(rate > 0, rate, 1.0))), 1.0)


@check.arguments
def required_fraction_for_rate(rate: Nonnegative, retention: Fraction) -> Float[Array, "..."]:
    """α = (e^r − 1) R/(1 − R), the real fraction that retains R of the variance.

    Args:
        rate: r ≥ 0, the log-variance lost in a round, at the level to be kept.
        retention: R = λ*/λ0 in [0, 1].

    Returns:
        α in [0, 1]; inf where even α = 1 does not do, R > e^(−r): the model itself loses more in its one round.

    Example:
        >>> from rfcollapse.theory import flow
        >>> round(float(flow.required_fraction_for_rate(0.1, 0.75)), 3)
        0.316
    """
    loss = jnp.where(retention < 1, 1 - retention, jnp.finfo(jnp.float64).tiny)
    fraction = jnp.expm1(rate) * retention / loss
    return jnp.where(fraction > 1 + ROUNDING, jnp.inf, jnp.minimum(fraction, 1.0))
