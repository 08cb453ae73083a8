"""Is self-training losing variance or modes, how fast, what to do: round by round, against a reference of real data.

All is measured in standard deviations of the reference's columns, so that units do not matter: variances and means
along the principal directions of the correlations and in every single column, the variance in all directions beyond
these together and in total, how many rows lie in the middle half of each column, and the share of real points that have
samples near. Directions are chosen on one half of the reference and their levels taken from the other (none looks
larger than it is merely because it was chosen); the halves depend on the rows' content, not on their order. Every round
is compared with real data of its own size.
"""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special
from scipy.spatial.distance import cdist

from .. import check
from ..measure.moments import moments
from ..measure.rates import Interval, rate_interval, variance_ratio_interval
from ..output import percent
from .follow import FEWEST, POINTS, Lens, Powers, follow, limits
from .rows import RowHashes, discrete
from .samples import NULL, Reservoir
from .state import Reference, Round, State

if TYPE_CHECKING:  # loading it takes JAX
    from .mechanisms import Mechanism

TRACKED, TRACKED_SHARE = 32, 0.99  # directions followed: those that make up 99 % of the correlations, 32 at most
NEIGHBOURS = 5  # for coverage
WINDOW, TREND_WINDOW = 8, 20  # latest rounds that a rate is taken from, and the test for a trend
FALSE_ALARM, HORIZON = 0.05, 100  # chance of any alarm in 100 healthy rounds
LOOK = FALSE_ALARM / HORIZON / 6  # in a round, for each of level, mean, middle and coverage
FALL, GROWTH = 0.9 * LOOK, 0.1 * LOOK  # the trend's third, for each of its two series
COVERAGE_TOLERANCE = 0.05  # by which coverage may be less than that of real data
HALVED = 0.5  # of the share outside the middle half, or inside, that a healthy column keeps
HAIR = 1e-6  # of a number: what float32 makes of equal ones
TAILED = 5.0  # kurtosis − 1, from which on variance comes from a few rows: it may be small by their absence
DEAD, TINY = 1e-30, 1e-300  # of the reference's variance; of anything
SQUARED = 1e-8  # squared relative errors are no smaller
STEADY, LIGHT = 0.25, 10.0  # relative error, at most, of a column's variance in the reference; kurtosis − 1 that may be
RELIED = 0.5  # of the total: a round that could not show this loss says nothing
MEMORISED = 0.05  # of the reference's rows found again: worth a word


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
    settles: Interval | None
    """The share of the total that the real fraction in use leads to, by the rule of thumb; None before a rate is."""
    visible: float
    """The share of the total variance that would have been an alarm, had this round shown it."""


