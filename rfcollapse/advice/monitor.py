"""Is self-training losing variance or modes, how fast, what to do: round by round, against a reference of real data.

The reference gives directions (principal ones of every other row) and levels along them (from the remaining rows, so
that no direction looks larger than it is merely because it was chosen); its total variance is that of all rows. Every
round is measured along the same directions.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np
from scipy import special
from scipy.spatial.distance import cdist

from .. import check
from ..measure.moments import moments, power_sums
from ..measure.rates import Interval, rate_interval, variance_ratio_interval
from ..theory.flow import required_fraction_for_rate
from . import mechanisms
from .samples import NULL, Reservoir
from .state import Reference, Round, State

FEWEST = 20  # rows behind levels; the reference has half of its own there
TRACKED, TRACKED_SHARE = 32, 0.99  # directions followed: those that make up 99 % of the variance, 32 at most
POINTS, NEIGHBOURS = 1000, 5  # for coverage
WINDOW, TREND_WINDOW = 8, 20  # latest rounds that a rate is taken from, and the test for a trend
FALSE_ALARM, HORIZON = 0.05, 100  # chance of any alarm in 100 healthy rounds
COVERAGE_TOLERANCE = 0.05  # by which coverage may differ between rounds of a healthy series
DEAD = 1e-30  # of the reference's variance
REQUIRED = jax.jit(required_fraction_for_rate)  # called each round


class Verdict(NamedTuple):
    """What a series of rounds says at its last one. Of k + 1 entries the last is for the total variance."""

    round: int
    """The number of rounds seen."""
    alarms: tuple[str, ...]
    """Why this round is alarming, in words; empty if it is not."""
    share: Interval
    """λ/λ0, variance over that of the reference, (k + 1)."""
    rate: Interval | None
    """Log-variance lost in a round, over the last 8 rounds, (k + 1); None before the third round."""
    rounds_left: Interval
    """Until the share of the total variance is R, if its rate stays; infinite where no decay is certain."""
    fraction: float | None
    """Real fraction to use from now on for R of the total variance; inf if none does, None if no rate is known yet."""
    fraction_each: float | None
    """The same for every tracked direction."""


def start(chunks: Callable[[], Iterator], name: str = "reference") -> State:
    """A state without rounds.

    Args:
        chunks: of the real data, at least 40 rows, see `samples.open_samples`.
        name: where they come from.

    Example:
        >>> from rfcollapse.advice import monitor, samples
        >>> state = monitor.start(samples.open_samples("gaussian:9,4"))
        >>> state.reference.variances.round(1)  # along two directions, and in total
        array([ 9.4,  4. , 13.2])
    """
    half, mean, covariance = moments(chunk[::2] for chunk in chunks())
    values, directions = np.linalg.eigh(covariance)
    values, directions = values[::-1], directions[:, ::-1]
    if not values[0] > 0:
        raise ValueError(f"{name}: no column varies; the reference must be real data with some variance")
    enough = int(np.searchsorted(np.cumsum(values) / values.sum(), TRACKED_SHARE)) + 1
    directions = np.ascontiguousarray(directions[:, : min(enough, TRACKED, int((values > NULL * values[0]).sum()))])
    count, variances, kurtosis, points, _ = _followed((chunk[1::2] for chunk in chunks()), mean, directions, name)
    distances = cdist(points, points)
    radii = np.partition(distances, NEIGHBOURS, axis=1)[:, NEIGHBOURS]  # the nearest is the point itself
    variances[-1] = (count * variances[-1] + half * values.sum()) / (count + half)
    counts = np.append(np.full(len(variances) - 1, float(count)), count + half)
    return State(Reference(name, mean, directions, counts, variances, kurtosis, points, radii), ())


def add(state: State, chunks: Callable[[], Iterator], name: str = "samples", *, loss: float | None = None) -> State:
    """The state with one more round.

    Args:
        state: of the rounds before.
        chunks: of the round, at least 20 rows, with the columns of the reference.
        name: where they come from.
        loss: ≥ 0, of the denoiser that made them, per sample, summed over the columns: for `losses.account`.

    Example:
        >>> from rfcollapse.advice import monitor, samples
        >>> state = monitor.start(samples.open_samples("gaussian:9,4"))
        >>> state = monitor.add(state, samples.open_samples("gaussian:9,4"))
        >>> state.rounds[0].count
        8192
    """
    known = state.reference
    loss = loss if loss is None else float(check.nonnegative("loss", loss))
    count, variances, kurtosis, points, shift = _followed(chunks(), known.mean, known.directions, name)
    within = cdist(known.points, points) <= known.radii[:, None]
    hits = within.sum(axis=1)
    alone = within[hits == 1].sum(axis=0) / len(hits)  # what each sample covers that no other does
    i = np.arange(1, NEIGHBOURS + 1)
    expected = 1 - np.prod((len(hits) - i) / (len(hits) + len(points) - i))
    variances = np.maximum(variances, DEAD * known.variances)
    covered, error = float(np.mean(hits > 0)), float(np.sqrt((alone**2).sum()))
    latest = Round(name, count, variances, kurtosis, covered, error, float(expected), float(shift), loss)
    return state._replace(rounds=(*state.rounds, latest))


def _followed(chunks, mean, directions, name):
    """Rows, central variances and (κ − 1) along directions and in total, up to 1000 rows, |x̄ − mean|²; in one pass."""
    chosen = Reservoir(POINTS)
    sums = power_sums(chosen.passing(_of_width(chunks, len(mean), name)), mean, directions, order=4, norm=True)
    count = int(sums.counts[0])
    if count < FEWEST:
        raise ValueError(f"{name}: too few rows; at least {FEWEST} are needed, {2 * FEWEST} in the reference")
    first, second, third, fourth = sums.along[:, 0] / count
    shift, square, fourth_power = sums.norm[:, 0] / [count**2, count, count]
    variances = second - first**2
    central = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
    safe = np.where(variances > 0, variances, 1.0)
    kurtosis = np.append(np.where(variances > 0, central / safe**2 - 1, 0.0), fourth_power / square**2 - 1)
    variances = np.append(variances, square - shift)
    return count, np.maximum(variances, 0.0), np.maximum(kurtosis, 0.0), (chosen.rows - mean) @ directions, shift


def _of_width(chunks, width, name):
    for chunk in chunks:
        if chunk.shape[1] != width:
            raise ValueError(f"{name}: {chunk.shape[1]} columns, the reference has {width}; they must agree")
        yield chunk


def judge(
    state: State, *, retain: float = 0.9, real_fraction: float = 0.0, mechanism: mechanisms.Mechanism | None = None
) -> Verdict:
    """The verdict at the last round. Alarms, together in at most 5 % of healthy series of 100 rounds (a third each):

    - level: a tracked direction, or the total, has surely less than R of the reference's variance (F test);
    - trend: the total, or the mean log-variance of the directions, surely falls (`rate_interval` over 20 rounds);
    - coverage: surely more than 5 % points below the first round's, on the same 1000 real points.

    Healthy: at least R in every direction, no drift, coverage within 5 % points. A third of .0005 a round is shared by
    the k + 1 level tests, a third by the two trends. The kurtosis behind an error is the larger of round's and
    reference's.

    Args:
        state: with at least one round.
        retain: R in (0, 1).
        real_fraction: α used in these rounds, which hides a part of the rate: r = net rate + ln(1−α + αλ0/λ).
        mechanism: whose law gives the fraction to use; None: the rule α = (e^r − 1)R/(1 − R), r the upper end of the
            total's interval. A rate belongs to its level: measure again near R.

    Example:
        >>> from rfcollapse.advice import monitor, samples
        >>> state = monitor.start(samples.open_samples("gaussian:9,4"))
        >>> state = monitor.add(state, samples.open_samples("gaussian:0.9,0.4"))
        >>> monitor.judge(state).alarms[0]
        'level: direction 1 has 9.8% of its variance, below 90%'
    """
    if not state.rounds:
        raise ValueError("there must be at least one round to judge")
    retain = float(check.fraction("retain", retain))
    real_fraction = float(check.fraction("real_fraction", real_fraction))
    known, last = state.reference, state.rounds[-1]
    look = FALSE_ALARM / HORIZON / 3
    reference_freedom = 2 * known.counts / np.maximum(known.kurtosis, 1e-6)
    ratios = np.array([found.variances for found in state.rounds]) / known.variances
    squared = squared_errors(state)
    share = variance_ratio_interval(ratios[-1], 2 / squared[-1], reference_freedom)
    alarms = []
    doubt = special.fdtr(2 / squared[-1], reference_freedom, ratios[-1] / retain)
    for i in np.flatnonzero(doubt < look / len(doubt)):
        alarms.append(f"level: {_direction(i, doubt)} has {ratios[-1, i]:.1%} of its variance, below {retain:.0%}")
    rate = None
    if len(state.rounds) >= 3:
        logs, errors = np.log(ratios[-TREND_WINDOW:]), np.sqrt(squared[-TREND_WINDOW:])
        rate, _ = rate_interval(logs[-WINDOW:], errors[-WINDOW:])
        series = np.stack([logs[:, -1], logs[:, :-1].mean(axis=1)], axis=1)
        average = np.sqrt((errors[:, :-1] ** 2).sum(axis=1)) / (logs.shape[1] - 1)
        trend, doubt = rate_interval(series, np.stack([errors[:, -1], average], axis=1))
        for i, what in enumerate(("the total variance falls", "the directions' variances fall on average")):
            if doubt[i] < look / 2:
                alarms.append(f"trend: {what} by {trend.value[i]:.2%} a round over {len(logs)} rounds")
    first = state.rounds[0]
    slack = -special.ndtri(look) * math.hypot(first.coverage_error, last.coverage_error)
    if first.coverage - last.coverage > COVERAGE_TOLERANCE + slack:
        alarms.append(f"coverage: {last.coverage:.1%} of the real points are covered, {first.coverage:.1%} at first")
    fractions = _advice(known, share, rate, retain, real_fraction, mechanism)
    return Verdict(len(state.rounds), tuple(alarms), share, rate, _rounds_left(share, rate, retain), *fractions)


def squared_errors(state: State) -> np.ndarray:
    """(rounds, k + 1): squared relative errors of variances, by the heavier tails of the round and the reference.

    Args:
        state: with at least one round.

    Example:
        >>> from rfcollapse.advice import monitor, samples
        >>> state = monitor.start(samples.open_samples("gaussian:9,4"))
        >>> state = monitor.add(state, samples.open_samples("gaussian:9,4"))
        >>> monitor.squared_errors(state).shape  # of two directions, and the total
        (1, 3)
    """
    known = state.reference.kurtosis
    return np.maximum([np.maximum(found.kurtosis, known) / found.count for found in state.rounds], 1e-12)


def _direction(i, entries):
    return "the total" if i == len(entries) - 1 else f"direction {i + 1}"


def _rounds_left(share, rate, retain):
    def rounds(part, speed):
        margin = max(math.log(part[-1] / retain), 0.0)
        return 0.0 if margin == 0 else math.inf if speed is None or speed[-1] <= 0 else margin / speed[-1]

    ends = (share.value, rate and rate.value), (share.low, rate and rate.high), (share.high, rate and rate.low)
    return Interval(*(np.asarray(rounds(*end)) for end in ends))


def _advice(known, share, rate, retain, real_fraction, mechanism):
    if mechanism is not None:
        real = known.variances[:-1]
        total = float(mechanisms.required_fraction(mechanism, real, retain))
        return total, float(np.max(mechanisms.required_fraction(mechanism, real, retain, total=False)))
    if rate is None:
        return None, None
    own = np.maximum(rate.high + np.log1p(real_fraction * (1 / share.low - 1)), 0.0)
    fractions = np.asarray(REQUIRED(own, retain))
    return float(fractions[-1]), float(fractions.max())
