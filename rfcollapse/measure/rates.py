"""How fast a series decays, in which way, when it passes a level, and how well that is known.

A series is a table (seeds, rounds + 1, …) of positive numbers, one independent run a row, round 0 first. Runs are the
unit of chance: every interval is Student's over runs, none rests on independence between rounds.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Integer, Real
from scipy import optimize, stats

from .. import check

PATHS = ("typical", "mean")
REGIMES = ("geometric", "linear", "doubly exponential", "plateau")
DECISIVE = 6.0  # difference in BIC, odds of about 20 to 1


class Estimate(NamedTuple):
    """A mean over independent runs."""

    value: Float[Array, "*rest"]
    """x̄, the mean over runs."""
    standard_error: Float[Array, "*rest"]
    """s/√n, s² the unbiased variance over runs."""
    n: int
    """The number of runs."""


class DecayRate(NamedTuple):
    """Log decay per round, positive where the series falls."""

    rate: Float[Array, "*rest"]
    """Minus the least-squares slope of the log against the round."""
    standard_error: Float[Array, "*rest"]
    """Over runs; for the mean path by the jackknife."""
    low: Float[Array, "*rest"]
    """Lower end of Student's interval."""
    high: Float[Array, "*rest"]
    """Upper end of Student's interval."""
    n: int
    """The number of runs."""


class Regime(NamedTuple):
    """The law of decay that fits a series best."""

    name: str
    """One of `REGIMES`."""
    decided: bool
    """Whether it leads its rivals by `DECISIVE` or more, by the rule of `regime`."""
    parameter: float
    """Geometric: log decay a round. Linear: round at which the line meets zero. Doubly exponential and plateau: the
    factor on the log change from one round to the next."""
    scores: Float[Array, "4"]
    """BIC of each law in the order of `REGIMES`, the smaller the better."""


class Lifetime(NamedTuple):
    """First rounds at or below a level."""

    rounds: Float[Array, " seeds"]
    """Of each run; inf where it has not come by the last round."""
    censored: int
    """The number of such runs."""
    mean: Float[Array, ""]
    """Mean over runs; inf with any run censored."""
    low: Float[Array, ""]
    """Lower end of Student's interval for the mean; a censored run counts as one round more than was seen."""
    high: Float[Array, ""]
    """Upper end; inf with any run censored."""
    median: Float[Array, ""]
    """Median over runs, sound while fewer than half are censored."""
    median_low: Float[Array, ""]
    """Lower end of the interval for the median, from order statistics, so for any law; 0 with too few runs."""
    median_high: Float[Array, ""]
    """Its upper end; inf with too few runs."""


class Interval(NamedTuple):
    """A confidence interval."""

    low: Float[Array, "*shape"]
    """Lower end."""
    high: Float[Array, "*shape"]
    """Upper end."""


def mean_and_error(values: Real[ArrayLike, "n *rest"]) -> Estimate:
    """x̄ and s/√n over the first axis. values: n ≥ 2 independent runs, finite, else ValueError."""
    values = _runs("values", check.real("values", values))
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return Estimate(jnp.asarray(values.mean(axis=0)), jnp.asarray(error), len(values))


def decay_rate(
    series: Real[ArrayLike, "seeds rounds_and_one *rest"],
    *,
    path: str = "typical",
    confidence: float = 0.99,
    logs: bool = False,
) -> DecayRate:
    """−slope of ln x against the round: mean over runs of each run's slope ("typical"), or slope of ln x̄ ("mean").

    The two differ wherever runs drift apart: the mean path is carried by the rare high runs, and where the spread of
    ln x is above √(2 ln seeds) or so, no longer by any that was drawn. Its error is the jackknife's, over runs, and
    blind to that.

    Args:
        series: positive, (seeds ≥ 2, rounds + 1 ≥ 2, …).
        path: "typical" or "mean".
        confidence: of the interval, in [0, 1).
        logs: the series is ln x already (any real numbers), as for directions that have died beyond floating point.

    Raises:
        ValueError: a value not positive and finite (logs: not finite), too few runs or rounds, an unknown path.
    """
    check.one_of("path", path, PATHS)
    log_series = _log_series(series, logs, 2)
    n, length = log_series.shape[:2]
    centred = np.arange(length) - (length - 1) / 2
    weights = -centred / (centred**2).sum()
    if path == "typical":
        rates = np.tensordot(log_series, weights, axes=(1, 0))
        rate, error, _ = mean_and_error(rates)
        rate, error = np.asarray(rate), np.asarray(error)
    else:
        # Sums over all runs but one from cumulative sums on both sides of it: no subtraction, so no cancellation.
        before = np.logaddexp.accumulate(log_series, axis=0)
        after = np.logaddexp.accumulate(log_series[::-1], axis=0)[::-1]
        others = np.concatenate([after[1:2], np.logaddexp(before[:-2], after[2:]), before[-2:-1]])
        rate = np.tensordot(before[-1], weights, axes=(0, 0))
        rates = np.tensordot(others, weights, axes=(1, 0))
        error = (n - 1) * rates.std(axis=0, ddof=1) / np.sqrt(n)
    slack = _slack(confidence, n) * error
    return DecayRate(*map(jnp.asarray, (rate, error, rate - slack, rate + slack)), n)


