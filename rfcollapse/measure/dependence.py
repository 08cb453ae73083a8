"""How much less rows say than independent ones would: from their order, and from copies among them."""

import numpy as np
from jaxtyping import Float
from scipy import special

DOUBT = 1e-5  # chance that independent rows look dependent at one size of blocks
FEWEST_BLOCKS = 8


def design_effect(values: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " k"]:
    """n Var(x̄) over Var(x), ≥ 1: by how much rows that are like their neighbours widen the variance of a mean.

    Means of b rows in a row have the variance Var(x)/b where rows are independent. The largest b Var(x̄_b)/Var(x) over
    b = 2, 4, 8, …, n/8 is taken, of those beyond what chance gives (χ² law, and a slack for heavy tails), else 1: with
    few blocks rather too large than too small.
    Frames of a film, chains, clusters and copies that stand together are seen, and so is a sorted table, whose rows may
    be independent all the same: shuffled, it is 1.

    Source: method of batch means (Schmeiser 1982).

    Args:
        values: any features of the rows, in the order of the rows.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.measure.dependence import design_effect
        >>> frames = np.repeat(np.random.default_rng(0).standard_normal((100, 1)), 20, axis=0)
        >>> design_effect(frames).round()
        array([25.])
    """
    centred = values - values.mean(axis=0)
    spread, fourth = (centred**2).mean(axis=0), (centred**4).mean(axis=0)
    varies = spread > 0
    scale = np.where(varies, spread, 1.0)
    tails = -special.ndtri(DOUBT) * np.sqrt(np.maximum(fourth / scale**2 - 1, 0.0) / len(values))
    effect, size = np.ones(values.shape[1]), 2
    while (blocks := len(values) // size) >= FEWEST_BLOCKS:
        means = centred[: blocks * size].reshape(blocks, size, -1).mean(axis=1)
        ratio = size * means.var(axis=0, ddof=1) / scale
        chance = special.chdtri(blocks - 1, DOUBT) / (blocks - 1)
        effect = np.where(varies & (ratio > chance + tails), np.maximum(effect, ratio), effect)
        size *= 2
    return effect
