"""What is measured of somebody's own model in a round, on samples from the same noise in every round."""

from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..measure.coverage import coverage
from ..measure.moments import moments
from .integrate import Integrator, Rows
from .pairs import LOSS, Pairs, probe_noise
from .plan import Plan

DIRECTIONS = 32  # of the real data that are followed, at most
FEWEST, NEIGHBOURLY = 10, 64  # rows that are compared; d in which nearest neighbours are looked for, at most
TIMES, CHUNK = 8, 4096  # at which the loss is taken; rows in float64 at a time


class Round(NamedTuple):
    """One round, as far as it is measured; variances are about the mean, in the data's own units, squared."""

    index: int
    """0 for the first model."""
    variances: Float[np.ndarray, " k"]
    """Of generated samples along the k ≤ 32 largest principal directions of the real data."""
    law: Float[np.ndarray, " k"] | None
    """What the scheme's law says they are, from the measured first model on, for Gaussian data and a linear model; None
    where no ridge was declared, or there is no law."""
    share: float
    """Total variance over that of the real data."""
    one_step_share: float
    """The same in a single Euler step."""
    straightness: float
    """S of Liu et al. 2022, mean over paths; 0 is straight."""
    cost: float
    """c' = E|x1 − x0|² of generated pairs. In Reflow without input noise, for any data, c' = c − L − S where the model
    is the best there is (`rfcollapse.theory.anydata.cost_after`)."""
    pair_cost: float | None
    """c, that of the pairs that the model was trained on; None for a first model that was given."""
    loss: float | None
    """L = E|x1 − x0 − v(t, x_t)|² on these pairs, without input noise."""
    precision: float | None
    """Share of samples near real rows held out, see `rfcollapse.measure.coverage`; None for d > 64."""
    recall: float | None
    """Share of these rows near samples."""
    coverage: float | None
    """The same, robust to outliers."""
    alarms: tuple[str, ...] | None
    """Of the monitor, in words; None without it, or where there are fewer than 40 real rows to compare with."""
    seconds: float
    """That the round took, training included."""


class Reference(NamedTuple):
    """The real data, as far as rounds are compared with them."""

    directions: Float[np.ndarray, "d k"]
    """Principal directions of what is trained on, the largest variance first."""
    variances: Float[np.ndarray, " k"]
    """λ0 along these."""
    total: float
    """Σ λ0 of all directions."""
    held: Float[np.ndarray, "m d"]
    """Rows to compare with."""


def reference(train: Rows, held: Rows) -> Reference:
    """The reference of rows that are trained on and rows that are not; where there are none of these, of the former."""
    covariance = moments(flat(train[start : start + CHUNK]) for start in range(0, len(train), CHUNK)).covariance
    values, directions = np.linalg.eigh(covariance)
    if values[-1] <= 0:
        raise ValueError("data must vary; all rows are alike")
    values, directions = values[::-1][:DIRECTIONS], directions[:, ::-1][:, :DIRECTIONS]
    return Reference(directions, values, float(np.trace(covariance)), flat(held if len(held) else train))


def look(
    plan: Plan, integrator: Integrator, known: Reference, index: int, model: Any, pairs: Pairs | None, shape: tuple
) -> tuple[Round, Float[np.ndarray, "probes d"]]:
    """What is measured, with neither law nor alarms nor time yet, and the samples."""
    noise = probe_noise(plan, shape)
    x, action = noise, 0.0
    for h, following in zip(np.diff(integrator.times).tolist(), islice(integrator.path(model, noise), 1, None)):
        x, action = following, action + _square(following - x) / h
    cost = _square(x - noise)
    single = flat(noise + integrator.slope(model, 0.0, noise))
    rows, pair_cost, loss, near = flat(x), None, None, (None,) * 3
    if pairs is not None:
        some = plan.rng(index, LOSS).permutation(len(pairs.data))[: plan.probes]
        x0, x1 = pairs.noise[some], pairs.data[some]
        times = ((np.arange(TIMES) + 0.5) / TIMES).tolist()
        missed = (x1 - x0 - integrator.slope(model, t, x0 + t * (x1 - x0)) for t in times)
        pair_cost, loss = _square(x1 - x0), sum(map(_square, missed)) / TIMES
    if min(len(known.held), len(rows)) >= FEWEST and rows.shape[1] <= NEIGHBOURLY:
        count = min(len(known.held), len(rows))
        near = coverage(known.held[:count], rows[:count])
    share, one_step = (float(part.var(axis=0).sum() / known.total) for part in (rows, single))
    variances = (rows @ known.directions).var(axis=0)
    return Round(index, variances, None, share, one_step, action - cost, cost, pair_cost, loss, *near, None, 0.0), rows


def flat(rows: Rows) -> Float[np.ndarray, "n d"]:
    """Rows of any shape as vectors, in float64."""
    return rows.reshape(len(rows), -1).astype(np.float64)


def _square(rows):
    return float(np.square(flat(rows)).sum(axis=1).mean())
