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
from .monitor import FALSE_ALARM, HORIZON, SQUARED
from .state import State

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
    fraction: Interval | None
    """The α at which lost would be paid; at a settled level L/(V0 − V). None where V is too near V0 to say."""
    warnings: tuple[str, ...]
    """Where lost and paid differ for certain (in at most 5 % of series of 100 rounds by chance), or losses rise."""


def account(state: State, *, real_fraction: float = 0.0) -> Account:
    """Variance lost against loss paid, at the last round.

    The errors are those of independent rows, and of real ones drawn into the pool. Where a round's rows are those of
    the round before, passed on, they are too large: a difference that shows is there.

    Args:
        state: whose last round came with its loss, see `monitor.add`.
        real_fraction: α of the pool that the last round's model was fitted to; the first round's was real.

    Example:
        >>> from rfcollapse.advice import losses, monitor, samples
        >>> state = monitor.start(samples.open_samples("gaussian:9,4"))
        >>> state = monitor.add(state, samples.open_samples("gaussian:8.1,3.2"), loss=0.9 + 0.8)  # σ = 1: λ²/(λ + 1)
        >>> losses.account(state).warnings
        ()
    """
    alpha = float(check.fraction("real_fraction", real_fraction))
    known, rounds = state.reference, state.rounds
    if not rounds or rounds[-1].loss is None:
        raise ValueError("the last round must have its loss; give it to monitor.add")
    alpha, shift = (alpha, rounds[-2].shift) if len(rounds) > 1 else (0.0, 0.0)
    levels = [found.level for found in (known, *rounds)]
    levels = [levels[place] for place in (0, -2, -1)]  # real data, the round before (the first's is the real), the last
    real, own, variance = totals = np.array([level.total for level in levels])
    rows = np.array([level.rows[-1] for level in levels])
    kurtosis = np.maximum([level.total_kurtosis for level in levels], known.level.total_kurtosis)
    relative = np.maximum(kurtosis / rows, SQUARED)
    squares, loss = relative * totals**2, rounds[-1].loss
    pool = (1 - alpha) * own + alpha * real + alpha * (1 - alpha) * shift
    drawn = alpha * (squares * rows)[:2] @ [1.0, 1 - alpha] / rows[2]  # by which rows the pool takes
    doubt = math.sqrt(np.array([alpha, 1 - alpha, 1.0]) ** 2 @ squares + drawn)
    surplus = pool - loss - variance  # lost − paid; theory.anydata.variance_after, without JAX
    lost, ends = pool - variance, np.array([0.0, -Z, Z]) * doubt
    gap, gap_error = real - own + (1 - 2 * alpha) * shift, math.sqrt(squares[0] + squares[1])
    fraction = Interval(*(alpha - (surplus - ends) / gap)) if gap > SURE * gap_error else None
    warnings = _surplus(surplus, lost, loss, pool, len(known.mean)) if abs(surplus) > SURE * doubt else []
    series = [found.loss for found in rounds[-3:]]
    if len(series) == 3 and None not in series and series[0] < series[1] < loss and variance < rounds[-3].level.total:
        least = min(found.loss for found in rounds if found.loss is not None)
        if loss > RISEN * least:
            warnings.append(f"the loss rises while variance falls, from {least:.4g} to {loss:.4g}: modes may be going")
    return Account(pool, loss, Interval(*lost + ends), Interval(*(surplus + ends) / 2), fraction, tuple(warnings))


def _surplus(surplus, lost, paid, pool, columns):
    why = "outputs too small (weight decay, too short a training), less noise than in training, or not this pool's rows"
    if paid > pool:
        why = "a loss above the pool's variance, so not one per sample, summed over the columns, in the data's units"
    elif surplus < 0:
        why = "outputs too large (fitted to the noise of the batches), a loss from before the end, or more real data"
    elif columns > 1 and abs(lost / columns - paid) < 0.2 * paid:
        why += f"; or a loss that is a mean over the {columns} columns (--loss-mean)"
    return [f"{lost:.4g} lost, {paid:.4g} paid: κ {'<' if surplus < 0 else '>'} 0, {why}"]


def read_losses(words: Sequence[str], rounds: int, known: int = 0) -> list[float]:
    """The losses of so many rounds: numbers in order, or one file of JSON lines, objects with a "loss".

    Lines with a "round", a whole number, are put in its order, and the last of each counts; without, they are in order.
    Others may lie between.

    Args:
        words: of the command line.
        rounds: how many are wanted.
        known: rounds before them, whose losses a file may hold, too.

    Example:
        >>> from rfcollapse.advice import losses
        >>> losses.read_losses(["12.0", "8.2"], 2)
        [12.0, 8.2]
    """
    single = len(words) == 1 and math.isnan(_number(words[0]))
    values = _logged(Path(words[0])) if single else [_number(word) for word in words]
    values = values[known:] if len(values) == known + rounds else values
    if len(values) != rounds or not all(0 <= value < math.inf for value in values):
        said = f"{words[0]} with {values}" if single else ", ".join(words)
        raise ValueError(f"--loss: one finite number ≥ 0 is needed for each of {rounds} SAMPLES, or a log; got {said}")
    return values


def _number(value):
    """As a float; NaN where it is none."""
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (ValueError, TypeError, OverflowError):
        return math.nan


def _logged(path):
    """The loss of each line that has one, or the last of each round."""
    if not path.is_file():
        raise ValueError(f"--loss: {path} is neither a number nor a file")
    found = []
    for number, line in enumerate(path.read_text().split("\n"), 1):
        try:
            entry = json.loads(line) if line.strip() else {}
        except (ValueError, RecursionError):
            entry = None
        if not isinstance(entry, dict):
            raise ValueError(f"{path}, line {number}: not a JSON object")
        if "loss" in entry:
            found.append((entry.get("round"), _number(entry["loss"])))
    named = [place for place, _ in found if type(place) is int]
    if named and len(named) < len(found):
        raise ValueError(f'{path}: lines with a loss must all have a "round", a whole number, or none of them')
    return [value for _, value in sorted(dict(found).items())] if named else [value for _, value in found]