def regime(series: Real[ArrayLike, "seeds rounds_and_one"], *, logs: bool = False) -> Regime:
    """Which law the typical path exp(mean ln x) follows, judged by its log changes d_j = mean of ln x_{j+1} − ln x_j:

    - geometric: d_j = −r, the same factor every round;
    - linear: x falls by a constant, d_j = ln(1 − 1/(T − j)) with x zero at round T;
    - doubly exponential: d_j = −b q^j with q > 1, a line in the logarithm of the logarithm;
    - plateau: the same with q < 1, slowing down towards a level (a power law, which slows for ever, reads so too).

    The rule: least squares on d_j, BIC = m ln(RSS/m + (10⁻⁶ rms d)²) + k ln m with m rounds, k = 1, 1, 2, 2 parameters.
    The smallest wins, but the last two laws contain the geometric one (q = 1) and replace it only with a lead of 6. The
    law is decided if it leads by 6 all others, the geometric one if it so leads the linear one. Changes, not levels,
    because the noise of a process that feeds on its own output adds up over rounds. A series that has barely moved fits
    every law: not decided. A path may pass through several regimes; pass the rounds in question. Source: ours.

    Args:
        series: positive, (seeds ≥ 1, rounds + 1 ≥ 6).
        logs: the series is ln x already.

    Raises:
        ValueError: a value not positive and finite (logs: not finite), or fewer than 5 rounds.
    """
    log_series = _log_series(series, logs, 6, runs=1)
    if log_series.ndim != 2:
        raise ValueError(f"series must have shape (seeds, rounds + 1); got shape {log_series.shape}")
    change = np.diff(log_series.mean(axis=0))
    m = change.size
    j = np.arange(m)

    def power(log_q):  # ± q^j, largest entry 1, at its best multiple
        shape = np.exp(log_q * (j - (m - 1 if log_q > 0 else 0)))
        return shape * (shape @ change) / (shape @ shape)

    def line(log_rest):  # log_rest: ln of the rounds left after the last one seen
        return np.log1p(-1 / (m + np.exp(log_rest) - j))

    def misfit(model):
        return lambda parameter: ((change - model(parameter)) ** 2).sum()

    rest = _scan(misfit(line), np.linspace(-15, 15, 301))
    growth = _scan(lambda x: misfit(power)(np.exp(x)), np.linspace(-9, 1.5, 301))
    levelling = _scan(lambda x: misfit(power)(-np.exp(x)), np.linspace(-9, 1.5, 301))
    squares = [
        ((change - change.mean()) ** 2).sum(),
        misfit(line)(rest),
        misfit(power)(np.exp(growth)),
        misfit(power)(-np.exp(levelling)),
    ]
    floor = 1e-12 * (change**2).mean() or 1.0
    scores = m * np.log(np.array(squares) / m + floor) + np.array([1, 1, 2, 2]) * np.log(m)
    parameters = [-change.mean(), m + np.exp(rest), np.exp(np.exp(growth)), np.exp(-np.exp(levelling))]
    best = int(np.argmin(scores + DECISIVE * np.array([0, 0, 1, 1])))
    rivals = scores[1:2] if best == 0 else np.delete(scores, best)
    decided = bool(rivals.min() - scores[best] >= DECISIVE)
    return Regime(REGIMES[best], decided, float(parameters[best]), jnp.asarray(scores))


def first_passage(
    series: Real[ArrayLike, "seeds rounds_and_one"], level: Real[ArrayLike, ""]
) -> Float[Array, " seeds"]:
    """min{j: x_j ≤ level} of each run, inf where there is none: the first rounds at or below ``level``.

    Args:
        series: (seeds, rounds + 1), ≥ 0.
        level: one real number.

    Raises:
        ValueError: a negative or infinite value, or another shape.
    """
    series, level = np.asarray(check.nonnegative("series", series)), float(check.real("level", level))
    if series.ndim != 2 or 0 in series.shape:
        raise ValueError(f"series must have shape (seeds, rounds + 1); got shape {series.shape}")
    below = series <= level
    return jnp.asarray(np.where(below.any(axis=1), below.argmax(axis=1).astype(float), np.inf))


