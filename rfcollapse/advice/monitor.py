"""Is self-training losing variance or modes, how fast, what to do: round by round, against a reference of real data.

The reference gives directions (principal ones of every other row) and levels along them (from the remaining rows, so
that no direction looks larger than it is merely because it was chosen); its total variance is that of all rows. Every
round is measured along the same directions.
"""

import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special, stats
from scipy.spatial.distance import cdist

from .. import check
from ..data import DATA_HELP
from ..measure.distances import moments
from ..output import plain
from ..theory.flow import required_fraction_for_rate
from . import mechanisms
from .budget import add_mechanism, mechanism_of
from .samples import NULL, open_samples

VERSION = 1  # of the state file
FEWEST = 20  # rows behind levels; the reference has half of its own there
TRACKED, TRACKED_SHARE = 32, 0.99  # directions followed: those that make up 99 % of the variance, 32 at most
POINTS, NEIGHBOURS = 1000, 5  # for coverage
WINDOW, TREND_WINDOW = 8, 20  # latest rounds that a rate is taken from, and the test for a trend
FALSE_ALARM, HORIZON = 0.05, 100  # chance of any alarm in 100 healthy rounds
COVERAGE_TOLERANCE = 0.05  # by which coverage may differ between rounds of a healthy series
CONFIDENCE = 0.95
DEAD = 1e-30  # of the reference's variance
SCATTERS = 64  # values of the scatter between rounds that are averaged over


class Reference(NamedTuple):
    """Real data, as far as the monitor needs them."""

    name: str
    """Where they came from."""
    mean: Float[np.ndarray, " columns"]
    """Their mean."""
    directions: Float[np.ndarray, "columns k"]
    """Unit vectors, largest variance first."""
    counts: Float[np.ndarray, " k_and_1"]
    """Rows behind each variance."""
    variances: Float[np.ndarray, " k_and_1"]
    """Along the directions, and in total."""
    kurtosis: Float[np.ndarray, " k_and_1"]
    """n × the squared relative error of each variance: fourth moment over squared variance − 1, 2 if Gaussian."""
    points: Float[np.ndarray, "points k"]
    """Some rows along the directions."""
    radii: Float[np.ndarray, " points"]
    """Distance of each to its 5th neighbour among them."""


class Round(NamedTuple):
    """One round's samples, as far as the monitor needs them."""

    name: str
    """Where they came from."""
    count: int
    """Rows."""
    variances: Float[np.ndarray, " k_and_1"]
    """Along the reference's directions, and in total."""
    kurtosis: Float[np.ndarray, " k_and_1"]
    """As in `Reference`."""
    coverage: float
    """Share of the reference's points with some of 1000 samples within their radius."""
    coverage_error: float
    """An upper estimate of its standard error (Efron and Stein: jackknife over the samples)."""
    coverage_expected: float
    """What samples of the reference's own law would reach on average, whatever the law (Naeem et al. 2020)."""


class State(NamedTuple):
    """All that is remembered from round to round."""

    reference: Reference
    """The real data."""
    rounds: tuple[Round, ...]
    """In order."""


class Interval(NamedTuple):
    """An estimate with its 95 % interval."""

    value: Float[np.ndarray, "..."]
    """The estimate."""
    low: Float[np.ndarray, "..."]
    """Lower end."""
    high: Float[np.ndarray, "..."]
    """Upper end."""


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
    """A state without rounds. chunks: of the real data, see `samples.open_samples`.

    ValueError for fewer than 40 rows, or where nothing varies.
    """
    half, mean, covariance = moments(chunk[::2] for chunk in chunks())
    values, directions = np.linalg.eigh(np.asarray(covariance))
    values, directions, mean = values[::-1], directions[:, ::-1], np.asarray(mean)
    if not values[0] > 0:
        raise ValueError(f"{name}: no column varies; the reference must be real data with some variance")
    enough = int(np.searchsorted(np.cumsum(values) / values.sum(), TRACKED_SHARE)) + 1
    directions = np.ascontiguousarray(directions[:, : min(enough, TRACKED, int((values > NULL * values[0]).sum()))])
    count, variances, kurtosis, points = _moments((chunk[1::2] for chunk in chunks()), mean, directions, name)
    distances = cdist(points, points)
    radii = np.partition(distances, NEIGHBOURS, axis=1)[:, NEIGHBOURS]  # the nearest is the point itself
    variances[-1] = (count * variances[-1] + half * values.sum()) / (count + half)
    counts = np.append(np.full(len(variances) - 1, float(count)), count + half)
    return State(Reference(name, mean, directions, counts, variances, kurtosis, points, radii), ())


