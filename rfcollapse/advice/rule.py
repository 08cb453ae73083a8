"""The operating rule: how much real data the next round is to get, from what was measured so far, nothing else.

What it can and cannot do. Where more real data retain less and less (share concave in α), no schedule holds a share on
average with less real data than the constant fraction for it: the rule finds that constant, which nobody knows
beforehand, follows it when it changes, and saves what need not be given while the share is still on its way down.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from .. import check

SHARE_GAIN, RATE_GAIN = 0.3, 0.05  # how much of a surprise is believed about the share, and about the rate
APPROACH = 0.3  # of the way to the wanted share, to be gone in the next round


class Memory(NamedTuple):
    """What the rule remembers from one round to the next, for one run or an array of runs."""

    share: Float[np.ndarray, "..."]
    """Estimate of λ/λ0, smoother than the last measurement."""
    rate: Float[np.ndarray, "..."]
    """Estimate of r, the log-variance a round loses of its pool, at the present level."""
    fraction: Float[np.ndarray, "..."]
    """α of the round now to come."""


def next_fraction(
    measured: Float[np.ndarray, "..."] | float,
    memory: Memory | None,
    *,
    retain: float = 0.9,
    least: float = 0.0,
    most: float = 1.0,
    price: float | None = None,
) -> Memory:
    """α = (S' e^r − S)/(1 − S), cut to its limits: the real data that lead from share S to S' = S + .3 (R − S).

    The round ahead is taken as λ' = e^(−r)((1−α)λ + αλ0). Of the surprise ln(measured/predicted), .3 goes to S and −.05
    to r, so that r is always that of the level where the run is. At rest this is the rule α = (e^r − 1)R/(1 − R). Ours.

    Args:
        measured: λ/λ0 > 0 of the last round, e.g. `judge(state).share.value[-1]` of the monitor. What is above 1 counts
            as 1: the rule knows of loss only.
        memory: what the last call returned; None after the first round.
        retain: R in (0, 1), the share to hold.
        least, most: limits of α, 0 ≤ least ≤ most ≤ 1.
        price: Cn/V, the cost of a round of nothing but real data over the value of a round with all its variance.
            Given, the rule holds the share that is worth most, R = 1 − √((e^r − 1) Cn/V), instead of `retain`.

    Returns:
        The new memory; its `fraction` is the answer.

    Example:
        >>> from rfcollapse.advice import rule
        >>> memory = None
        >>> for share in (0.95, 0.92, 0.91):
        ...     memory = rule.next_fraction(share, memory)
        >>> print(f"{memory.fraction:.2f}")
        0.54
    """
    measured = np.minimum(check.positive("measured", measured), 1.0)
    limits = {"retain": retain, "least": least, "most": most}
    retain, least, most = (float(check.fraction(*named)) for named in limits.items())
    if least > most:
        raise ValueError(f"least must be at most {most}, the largest fraction allowed; got {least}")
    if memory is None:
        share, rate = measured, -np.log(measured)  # round 0 was real data alone
    else:
        predicted = np.exp(-memory.rate) * ((1 - memory.fraction) * memory.share + memory.fraction)
        surprise = np.log(measured / predicted)
        share = np.minimum(predicted * np.exp(SHARE_GAIN * surprise), 1.0)
        rate = np.maximum(memory.rate - RATE_GAIN * surprise, 0.0)
    goal = retain
    if price is not None:
        goal = np.maximum(1 - np.sqrt(np.expm1(rate) * float(check.nonnegative("price", price))), 0.0)
    wanted = share + APPROACH * (goal - share)
    fraction = (wanted * np.exp(rate) - share) / np.maximum(1 - share, 1e-9)
    return Memory(share, rate, np.clip(fraction, least, most))
