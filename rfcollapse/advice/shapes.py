"""What the shape of one's samples makes of the Gaussian law of a flow: direction by direction, as a curve.

The marginals of the leading principal directions are taken as if independent, the velocity as exact, as in
`theory.anydata.flow_rounds`. There the variance that is kept in the end with a fraction α of real data is computed for
a row of α, and set against the one that the Gaussian law keeps: kept = h(kept by the Gaussian law). h hardly depends on
the number of steps (from 20 to 40 by .5 % of itself for Laplace, exponential and uniform laws, 1 % for a Student law of
3 degrees of freedom, where more than a tenth is kept), so that 20 serve for more, and single rounds of more near 1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from tqdm import tqdm

from .. import check
from ..theory.anydata import Components, components, flow_round, flow_settled
from .retention import retained
from .samples import GROUPS, NULL, Samples, Spectrum

DIRECTIONS, SHARE = 32, 0.99  # directions whose shape counts: those that make up 99 % of the variance, 32 at most
ROWS = 65_536  # of which shapes are made: if there are more, every second, third, …
STEPS = 20  # Euler steps, at most
DOUBLINGS = 5  # of the steps, for what a single round of more of them keeps
POINTS, LEAST = 20, 0.1  # values of α, from 1 down to LEAST/N
FAR, TINY = 700.0, 1e-300  # ln of what is nothing beside 1; anything


class Shapes(NamedTuple):
    """The shapes of samples along their leading k principal directions, and h: straight lines between its points."""

    steps: int
    """N of h."""
    law: Components
    """(k, nodes), in units of the data."""
    without: Components
    """(groups, k, nodes): with one of up to 20 groups of rows left out."""
    log_fraction: Float[np.ndarray, " points"]
    """ln α, ascending to 0."""
    log_gaussian: Float[np.ndarray, "d points"]
    """ln of the share that the Gaussian law keeps with α, with α = 1 and more steps, and of the real data, ln 1."""
    log_kept: Float[np.ndarray, "d points"]
    """ln h of it; the same where the shape does not count, in directions beyond k."""

    def kept(self, gaussian: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
        """h(share that the Gaussian law keeps)."""
        return _between(self.log_gaussian, self.log_kept, gaussian)

    def gaussian(self, kept: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
        """The inverse of h."""
        return _between(self.log_kept, self.log_gaussian, kept)

    def shares_without(self, gaussian: Float[Array, " d"]) -> Float[Array, "groups k"]:
        """What is kept of the variance where a group of rows is left out, and α is such that the Gaussian law keeps so.

        Where no α keeps so much with N steps, logarithms are taken to change in proportion.
        """
        k = len(self.law.mean)
        at, levels = jax.vmap(jnp.interp, in_axes=(0, 0, None)), self.log_gaussian[:k, : len(self.log_fraction)]
        fraction = jnp.exp(at(jnp.log(jnp.maximum(gaussian[:k], TINY)), levels, self.log_fraction))
        whole = flow_settled(self.law, self.steps, fraction)
        part = jnp.log(self.kept(gaussian)[:k]) / jnp.log(whole.total / self.law.total)
        groups = tqdm(zip(*self.without), "interval", len(self.without.mean), delay=2, leave=False)
        kept = jnp.stack([flow_settled(Components(*one), self.steps, fraction, start=whole).total for one in groups])
        return jnp.exp(jnp.log(jnp.maximum(kept / self.real_without, TINY)) * part[None])

    @property
    def real_without(self) -> Float[np.ndarray, "groups k"]:
        """The variances where a group of rows is left out, not 0."""
        return np.maximum(self.without.total, NULL * self.law.total)


@check.in_float64
def shapes(samples: Samples, spectrum: Spectrum, mechanism) -> Shapes:
    """The shapes of the leading directions, smoothed as `theory.anydata.components` does it, and what is kept of each.

    Takes some seconds for 32 directions, and tells of its progress on stderr.

    Args:
        samples: the samples, to be gone through once.
        spectrum: theirs.
        mechanism: a `mechanisms.Flow`, the Gaussian law.

    Example:
        >>> from rfcollapse.advice import mechanisms, samples, shapes
        >>> table = samples.open_samples("gaussian:4")
        >>> found = shapes.shapes(table, samples.spectrum(table), mechanisms.Flow(3))
        >>> found.law.mean.shape, found.without.mean.shape
        ((1, 49), (20, 1, 49))
    """
    variances, kind, steps = spectrum.variances, type(mechanism), min(mechanism.steps, STEPS)
    k = min(DIRECTIONS, int(np.searchsorted(np.cumsum(variances) / variances.sum(), SHARE)) + 1, len(variances))
    rows = _projected(samples, spectrum, k)
    groups = min(GROUPS, len(rows))
    whole = rows[: len(rows) // groups * groups].reshape(-1, groups, k)  # of one size, so compiled once
    parts = [np.delete(whole, group, axis=1).reshape(-1, k) for group in range(groups)]
    parts = [components(np.sort(part, axis=0)) for part in parts]
    own = law = components(np.sort(rows, axis=0))
    fractions, levels = np.geomspace(LEAST / steps, 1.0, POINTS), [real := np.asarray(law.total)]
    for fraction in tqdm(fractions[::-1], "shapes", unit=" α", delay=2, leave=False):
        own = flow_settled(law, steps, fraction, start=own)
        levels.append(np.asarray(own.total))
    gaussian = [*np.asarray(retained(kind(steps), variances, fractions[:, None])), variances]
    for finer in (steps * 2**i for i in range(1, DOUBLINGS + 1) if steps * 2**i < 2 * mechanism.steps):
        levels.insert(1, np.asarray(flow_round(law, finer, real_fraction=1.0, real=law).total))
        gaussian.insert(-1, np.asarray(kind(finer).one_round(variances, 1.0, variances)))
    log_gaussian = np.log(np.stack(gaussian) / variances).T
    log_kept = np.concatenate([np.log(np.stack(levels[::-1]) / real).T, log_gaussian[k:]])
    without = Components(*(np.stack(x) for x in zip(*parts)))
    return Shapes(steps, law, without, np.log(fractions), log_gaussian, log_kept)


def _between(x, y, share):
    """The straight line between points of logarithms, for each direction, the last axis; below them in proportion."""
    x, y = (jnp.concatenate([points[:, :1] - FAR, points], axis=1) for points in (jnp.asarray(x), jnp.asarray(y)))
    log_share = jnp.log(jnp.maximum(share, TINY))
    return jnp.exp(jax.vmap(jnp.interp, in_axes=(-1, 0, 0), out_axes=-1)(log_share, x, y))


def _projected(samples, spectrum, k):
    """Rows along the leading directions, (n, k), thinned evenly where there are more than `ROWS`."""
    every, start, parts = -(-spectrum.count // ROWS), 0, []
    for chunk in samples():
        chosen = np.asarray(chunk, float)[-start % every :: every]
        parts.append((chosen - spectrum.mean) @ spectrum.directions[:, :k])
        start += len(chunk)
    return np.concatenate(parts)
