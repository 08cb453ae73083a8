"""How much real data, how often, for samples of one's own: the answers behind `rfcollapse budget`."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Real

from .. import check
from ..check import ArrayLike
from ..measure import rates
from . import mechanisms
from .mechanisms import Mechanism
from .samples import Spectrum

CONFIDENCE = 0.95


class Needed(NamedTuple):
    """A real fraction, and how well it is known."""

    fraction: float
    """α for the spectrum as measured; inf where even α = 1 does not do."""
    low: float
    """Lower end of the 95 % interval for the sampling of spectrum and shapes: the mechanism is taken as given."""
    high: float
    """Upper end: the one to use."""


def needed_fraction(spectrum: Spectrum, mechanism: Mechanism, retention: float, *, every: int = 1) -> Needed:
    """The smallest α that keeps R of the total variance, real data coming every K rounds, with its 95 % interval.

    The share kept at that α has a jackknife error e over 20 groups of rows; the ends of the interval are the fractions
    for R ∓ t e, t the 97.5 % point of Student's law with 19 degrees of freedom.

    Args:
        spectrum: of the samples, see `samples.spectrum`.
        mechanism: how variance is lost.
        retention: R in [0, 1].
        every: K ≥ 1.

    Example:
        >>> from rfcollapse.advice import budget, mechanisms, samples
        >>> spectrum = samples.spectrum(samples.open_samples("gaussian:9,4"))
        >>> print(f"{budget.needed_fraction(spectrum, mechanisms.Rate(0.05), 0.8).fraction:.3f}")
        0.205
    """

    def needs(wanted):
        wanted = min(max(wanted, 0.0), 1.0)
        return float(mechanisms.required_fraction(mechanism, spectrum.variances, wanted, every=every))

    fraction = needs(float(check.fraction("retention", retention)))
    kept = mechanisms.total_share(*mechanism.without(spectrum, min(fraction, 1.0), every=every))
    slack = float(rates.half_width(rates.jackknife_error(np.asarray(kept)), len(kept), CONFIDENCE))
    return Needed(fraction, needs(retention - slack), needs(retention + slack))


def schedules(fraction: float, every: int, rounds: int) -> dict[str, Float[np.ndarray, " rounds"]]:
    """Fractions of real data in rounds 0 … J − 1, by name: never, always, every K rounds with α or with Kα, and α/j.

    Args:
        fraction: α in [0, 1].
        every: K ≥ 1.
        rounds: J.

    Example:
        >>> from rfcollapse.advice import budget
        >>> budget.schedules(0.1, 2, 4)["2α every 2 rounds"]
        array([0.2, 0. , 0.2, 0. ])
    """
    j = np.arange(rounds)
    plans = {"no real data": np.zeros(rounds), "α in every round": np.full(rounds, fraction)}
    if every > 1:
        plans[f"α every {every} rounds"] = np.where(j % every == 0, fraction, 0.0)
        plans[f"{every}α every {every} rounds"] = np.where(j % every == 0, min(every * fraction, 1.0), 0.0)
    plans["α/j, shrinking"] = fraction / np.maximum(j, 1)
    return plans


class Policy(NamedTuple):
    """What fixed fractions of real data are worth in the long run, per round."""

    fractions: Float[np.ndarray, " m"]
    """α, from 0 to 1."""
    net: Float[np.ndarray, " m"]
    """V S(α) − C n α − P."""
    best: float
    """The α with the largest net value."""
    best_net: float
    """That value; where it is negative, the rounds do not pay at all."""


def cheapest_fraction(
    real: Real[ArrayLike, " d"],
    mechanism: Mechanism,
    *,
    value: float,
    cost_per_sample: float,
    samples: int,
    cost_per_round: float = 0.0,
) -> Policy:
    """The α that maximises V S(α) − C n α − P, S the share of the total variance kept in the end.

    For a known rate, S = α/(α + q) with q = e^r − 1 and α* = √(Vq/(Cn)) − q: it needs no wanted retention.

    Args:
        real: λ0 > 0.
        mechanism: how variance is lost.
        value: V ≥ 0 of a round with all its variance.
        cost_per_sample: C ≥ 0.
        samples: n ≥ 1 in the pool of a round.
        cost_per_round: P ≥ 0, which moves no optimum.

    Example:
        >>> from rfcollapse.advice import budget, mechanisms
        >>> price = {"value": 10.0, "cost_per_sample": 0.01, "samples": 400}
        >>> print(f"{budget.cheapest_fraction([4.0, 1.0], mechanisms.Rate(0.02), **price).best:.2f}")
        0.20
    """
    real = check.positive("real", real)
    costs = {"value": value, "cost_per_sample": cost_per_sample, "cost_per_round": cost_per_round}
    value, price, fixed = (float(check.nonnegative(*named)) for named in costs.items())
    price *= check.integer("samples", samples, 1)

    def net(fractions):
        kept = mechanisms.total_share(mechanisms.retained(mechanism, real[None], fractions[:, None]), real[None])
        return value * np.asarray(kept) - price * fractions - fixed

    fractions = np.concatenate([[0.0], np.geomspace(1e-6, 1, 301)])
    grid = net(fractions)
    top = int(np.argmax(grid))
    closer = np.linspace(fractions[max(top - 1, 0)], fractions[min(top + 1, len(grid) - 1)], 301)
    values = net(closer)
    best = int(np.argmax(values))
    return Policy(fractions, grid, float(closer[best]), float(values[best]))


def report(
    spectrum: Spectrum,
    mechanism: Mechanism,
    *,
    retention: float = 0.9,
    real_fraction: float | None = None,
    every: int = 1,
    rounds: int = 100,
) -> dict:
    """All that `rfcollapse budget` says, as numbers, by name.

    Args:
        spectrum: of the samples, see `samples.spectrum`.
        mechanism: how variance is lost.
        retention: R in [0, 1], the share of the variance to keep.
        real_fraction: α to look at; None is the upper end of what is needed.
        every: K ≥ 1, real data in every K-th round only.
        rounds: J ≥ 1 to look ahead.

    Example:
        >>> from rfcollapse.advice import budget, mechanisms, samples
        >>> spectrum = samples.spectrum(samples.open_samples("gaussian:9,4"))
        >>> print(f"{budget.report(spectrum, mechanisms.Rate(0.05), real_fraction=0.1)['share']:.3f}")
        0.661
    """
    real = spectrum.variances
    needed = needed_fraction(spectrum, mechanism, retention, every=every)
    used = min(needed.high, 1.0) if real_fraction is None else real_fraction
    used, rounds = float(check.fraction("real_fraction", used)), check.integer("rounds", rounds, 1)
    kept = np.asarray(mechanisms.retained(mechanism, real, used, every=every))
    each = np.asarray(mechanisms.required_fraction(mechanism, real, retention, every=every, total=False))
    ahead = {}
    for name, fractions in schedules(used, every, rounds).items():
        path = mechanisms.trajectory(mechanism, real, fractions)[-every:]
        total, poorest = mechanisms.total_share(path, real[None]), mechanisms.share(path, real[None]).min(axis=1)
        ahead[name] = {"real": float(fractions.sum()), "total": float(total.min()), "poorest": float(poorest.min())}
    gaussian, plain = None, mechanism.shapeless
    if plain is not mechanism:
        named = needed_fraction(spectrum, plain, retention, every=every)
        keeps = mechanisms.retained(mechanism, real, min(named.fraction, 1.0), every=every)
        gaussian = named._asdict() | {"keeps": float(mechanisms.total_share(keeps, real))}
        gaussian["unsafe"] = named.fraction < needed.low
    return {
        "mechanism": mechanism.name,
        "assumptions": mechanism.assumptions,
        "beyond": mechanism.beyond,
        "end": mechanism.end,
        "rows": spectrum.count,
        "columns": len(spectrum.mean),
        "retention": retention,
        "every": every,
        "rounds": rounds,
        "needed": needed._asdict(),
        "gaussian": gaussian,
        "needed_for_each": float(each.max()),
        "reachable": int(np.isfinite(each).sum()),
        "real_fraction": used,
        "most": float(mechanisms.total_share(mechanisms.retained(mechanism, real, 1.0, every=every), real)),
        "share": float(mechanisms.total_share(kept, real)),
        "ahead": ahead,
        "directions": {
            "variance": real,
            "relative_error": spectrum.relative_error,
            "lifetime": np.asarray(mechanism.lifetime(real)),
            "kept": np.asarray(mechanisms.share(kept, real)),
            "needs": each,
        },
    }