def lifetime(
    series: Real[ArrayLike, "seeds rounds_and_one"], level: Real[ArrayLike, ""], *, confidence: float = 0.99
) -> Lifetime:
    """First rounds at or below ``level``, with mean and median and their intervals.

    Args:
        series: (seeds ≥ 2, rounds + 1), ≥ 0.
        level: one real number.
        confidence: of both intervals, in [0, 1).

    Raises:
        ValueError: as `first_passage`, or fewer than 2 runs.
    """
    rounds = _runs("series", first_passage(series, level))
    n, length = len(rounds), np.shape(series)[1]
    censored = int(np.isinf(rounds).sum())
    seen, error, _ = mean_and_error(np.where(np.isinf(rounds), length, rounds))
    slack = _slack(confidence, n) * error
    # The median is below the k-th smallest with probability Pr(Bin(n, ½) < k): the largest k with at most half of α.
    k = int(stats.binom.ppf(_tail(confidence), n, 0.5))
    ordered = np.sort(rounds)
    summary = (
        np.inf if censored else seen,
        seen - slack,
        np.inf if censored else seen + slack,
        np.median(rounds),
        ordered[k - 1] if k else 0.0,
        ordered[n - k] if k else np.inf,
    )
    return Lifetime(jnp.asarray(rounds), censored, *(jnp.asarray(x, dtype=jnp.float64) for x in summary))


def equivalent(
    prediction: Real[ArrayLike, "*#shape"],
    measurement: Real[ArrayLike, "*#shape"],
    standard_error: Real[ArrayLike, "*#shape"],
    n: int,
    margin: Real[ArrayLike, "*#shape"],
    *,
    confidence: float = 0.99,
) -> Bool[Array, "*shape"]:
    """|m − p| + t se ≤ margin, t the (1 + confidence)/2 point of Student's law at n − 1 degrees of freedom.

    True only where the whole interval lies within the margin: a large error fails it, as it should.

    Args:
        prediction: p.
        measurement: m, a mean over n independent runs.
        standard_error: se ≥ 0 of m.
        n: runs, ≥ 1; ≥ 2 where se > 0.
        margin: ≥ 0.
        confidence: in [0, 1).

    Raises:
        ValueError: an argument outside its range.
    """
    p, m = check.real("prediction", prediction), check.real("measurement", measurement)
    error, margin = check.nonnegative("standard_error", standard_error), check.nonnegative("margin", margin)
    check.broadcastable(prediction=p, measurement=m, standard_error=error, margin=margin)
    p, m, error, margin = jnp.broadcast_arrays(p, m, error, margin)
    n = check.integer("n", n, 2 if bool(jnp.any(error > 0)) else 1)
    slack = _slack(confidence, n) * error if n > 1 else error
    return jnp.abs(m - p) + slack <= margin


def clopper_pearson(
    successes: Integer[ArrayLike, "*#shape"], trials: Integer[ArrayLike, "*#shape"], *, confidence: float = 0.99
) -> Interval:
    """[B⁻¹(α/2; k, n−k+1), B⁻¹(1−α/2; k+1, n−k)]: the exact interval for a probability from k successes in n trials.

    Covers with at least the confidence 1 − α whatever the probability; 0 at k = 0, 1 at k = n.

    Source: Clopper and Pearson (1934).

    Args:
        successes: k, whole, 0 ≤ k ≤ n.
        trials: n ≥ 1, whole.
        confidence: 1 − α in [0, 1).

    Raises:
        ValueError: an argument outside its range.
    """
    k, n = (np.asarray(check.nonnegative(name, x)) for name, x in (("successes", successes), ("trials", trials)))
    check.broadcastable(successes=k, trials=n)
    if np.any((k > n) | (n < 1) | (k % 1 != 0) | (n % 1 != 0)):
        raise ValueError(f"successes and trials must be whole with 0 ≤ successes ≤ trials ≥ 1; got {k} of {n}")
    tail = _tail(confidence)
    low = np.where(k > 0, stats.beta.ppf(tail, np.maximum(k, 1), n - k + 1), 0.0)
    high = np.where(k < n, stats.beta.isf(tail, k + 1, np.maximum(n - k, 1)), 1.0)
    return Interval(jnp.asarray(low), jnp.asarray(high))


def _log_series(series, logs, length, runs=2):
    values = np.asarray(check.real("series", series) if logs else check.positive("series", series))
    if values.ndim < 2 or values.shape[0] < runs or values.shape[1] < length:
        allowed = f"(seeds ≥ {runs}, rounds + 1 ≥ {length})"
        raise ValueError(f"series must have shape {allowed}; got shape {values.shape}")
    return values if logs else np.log(values)


def _runs(name, values):
    values = np.asarray(values)
    if values.ndim < 1 or len(values) < 2:
        raise ValueError(f"{name} must hold at least 2 runs along the first axis; got shape {values.shape}")
    return values


def _slack(confidence, n):
    return stats.t.isf(_tail(confidence), n - 1)


def _tail(confidence):
    """α/2, the probability beyond either end."""
    if float(check.fraction("confidence", confidence)) == 1:
        raise ValueError("confidence must be below 1; got 1")
    return (1 - float(confidence)) / 2


def _scan(misfit, grid):
    """The least point of a function of one variable: the best of a grid, refined between its neighbours."""
    values = [misfit(x) for x in grid]
    best = int(np.argmin(values))
    around = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
    refined = optimize.minimize_scalar(misfit, bounds=around, method="bounded", options={"xatol": 1e-12})
    return refined.x if refined.fun < values[best] else grid[best]
