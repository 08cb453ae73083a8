"""Least squares refitted to its own predictions: labels are made anew, and only chance spoils them.

Round j draws T inputs, labels them with the last fit (round 1: the true coefficients w_0) and noise of variance σ², and
fits least squares to them ("replace") or to all pairs so far ("accumulate"). The normal equations of either are

    w_j = w_{j−1} + G_j⁻¹ X_jᵀ e_j,    G_j = X_jᵀX_j  or  Σ_{i≤j} X_iᵀX_i,

since the labels of earlier pairs are already in w_{j−1}: the rounds' errors add up, each with variance σ² G⁻¹XᵀX G⁻¹.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import check
from ..check import Count, Whole, choice
from ..schemes import SCHEDULES


@check.arguments
def mean_error(
    dimension: Count, samples: int, rounds: Whole, *, schedule: choice(SCHEDULES) = "replace", same_inputs: bool = False
) -> Float[Array, " rounds_and_one"]:
    """E(xᵀ(w_j − w_0))²/σ² at j = 0…rounds, x a new input: the error beside the noise of its own label.

    Exact for Gaussian inputs of any covariance:

    - replace: j d/(T − d − 1);
    - accumulate, fresh inputs: Σ_{i≤j} d/(i(iT − d − 1)), since given their sum G_i the cohorts XᵀX are alike, so that
      each is G_i/i on the mean;
    - accumulate, the same T inputs in every round: d/(T − d − 1) Σ_{i≤j} 1/i² → π²/6 of one round's. It bounds the
      fresh ones, and is their limit for T ≫ d.

    Source: replace is Dohmatob, Feng and Kempe, arXiv 2402.07712; the same inputs Gerstgrasser et al., arXiv 2404.01413
    (both quoted second-hand); fresh inputs are ours.

    Args:
        dimension: d ≥ 1.
        samples: T ≥ d + 2 a round; with fewer the mean is infinite.
        rounds: J ≥ 0.
        schedule: "replace" or "accumulate".
        same_inputs: the inputs of the first round in all of them; of no effect on the mean of "replace".

    Example:
        >>> from rfcollapse.theory import regression
        >>> regression.mean_error(5, 20, 3).round(3).tolist()
        [0.0, 0.357, 0.714, 1.071]
        >>> regression.mean_error(5, 20, 3, schedule="accumulate").round(3).tolist()
        [0.0, 0.357, 0.431, 0.462]
    """
    samples = check.integer("samples", samples, dimension + 2)
    cohorts = jnp.arange(1, rounds + 1, dtype=jnp.float64)
    if schedule == "replace":
        cohorts = jnp.ones_like(cohorts)
    spare = cohorts * (samples - dimension - 1) if same_inputs else cohorts * samples - dimension - 1
    return jnp.concatenate([jnp.zeros(1), jnp.cumsum(dimension / (cohorts * spare))])