def start(chunks: Callable[[], Iterator], name: str = "reference") -> State:
    """A state without rounds, in three passes through the real data.

    Args:
        chunks: of the real data, at least 40 rows, see `samples.open_samples`.
        name: where they come from.

    Example:
        >>> from rfcollapse.advice import monitor, samples
        >>> state = monitor.start(samples.open_samples("gaussian:9,4"))
        >>> state.reference.spectrum.round(1)
        array([9.2, 4. ])
        >>> state.reference.scale.round(1)
        array([3., 2.])
    """
    names, hashes, some = getattr(chunks, "names", None), RowHashes(), Reservoir(4 * POINTS)
    count, mean, covariance = moments(some.passing(hashes.passing(chunks())))
    deviation = np.sqrt(np.diag(covariance))
    varies = deviation > 1e-12 * np.abs(mean)
    if not varies.any():
        raise ValueError(f"{name}: no column varies; the reference must be real data with some variance")
    few, empty = discrete(some.rows[:POINTS]), np.zeros((varies.sum(), 0))
    blind = Lens(mean, np.where(varies, deviation, 0.0), np.zeros(0, bool), empty, empty.T, False, few, names)
    chosen, powers = hashes.halves(together=not few and hashes.multiplicity()[1] > 1), Powers()
    if min(chosen.sum(), (~chosen).sum()) < FEWEST:
        raise ValueError(f"{name}: too few rows, {count}; {2 * FEWEST} that differ are needed in the reference")
    half = moments(part for part in _parts(chunks(), blind, chosen, powers) if len(part)).covariance
    steady = powers.moments()[2] <= max(STEADY**2 * count, LIGHT)
    if not steady.any():
        raise ValueError(f"{name}: every column's variance rests on a few rows; more rows are needed, or no outliers")
    values, directions = np.linalg.eigh(half * np.outer(steady, steady))
    values, directions = values[::-1], directions[:, ::-1]
    enough = int(np.searchsorted(np.cumsum(values) / values.sum(), TRACKED_SHARE)) + 1
    there = int((values > NULL * values[0]).sum())
    directions = np.ascontiguousarray(directions[:, : min(enough, TRACKED, there)])
    body = blind.standardised(some.rows)
    edges = np.quantile(body, [0.25, 0.5, 0.75], axis=0)
    hair = HAIR * np.abs(edges + mean[varies] / deviation[varies])
    middle = np.stack([edges[0] - hair[0], edges[2] + hair[2]])
    rest = there > directions.shape[1]
    lens = blind._replace(steady=steady, directions=directions, middle=middle, rest=rest)
    seen = follow(chunks(), lens, name, hashes, ~chosen, 2 * POINTS)
    level = seen.level._replace(variances=np.maximum(seen.level.variances, DEAD))
    points, control = seen.sample[: len(seen.sample) // 2], seen.sample[len(seen.sample) // 2 :]
    nearest = min(NEIGHBOURS, len(points) - 1)
    radii = np.partition(cdist(points, points), nearest, axis=1)[:, nearest] * (1 + HAIR) + HAIR  # nearest: itself
    spectrum = np.linalg.eigvalsh(covariance)[::-1]
    return State(
        Reference(
            name=name,
            digest=hashes.digest,
            columns=names,
            mean=mean,
            scale=lens.scale,
            steady=steady,
            directions=directions,
            middle=middle,
            rest=rest,
            common=(np.abs(body - edges[1]) <= hair[1]).mean(axis=0),
            spectrum=spectrum[spectrum > NULL * spectrum[0]],
            level=level,
            points=points,
            radii=radii,
            control=control,
            sketch=hashes.sketch,
            discrete=few,
            notes=(*seen.notes, *limits(name, lens, some.rows)),
        ),
        (),
    )


def _parts(chunks, lens, chosen, powers):
    """The chosen rows, standardised; the powers are those of all."""
    row = 0
    for chunk in chunks:
        z = lens.standardised(chunk)
        powers.add(z)
        yield z[chosen[row : row + len(z)]]
        row += len(z)


def add(state: State, chunks: Callable[[], Iterator], name: str = "samples", *, loss: float | None = None) -> State:
    """The state with one more round, in one pass through its rows; the same rows once more are no new round.

    Args:
        state: of the rounds before.
        chunks: of the round, at least 20 rows, with the columns of the reference.
        name: where they come from.
        loss: ≥ 0, of the denoiser that made them, per sample, summed over the columns: for `losses.account`.

    Example:
        >>> from rfcollapse.advice import monitor, samples
        >>> state = monitor.start(samples.open_samples("gaussian:9,4"))
        >>> state = monitor.add(state, samples.open_samples("gaussian:9,4"))
        >>> state.rounds[0].level.count
        8192
    """
    latest = look(state, chunks, name, loss=loss)
    known = any(found.digest == latest.digest for found in state.rounds)
    return state if known else state._replace(rounds=(*state.rounds, latest))


def look(state: State, chunks: Callable[[], Iterator], name: str = "samples", *, loss: float | None = None) -> Round:
    """What `add` adds.

    Args:
        state, chunks, name, loss: as there.

    Example:
        >>> from rfcollapse.advice import monitor, samples
        >>> state = monitor.start(samples.open_samples("gaussian:9,4"))
        >>> monitor.look(state, samples.open_samples("gaussian:9,4")).level.inside.round(1)
        array([0.5, 0.5])
    """
    known, names, hashes = state.reference, getattr(chunks, "names", None), RowHashes()
    loss = loss if loss is None else float(check.nonnegative("loss", loss))
    if names and known.columns and tuple(names) != tuple(known.columns):
        listed = " and ".join(", ".join(map(str, some))[:60] for some in (names, known.columns))
        raise ValueError(f"{name}: its columns must be the reference's, in that order (columns=…); got {listed}")
    lens = Lens(*(getattr(known, field) for field in Lens._fields))
    seen = follow(hashes.passing(chunks()), lens, name, hashes)
    notes, again = seen.notes, 0.0 if known.discrete else hashes.share_of(known.sketch)
    if again > MEMORISED:
        notes = (*notes, f"{name}: {again:.0%} of the reference's rows are among these: memorised, or given along")
    level = seen.level._replace(variances=np.maximum(seen.level.variances, DEAD * known.level.variances))
    effects = [float(np.max(x.count / np.append(x.rows, x.mean_rows))) for x in (level, known.level)]
    covered = _covered(known, seen.sample, *effects)
    return Round(name, hashes.digest, level, *covered, seen.shift, notes, loss)


def _covered(known, sample, effect, known_effect):
    """Coverage of the reference's points by a sample; by how much as many real rows cover more; the error of that."""
    size = min(len(sample), len(known.control))
    within = [cdist(known.points, rows[:size]) <= known.radii[:, None] for rows in (sample, known.control)]
    hits = [near.sum(axis=1) for near in within]
    # What each row covers that no other does: rows of both kinds, over the same points.
    alone = [(near[hit == 1] / len(hit)).sum(axis=0) for near, hit in zip(within, hits)]
    squared = effect * (alone[0] ** 2).sum() + known_effect * (alone[1] ** 2).sum()
    covered, expected = (float(np.mean(hit > 0)) for hit in hits)
    # Few rows may by chance cover nothing alone: as if one in √(size · points) did.
    return covered, expected - covered, math.sqrt(squared + 4 / (size * len(known.points)))


def judge(
    state: State, *, retain: float = 0.9, real_fraction: float = 0.0, mechanism: "Mechanism | None" = None
) -> Verdict:
    """The verdict at the last round. Alarms, together in at most 5 % of healthy series of 100 rounds (trend: a third):

    - level: the variance of a direction, of all others together, of a column, or the total surely is less than R of the
      reference's, or more than 1/R of it (F test);
    - mean: along a direction or in a column, surely more than √(1−R) standard deviations from the reference's (the
      square of a shift adds to a second moment what R takes from it);
    - middle: the share of rows outside the middle half of a column, or inside it, surely has halved: what goes on in a
      column whose variance rests on a few far rows;
    - trend: the total, or the mean log-variance of the directions, surely falls (`rate_interval` over 20 rounds), and
      not to a level above R that the real fraction in use leads to; or rises, from above the reference's;
    - coverage: surely more than 5 % points below that of as many real rows, on the same real points.

    Healthy: none of these borders passed. The chances of a false alarm are shared equally among the entries of each
    kind. The kurtosis behind an error is the larger of round's and reference's, rows count as far as they are
    independent (`measure.dependence`, and copies).

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
        'level: surely less than 90% of the variance in 2 directions, 2 columns and the total; direction 2 has 9.9%'
    """
    if not state.rounds:
        raise ValueError("there must be at least one round to judge")
    retain = float(check.fraction("retain", retain))
    if not 0 < retain < 1:
        raise ValueError(f"retain must lie between 0 and 1; got {retain:g}")
    real_fraction = float(check.fraction("real_fraction", real_fraction))
    known, last = state.reference, state.rounds[-1]
    followed = np.append(np.arange(known.directions.shape[1]), len(known.level.variances) - 1)
    ratios = np.array([found.level.variances for found in state.rounds]) / known.level.variances
    squared = squared_errors(state)
    own = np.maximum(last.level.kurtosis, known.level.kurtosis) / known.level.rows
    freedom, reference_freedom = 2 / squared[-1], 2 / np.maximum(own, SQUARED)
    every = variance_ratio_interval(ratios[-1], freedom, reference_freedom)
    share = Interval(*(end[followed] for end in every))
    alarms = [
        *_levels(known, last.level, freedom, reference_freedom, retain),
        *_means(known, last.level, retain),
        *_middles(known, last.level),
    ]
    rate = settles = None
    if len(state.rounds) >= 3:
        logs = np.log(ratios[-TREND_WINDOW:])[:, followed]
        errors = np.sqrt(squared[-TREND_WINDOW:])[:, followed]
        rate, _ = rate_interval(logs[-WINDOW:], errors[-WINDOW:])
        settles = _settled(share.value[-1], Interval(*(end[-1] for end in rate)), real_fraction)
        alarms += _trends(logs, errors, share, retain, real_fraction)
    slack = -special.ndtri(LOOK) * last.uncovered_error
    if last.uncovered > COVERAGE_TOLERANCE + slack:
        real = last.uncovered + last.coverage
        alarms.append(f"coverage: {last.coverage:.1%} of the real points are covered, {real:.1%} by as many real rows")
    seen = retain * special.fdtri(freedom[-1], reference_freedom[-1], LOOK / 2 / known.judged.sum())
    fractions = _advice(known, share, rate, retain, real_fraction, mechanism)
    left = _rounds_left(share, rate, retain)
    return Verdict(len(state.rounds), tuple(alarms), share, rate, left, *fractions, settles, float(seen))


def squared_errors(state: State) -> np.ndarray:
    """(rounds, k + p + 1): squared relative errors of variances, by the heavier tails of the round and the reference.

    Args:
        state: with at least one round.

    Example:
        >>> from rfcollapse.advice import monitor, samples
        >>> state = monitor.start(samples.open_samples("gaussian:9,4"))
        >>> state = monitor.add(state, samples.open_samples("gaussian:9,4"))
        >>> monitor.squared_errors(state).shape  # of two directions, two columns, and the total
        (1, 5)
    """
    known = state.reference.level.kurtosis
    levels = [found.level for found in state.rounds]
    return np.maximum([np.maximum(level.kurtosis, known) / level.rows for level in levels], SQUARED)


def _levels(known, level, freedom, reference_freedom, retain):
    chance = np.where(known.judged, LOOK / 2 / known.judged.sum(), 0.0)
    ratios, trimmed = level.variances / known.level.variances, level.trimmed / known.level.variances
    low = special.fdtr(freedom, reference_freedom, ratios / retain)
    # Variance that comes from a few rows is a count of them: Poisson's law, and none at all where one value is common.
    count = 1 / (1 / freedom + 1 / reference_freedom) / 2
    few = special.gammaincc(ratios / retain * count + 1, count)
    low = np.where(np.maximum(level.kurtosis, known.level.kurtosis) > TAILED, np.maximum(low, few), low)
    together = [known.common.max(initial=0.0)] * (known.rest + 1)
    alike = np.concatenate([np.zeros(known.directions.shape[1]), known.common, together]) ** level.count
    low = np.where(ratios <= DEAD, np.maximum(low, alike), low)
    high = special.fdtrc(freedom, reference_freedom, trimmed * retain)
    less, more = f"less than {retain:.0%}", f"more than {1 / retain:.0%}"
    for doubt, words, extreme in ((low, less, np.argmin), (high, more, np.argmax)):
        found = np.flatnonzero(doubt < chance)
        if len(found):
            entry = found[extreme(ratios[found])]
            where = f"{_entries(known, found)}; {known.entry(entry)} has {percent(ratios[entry])}"
            yield f"level: surely {words} of the variance in {where}"


def _means(known, level, retain):
    entries, border = len(known.level.mean), math.sqrt(1 - retain)
    judged, real = known.judged[:entries], known.level.variances[:entries]
    variance = np.maximum(level.variances[:entries] / real, 1.0)
    parts = np.stack([variance / level.mean_rows, variance / known.level.mean_rows])
    rows = np.maximum(np.stack([level.mean_rows, known.level.mean_rows]) - 1, 1)
    away = np.abs(level.mean - known.level.mean) / np.sqrt(real)
    freedom = parts.sum(axis=0) ** 2 / (parts**2 / rows).sum(axis=0)  # Welch
    doubt = special.stdtr(freedom, (border - away) / np.sqrt(parts.sum(axis=0)))
    found = np.flatnonzero(judged & (doubt < LOOK / judged.sum()))
    if len(found):
        entry = found[np.argmax(away[found])]
        where = f"{_entries(known, found)}; {known.entry(entry)} by {away[entry]:.2f}"
        yield f"mean: surely moved by more than {border:.2f} standard deviations in {where}"


def _middles(known, level):
    k, p = len(known.level.mean) - len(level.inside), len(level.inside)
    rows = level.mean_rows[k:]
    for here, real, words in (
        (1 - level.inside, 1 - known.level.inside, "outside"),
        (level.inside, known.level.inside, "inside"),
    ):
        # Binomial, against half of what the reference has at the least.
        least = np.maximum(real - 3 * np.sqrt(real * (1 - real) / known.level.mean_rows[k:]), 0.0)
        doubt = special.betaincc(here * rows + 1, (1 - here) * rows + TINY, HALVED * least)
        found = np.flatnonzero(doubt < LOOK / 2 / max(p, 1))
        if len(found):
            i = found[np.argmin(here[found] / real[found])]
            where = f"{_entries(known, k + found)}; {known.entry(k + i)} has {here[i]:.1%}, real rows {real[i]:.1%}"
            yield f"middle: surely half the rows {words} the middle half of the real ones, or fewer, in {where}"


def _trends(logs, errors, share, retain, real_fraction):
    series = np.stack([logs[:, :-1].mean(axis=1), logs[:, -1]], axis=1)
    average = np.sqrt((errors[:, :-1] ** 2).sum(axis=1)) / (logs.shape[1] - 1)
    trend, doubt = rate_interval(series, np.stack([average, errors[:, -1]], axis=1))
    shares = np.exp(series[-1, 0]), share.value[-1]
    for i, what in enumerate(("variance of the directions, on average", "total variance")):
        speed = f"the {what}, by {abs(trend.value[i]):.2%} a round over {len(logs)} rounds"
        leads = _settled(shares[i], Interval(*(end[i] for end in trend)), real_fraction)
        if doubt[i] < FALL and leads.high < retain:
            yield f"trend: a sure fall of {speed}"
        if 1 - doubt[i] < GROWTH and share.low[-1] > 1:
            yield f"trend: a sure growth of {speed}"


def _settled(share, rate, real_fraction):
    """The share that the rule of thumb says α leads to: α/(α + e^r − 1), r with what α hides."""
    own = np.array([rate.value, rate.high, rate.low]) + math.log1p(real_fraction * (1 / share - 1))
    loss = np.expm1(np.maximum(own, 0.0))  # the fastest leads to the lowest level
    return Interval(*np.where(loss > 0, real_fraction / np.maximum(real_fraction + loss, TINY), 1.0))


def _entries(known, found):
    """How many of the followed are meant, in words."""
    k, p = known.directions.shape[1], len(known.level.inside)
    kinds = ((found < k, "direction"), ((found >= k) & (found < k + p), "column"))
    words = [f"{n} {kind}{'s' * (n > 1)}" for which, kind in kinds if (n := int(which.sum()))]
    words += [known.entry(index) for index in found[found >= k + p]]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _rounds_left(share, rate, retain):
    def rounds(part, speed):
        margin = max(math.log(part[-1] / retain), 0.0)
        return 0.0 if margin == 0 else math.inf if speed is None or speed[-1] <= 0 else margin / speed[-1]

    ends = (share.value, rate and rate.value), (share.low, rate and rate.high), (share.high, rate and rate.low)
    return Interval(*(np.asarray(rounds(*end)) for end in ends))


def _advice(known, share, rate, retain, real_fraction, mechanism):
    if mechanism is not None:
        from . import mechanisms

        total = float(mechanisms.required_fraction(mechanism, known.spectrum, retain))
        return total, float(np.max(mechanisms.required_fraction(mechanism, known.spectrum, retain, total=False)))
    if rate is None:
        return None, None
    own = np.maximum(rate.high + np.log1p(real_fraction * (1 / share.low - 1)), 0.0)
    fractions = np.expm1(own) * retain / (1 - retain)  # theory.flow.required_fraction_for_rate, without JAX
    fractions = np.where(fractions > 1, math.inf, fractions)
    return float(fractions[-1]), float(fractions.max())
