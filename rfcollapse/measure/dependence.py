"""How much less rows say than independent ones would: from their order, and from copies among them."""

import numpy as np
from jaxtyping import Float
from scipy import special

DOUBT = 1e-5  # chance that independent rows look dependent at one size of blocks
SUSPECTED = 0.02  # that of features of rows that are dependent in another feature
FEWEST_BLOCKS = 8


def design_effect(
    values: Float[np.ndarray, "n k"], *, size: int = 1, spread: Float[np.ndarray, " k"] | None = None
) -> Float[np.ndarray, " k"]:
    """n Var(x̄) over Var(x), ≥ 1: by how much rows that are like their neighbours widen the variance of a mean.

    Means of b rows in a row have the variance Var(x)/b where rows are independent. The largest b Var(x̄_b)/Var(x) over
    b = 2, 4, 8, …, n/8 is taken, and (1 + r)/(1 − r) of the correlation r of neighbours, which few rows show sooner; of
    those beyond what chance gives (χ² law with a slack for heavy tails, and √n r), else 1. Frames of a film, chains,
    clusters and copies that stand together are seen, and so is a sorted table, whose rows may be independent all the
    same: shuffled, it is 1. What changes over less than a few such blocks is underrated.

    Source: method of batch means (Schmeiser 1982); the effect of a chain (Bartlett 1946).

    Args:
        values: any features of the rows, in the order of the rows; or their means over blocks of rows.
        size: b ≥ 1, rows in such a block.
        spread: Var(x) of single rows, where values are means.

    Example:
        >>> import numpy as np
        >>> from rfcollapse.measure.dependence import design_effect
        >>> frames = np.repeat(np.random.default_rng(0).standard_normal((100, 1)), 20, axis=0)
        >>> design_effect(frames) > 20, design_effect(np.random.default_rng(0).standard_normal((2000, 1)))
        (array([ True]), array([1.]))
    """
    if len(values) < FEWEST_BLOCKS:
        return np.ones(values.shape[1])
    centred = values - values.mean(axis=0)
    squares = centred**2
    own, fourth = squares.mean(axis=0), (squares**2).mean(axis=0)
    varies = own > 0
    safe = np.where(varies, own, 1.0)
    spread = safe if spread is None else np.where(spread > 0, spread, np.inf)
    z = -special.ndtri(DOUBT)
    tails = z * np.sqrt(np.maximum(fourth / safe**2 - 1, 0.0) / len(values))
    body = np.clip(centred, -3 * safe**0.5, 3 * safe**0.5)  # two far rows side by side are chance
    body = body - body.mean(axis=0)
    alike = (body[1:] * body[:-1]).mean(axis=0) / np.maximum((body**2).mean(axis=0), 1e-300)
    chain = (1 + alike) / (1 - np.minimum(alike, 0.999))
    # Rows that are a chain in one feature are one in the others, where less will do to see it.
    sure = alike * len(values) ** 0.5
    chained = sure > (z if sure.max() <= z else -special.ndtri(SUSPECTED))
    effect = np.where(varies & chained & (size == 1), np.maximum(chain, 1.0), 1.0)
    grouped = 1 if size > 1 else 2
    while (blocks := len(values) // grouped) >= FEWEST_BLOCKS:
        means = centred[: blocks * grouped].reshape(blocks, grouped, -1).mean(axis=1)
        ratio = size * grouped * means.var(axis=0, ddof=1) / spread
        chance = special.chdtri(blocks - 1, DOUBT) / (blocks - 1)
        effect = np.where(varies & (ratio > chance + tails), np.maximum(effect, ratio), effect)
        grouped *= 2
    return effect