def add(state: State, chunks: Callable[[], Iterator], name: str = "samples") -> State:
    """The state with one more round. ValueError for fewer than 20 rows or another number of columns."""
    known = state.reference
    count, variances, kurtosis, points = _moments(chunks(), known.mean, known.directions, name)
    within = cdist(known.points, points) <= known.radii[:, None]
    hits = within.sum(axis=1)
    alone = within[hits == 1].sum(axis=0) / len(hits)  # what each sample covers that no other does
    i = np.arange(1, NEIGHBOURS + 1)
    expected = 1 - np.prod((len(hits) - i) / (len(hits) + len(points) - i))
    variances = np.maximum(variances, DEAD * known.variances)
    found = Round(
        name, count, variances, kurtosis, float(np.mean(hits > 0)), float(np.sqrt((alone**2).sum())), float(expected)
    )
    return state._replace(rounds=(*state.rounds, found))


def _moments(chunks, mean, directions, name):
    """Rows, central variances and (κ − 1) along directions and in total, and up to 1000 rows, in one pass."""
    generator = np.random.default_rng(0)
    count, powers, total, shift = 0, np.zeros((4, directions.shape[1])), np.zeros(2), np.zeros(len(mean))
    kept, keys = np.zeros((0, directions.shape[1])), np.zeros(0)
    for chunk in chunks:
        if chunk.shape[1] != len(mean):
            raise ValueError(f"{name}: {chunk.shape[1]} columns, the reference has {len(mean)}; they must agree")
        centred = chunk - mean
        along, squares = centred @ directions, np.einsum("ij,ij->i", centred, centred)
        count += len(chunk)
        shift += centred.sum(axis=0)
        total += squares.sum(), (squares**2).sum()
        power = along
        for k in range(4):
            powers[k] += power.sum(axis=0)
            power = power * along
        kept, keys = np.concatenate([kept, along]), np.concatenate([keys, generator.random(len(along))])
        if len(keys) > POINTS:  # those with the least random keys: each row has the same chance
            chosen = np.argpartition(keys, POINTS)[:POINTS]
            kept, keys = kept[chosen], keys[chosen]
    if count < FEWEST:
        raise ValueError(f"{name}: too few rows; at least {FEWEST} are needed, {2 * FEWEST} in the reference")
    first, second, third, fourth = powers / count
    variances = second - first**2
    central = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
    spread = (total[1] / count) / (total[0] / count) ** 2 - 1
    variances = np.append(variances, total[0] / count - np.sum((shift / count) ** 2))
    safe = np.where(variances[:-1] > 0, variances[:-1], 1.0)
    kurtosis = np.append(np.where(variances[:-1] > 0, central / safe**2 - 1, 0.0), spread)
    return count, np.maximum(variances, 0.0), np.maximum(kurtosis, 0.0), kept


def rate_interval(
    logs: Float[np.ndarray, "rounds series"],
    errors: Float[np.ndarray, "rounds series"],
    *,
    confidence: float = CONFIDENCE,
) -> tuple[Interval, Float[np.ndarray, " series"]]:
    """The rate r of ln λ_{j+1} = ln λ_j − r + τξ_j, seen with sampling errors e_j: interval, and Pr(r ≤ 0).

    τ, the scatter that training itself adds and hands on, is unknown: for every τ, r has a normal law by generalised
    least squares on the changes; they are mixed with weights restricted likelihood × τ/√((τ² + e²)(τ² + 4e²)). Where
    sampling is exact this is Student's interval. The 4 was chosen in simulation: 95 % intervals over 4 to 8 rounds then
    miss in at most 5 % at any τ/e, in far less below τ = e, also where the scatter is not handed on. Source: ours.

    logs: ln λ, (rounds ≥ 3, any number of series). errors: e > 0, standard errors of the logs.
    """
    change = np.diff(logs, axis=0).T
    squared = (errors**2).T
    m = change.shape[1]
    noise = np.zeros((*change.shape, m))
    np.einsum("sii->si", noise)[:] = squared[:, 1:] + squared[:, :-1]
    np.einsum("sii->si", noise[:, 1:, :-1])[:] = np.einsum("sii->si", noise[:, :-1, 1:])[:] = -squared[:, 1:-1]
    typical = np.sqrt(squared.mean(axis=1))
    longest = np.arcsinh(100 * (np.abs(change).max(axis=1) / typical + 1))
    # τ = e sinh t: the factor 1/√(τ² + e²) is flat in t
    relative = np.sinh(longest[:, None] * (np.arange(SCATTERS) + 0.5) / SCATTERS)
    tau = typical[:, None] * relative
    covariance = noise[:, None] + tau[:, :, None, None] ** 2 * np.eye(m)
    both = np.stack([np.ones_like(change), change], axis=-1)[:, None]
    solved = np.linalg.solve(covariance, np.broadcast_to(both, (*tau.shape, m, 2)))
    (a, b), (_, c) = np.moveaxis(np.swapaxes(both, -1, -2) @ solved, (-2, -1), (0, 1))
    log_weight = -0.5 * (np.linalg.slogdet(covariance)[1] + np.log(a) + c - b**2 / a)
    weight = special.softmax(log_weight + np.log(relative / np.hypot(relative, 2)), axis=1)
    centre, spread = -b / a, 1 / np.sqrt(a)

    def below(x):
        return (weight * special.ndtr((x[:, None] - centre) / spread)).sum(axis=1)

    def quantile(p):
        low, high = (centre - 40 * spread).min(axis=1), (centre + 40 * spread).max(axis=1)
        for _ in range(45):  # to 10⁻⁹ of the narrowest spread
            middle = (low + high) / 2
            under = below(middle) < p
            low, high = np.where(under, middle, low), np.where(under, high, middle)
        return low

    tail = (1 - confidence) / 2
    value = (weight * centre).sum(axis=1)
    return Interval(value, quantile(tail), quantile(1 - tail)), below(np.zeros(len(value)))


