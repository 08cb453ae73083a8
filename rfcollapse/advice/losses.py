"""A denoiser's training losses as an instrument: what each round lost of its pool beside what it paid.

At its optimum a denoiser's fit pays exactly the variance that the pool loses when it is passed on with the noise of
training (`rfcollapse.theory.anydata.variance_after`), for any data and any network.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import special

from .. import check
from ..measure.rates import Interval
from ..theory.anydata import settled_fraction, variance_after
from .monitor import FALSE_ALARM, HORIZON
from .state import Round, State

Z, SURE = -special.ndtri([0.025, FALSE_ALARM / HORIZON / 2])
RISEN = 1.05  # over the least of a series, and rising twice running


class Account(NamedTuple):
    """What the last round lost and paid, of total variance. Intervals: 95 %, at least, see `account`."""

    pool: float
    """Total variance of what its model was fitted to: (1 − α)V + αV0 + α(1 − α)|x̄ − x̄0|², V of the round before."""
    paid: float
    """Its training loss L."""
    lost: Interval
    """What the pool has more than this round's samples."""
    scale_defect: Interval
    """κ = (lost − paid)/2."""
    fraction: Interval
    """L/(V0 − V), the real fraction at which this would be a settled level; inf where nothing is lost."""
    warnings: tuple[str, ...]
    """Where lost and paid differ for certain (in at most 5 % of series of 100 rounds by chance), or losses rise."""


def account(state: State, *, real_fraction: float = 0.0) -> Account:
    """Variance lost against loss paid, at the last round. The errors are those of independent rows, which is too much
    where a round's rows are those of the round before, passed on: a difference that shows is there.

    Args:
        state: whose last round came with its loss, see `monitor.add`.
        real_fraction: α of the pool that the last round's model was fitted to.

    Example:
        >>> from rfcollapse.advice import losses, monitor, samples
        >>> state = monitor.start(samples.open_samples("gaussian:9,4"))
        >>> state = monitor.add(state, samples.open_samples("gaussian:8.1,3.2"), loss=0.9 + 0.8)  # σ = 1: λ²/(λ + 1)
        >>> losses.account(state).warnings
        ()
    """
    alpha = float(check.fraction("real_fraction", real_fraction))
    known, last = state.reference, state.rounds[-1] if state.rounds else None
    if getattr(last, "loss", None) is None:
        raise ValueError("the last round must have its loss; give it to monitor.add")
    alpha, before = (alpha, state.rounds[-2]) if len(state.rounds) > 1 else (0.0, known)  # the first pool is real
    (real, real_error), (own, own_error), (variance, error) = map(_total, (known, before, last))
    pool = (1 - alpha) * own + alpha * real + alpha * (1 - alpha) * getattr(before, "shift", 0.0)
    doubt = math.hypot((1 - alpha) * own_error, alpha * real_error, error)
    surplus = float(variance_after(pool, last.loss)) - variance  # lost − paid
    gone = np.maximum(real - variance + np.array([0.0, Z, -Z]) * math.hypot(real_error, error), 0.0)
    fraction = np.where(gone > 0, settled_fraction(1 - gone / real, real, last.loss), math.inf)
    lost, ends = pool - variance, np.array([0.0, -Z, Z]) * doubt
    warnings = _surplus(surplus, lost, last.loss, len(known.mean)) if abs(surplus) > SURE * doubt else []
    series = [found.loss for found in state.rounds if found.loss is not None]
    if len(series) > 2 and series[-3] < series[-2] < series[-1] > RISEN * min(series):
        warnings.append(f"the loss rises, from {min(series):.4g} to {series[-1]:.4g}: the first sign that modes go")
    intervals = Interval(*lost + ends), Interval(*(surplus + ends) / 2), Interval(*fraction)
    return Account(pool, last.loss, *intervals, tuple(warnings))


def _total(found):
    """Total variance of a reference or round, and its standard error."""
    variance, rows = float(found.variances[-1]), found.count if isinstance(found, Round) else found.counts[-1]
    return variance, variance * math.sqrt(found.kurtosis[-1] / rows)


def _surplus(surplus, lost, paid, columns):
    why = "outputs too small (weight decay, too short a training), or other noise than in training"
    if surplus < 0:
        why = "outputs too large (fitted to the noise of the batches), or more real data than α says"
    elif abs(lost / columns - paid) < 0.2 * paid:
        why += f", or a loss that is a mean over the {columns} columns (--loss-mean)"
    return [f"{lost:.4g} lost, {paid:.4g} paid: κ {'<' if surplus < 0 else '>'} 0, {why}"]


def read_losses(words: Sequence[str], rounds: int) -> list[float]:
    """The losses of so many rounds, in order: numbers, or one file of JSON lines, each an object with a "loss".

    Where its lines have a "round", too, the last line of each round counts; others may lie between.

    Example:
        >>> from rfcollapse.advice import losses
        >>> losses.read_losses(["12.0", "8.2"], 2)
        [12.0, 8.2]
    """
    if len(words) == 1 and Path(words[0]).is_file():
        found = {}
        for number, line in enumerate(Path(words[0]).read_text().splitlines(), 1):
            try:
                entry = dict.copy(json.loads(line or "{}"))
                if "loss" in entry:
                    found[entry.get("round", number)] = entry["loss"]
            except (ValueError, TypeError):
                raise ValueError(f"{words[0]}, line {number}: not a JSON object") from None
        words = list(found.values())
    try:
        values = [float(word) for word in words]
    except (ValueError, TypeError) as error:
        raise ValueError(f"--loss: numbers, or one file of JSON lines; {error}") from None
    if len(values) != rounds or not all(0 <= value < math.inf for value in values):
        raise ValueError(f"--loss: one finite loss ≥ 0 is needed for each of {rounds} SAMPLES; got {values}")
    return values