def share_interval(ratio, freedom, reference_freedom, confidence=CONFIDENCE) -> Interval:
    """λ/λ0 from the ratio of sample variances, taken as F-distributed with ν = 2/(squared relative error) each."""
    tail = (1 - confidence) / 2
    low, high = (special.fdtri(freedom, reference_freedom, p) for p in (tail, 1 - tail))  # quicker than stats.f
    return Interval(ratio, ratio / high, ratio / low)


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

    Raises:
        ValueError: no round, or an argument outside its range.
    """
    if not state.rounds:
        raise ValueError("there must be at least one round to judge")
    retain, real_fraction = (
        float(check.fraction(*named)) for named in (("retain", retain), ("real_fraction", real_fraction))
    )
    known, last = state.reference, state.rounds[-1]
    look = FALSE_ALARM / HORIZON / 3
    reference_freedom = 2 * known.counts / np.maximum(known.kurtosis, 1e-6)
    ratios = np.array([found.variances for found in state.rounds]) / known.variances
    squared = np.array([np.maximum(found.kurtosis, known.kurtosis) / found.count for found in state.rounds])
    squared = np.maximum(squared, 1e-12)
    share = share_interval(ratios[-1], 2 / squared[-1], reference_freedom)
    alarms = []
    doubt = special.fdtr(2 / squared[-1], reference_freedom, ratios[-1] / retain)
    for i in np.flatnonzero(doubt < look / len(doubt)):
        alarms.append(f"level: {_direction(i, doubt)} has {ratios[-1, i]:.1%} of its variance, below {retain:.0%}")
    rate = None
    if len(state.rounds) >= 3:
        logs, errors = np.log(ratios[-TREND_WINDOW:]), np.sqrt(squared[-TREND_WINDOW:])
        rate, _ = rate_interval(logs[-WINDOW:], errors[-WINDOW:])
        series = np.stack([logs[:, -1], logs[:, :-1].mean(axis=1)], axis=1)
        k = logs.shape[1] - 1
        noise = np.stack([errors[:, -1], np.sqrt((errors[:, :-1] ** 2).sum(axis=1)) / k], axis=1)
        trend, doubt = rate_interval(series, noise)
        for i, what in enumerate(("the total variance falls", "the directions' variances fall on average")):
            if doubt[i] < look / 2:
                alarms.append(f"trend: {what} by {trend.value[i]:.2%} a round over {len(logs)} rounds")
    first = state.rounds[0]
    slack = stats.norm.isf(look) * math.hypot(first.coverage_error, last.coverage_error)
    if first.coverage - last.coverage > COVERAGE_TOLERANCE + slack:
        alarms.append(f"coverage: {last.coverage:.1%} of the real points are covered, {first.coverage:.1%} at first")
    fractions = _advice(known, share, rate, retain, real_fraction, mechanism)
    return Verdict(len(state.rounds), tuple(alarms), share, rate, _rounds_left(share, rate, retain), *fractions)


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
    fractions = np.asarray(required_fraction_for_rate(own, retain))
    return float(fractions[-1]), float(fractions.max())


def save(state: State, path: str | Path):
    """Writes the state as JSON, whole or not at all."""
    path = Path(path)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    beside.write_text(json.dumps({"version": VERSION, **plain(state)}))
    os.replace(beside, path)


def load(path: str | Path) -> State:
    """Reads what `save` wrote. ValueError for anything else."""
    try:
        kept = json.loads(Path(path).read_text())
        version = kept.pop("version")
        if version == VERSION:
            reference = Reference(**_arrays(kept["reference"]))
            return State(reference, tuple(Round(**_arrays(found)) for found in kept["rounds"]))
    except (UnicodeDecodeError, json.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a monitor's state ({' '.join(str(error).split())[:80]})") from None
    raise ValueError(f"{path}: a state of version {version}, this program reads {VERSION}; start a new one")


def _arrays(kept):
    return {key: np.array(item) if isinstance(item, list) else item for key, item in kept.items()}


def add_options(command):
    """The options of `rfcollapse monitor`."""
    command.add_argument("rounds", nargs="+", metavar="SAMPLES", help=f"one for each round, in order: {DATA_HELP}")
    command.add_argument("--reference", metavar="REAL", help="real data, likewise; not needed with a state")
    command.add_argument("--state", metavar="FILE", help="continue from this file, and write it (JSON)")
    command.add_argument("--retain", type=float, default=0.9, metavar="R", help="share of variance to keep (.9)")
    command.add_argument("--real-fraction", type=float, default=0.0, metavar="A", help="α in use (0)")
    add_mechanism(command)
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, and nothing else")


def command(options) -> int:
    """`rfcollapse monitor`: prints verdicts; returns 2 if one of the rounds given now is alarming, else 0."""
    mechanism = mechanism_of(options)
    if options.state and Path(options.state).exists():
        state = load(options.state)
        if options.reference and options.reference != state.reference.name:
            raise ValueError(f"{options.state} was begun with {state.reference.name}, not {options.reference}")
    elif options.reference:
        state = start(open_samples(options.reference), options.reference)
    else:
        raise ValueError("--reference REAL is needed" + (f": {options.state} does not exist" if options.state else ""))
    settings = {"retain": options.retain, "real_fraction": options.real_fraction, "mechanism": mechanism}
    verdicts = []
    for name in options.rounds:
        state = add(state, open_samples(name), name)
        verdicts.append(judge(state, **settings))
    if options.state:
        save(state, options.state)
    alarming = any(verdict.alarms for verdict in verdicts)
    if options.json:
        rounds = [plain(verdict) for verdict in verdicts]
        print(json.dumps({"alarm": alarming, "rounds": rounds, "coverage": [x.coverage for x in state.rounds]}))
    else:
        print(_text(state, verdicts, options.retain, mechanism))
    return 2 if alarming else 0


def _text(state, verdicts, retain, mechanism):
    known, last = state.reference, verdicts[-1]
    lines = [
        f"reference {known.name}: {len(known.mean)} columns, {known.directions.shape[1]} directions followed",
        f"{'round':>5}  {'total kept':>10}  {'95 %':>15}  {'poorest direction':>17}  {'coverage':>8}",
    ]
    for verdict, found in zip(verdicts, state.rounds[-len(verdicts) :]):
        share = verdict.share
        ends = f"{share.low[-1]:.1%} to {share.high[-1]:.1%}"
        poorest = share.value[:-1].min()
        lines.append(
            f"{verdict.round:>5}  {share.value[-1]:>10.1%}  {ends:>15}  {poorest:>17.1%}  {found.coverage:>8.1%}"
        )
        lines += [f"       ALARM {alarm}" for alarm in verdict.alarms]
    if last.rate is None:
        return "\n".join([*lines, "A rate needs three rounds."])
    rate, left = last.rate, last.rounds_left
    fastest = int(np.argmax(rate.low[:-1]))
    used = min(len(state.rounds), WINDOW)
    lines += [
        f"decay per round, last {used} rounds: total {rate.value[-1]:.2%} ({rate.low[-1]:.2%} to {rate.high[-1]:.2%}), "
        f"direction {fastest + 1} {rate.value[fastest]:.2%} ({rate.low[fastest]:.2%} to {rate.high[fastest]:.2%})",
        f"rounds until {retain:.0%} of the total is left: {left.value:.3g} ({left.low:.3g} to {left.high:.3g}), if the "
        "rate stays; collapse usually speeds up as variance is lost",
    ]
    why = f"the law of {mechanism.name}" if mechanism else "the upper end of the rate; measure it again near that level"
    each = "none does" if math.isinf(last.fraction_each) else f"{last.fraction_each:.3g}"
    total = "none does" if math.isinf(last.fraction) else f"{last.fraction:.3g}"
    lines.append(f"real fraction that keeps {retain:.0%}: {total} (every direction followed: {each}), by {why}")
    lines.append("ALARM" if last.alarms else "healthy")
    return "\n".join(lines)
