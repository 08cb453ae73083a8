"""How much real data, how often, for samples of one's own: the answers behind `rfcollapse budget`."""

import json
import math
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Real
from scipy import stats

from .. import check
from ..data import DATA_HELP
from ..output import plain
from . import mechanisms
from .mechanisms import Mechanism
from .samples import Spectrum, jackknife_error, open_samples, spectrum

CONFIDENCE = 0.95
SHOWN = 12  # directions in the table


class Needed(NamedTuple):
    """A real fraction, and how well it is known."""

    fraction: float
    """α for the spectrum as measured; inf where even α = 1 does not do."""
    low: float
    """Lower end of the 95 % interval for the sampling of the spectrum: the mechanism is taken as given."""
    high: float
    """Upper end: the one to use."""


def needed_fraction(found: Spectrum, mechanism: Mechanism, retention: float, *, every: int = 1) -> Needed:
    """The smallest α that keeps R of the total variance, real data coming every K rounds, with its 95 % interval.

    The share kept at that α has a jackknife error e over 20 groups of rows; the ends of the interval are the fractions
    for R ∓ t e, t the 97.5 % point of Student's law with 19 degrees of freedom.

    retention: R in [0, 1]. every: K ≥ 1. ValueError outside these ranges.
    """

    def needs(wanted):
        wanted = min(max(wanted, 0.0), 1.0)
        return float(mechanisms.required_fraction(mechanism, found.variances, wanted, every=every))

    fraction = needs(float(check.fraction("retention", retention)))
    used = min(fraction, 1.0)
    shares = mechanisms.total_share(mechanisms.retained(mechanism, found.without, used, every=every), found.without)
    error = float(jackknife_error(np.asarray(shares)))
    slack = stats.t.isf((1 - CONFIDENCE) / 2, len(found.without) - 1) * error
    return Needed(fraction, needs(retention - slack), needs(retention + slack))


def schedules(fraction: float, every: int, rounds: int) -> dict[str, Float[np.ndarray, " rounds"]]:
    """Fractions of real data in rounds 0 … J − 1, by name: never, always, every K rounds with α or with Kα, and α/j."""
    j = np.arange(rounds)
    found = {"no real data": np.zeros(rounds), "α in every round": np.full(rounds, fraction)}
    if every > 1:
        found[f"α every {every} rounds"] = np.where(j % every == 0, fraction, 0.0)
        found[f"{every}α every {every} rounds"] = np.where(j % every == 0, min(every * fraction, 1.0), 0.0)
    found["α/j, shrinking"] = fraction / np.maximum(j, 1)
    return found


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

    real: λ0 > 0. value: V ≥ 0 of a round with all its variance. cost_per_sample: C ≥ 0. samples: n ≥ 1 in the pool of a
    round. cost_per_round: P ≥ 0, which moves no optimum. ValueError outside these ranges.
    """
    real = np.asarray(check.positive("real", real))
    value, price = (
        float(check.nonnegative("value", value)),
        float(check.nonnegative("cost_per_sample", cost_per_sample)),
    )
    price *= check.integer("samples", samples, 1)
    fixed = float(check.nonnegative("cost_per_round", cost_per_round))

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


def add_mechanism(command):
    """The options that name a mechanism, for `budget` and `monitor`."""
    command.add_argument("--mechanism", choices=mechanisms.NAMES, help="default: by the option given below")
    command.add_argument("--noise-std", type=float, metavar="S", help="dae: training noise σ, in units of the data")
    command.add_argument("--resample-std", type=float, metavar="S", help="dae: noise of the pass that generates (σ)")
    command.add_argument("--steps", type=int, metavar="N", help="flow: Euler steps")
    command.add_argument("--ridge", type=float, metavar="T", help="reflow: ridge τ")
    command.add_argument("--scheme", help="reflow: reflow, ra, anchored or fresh (the default)")
    command.add_argument("--samples", type=int, metavar="N", help="refit: samples a round; with --value: of the pool")
    command.add_argument(
        "--rate", type=float, metavar="R", help="rate: log-variance lost in a round, all that is known"
    )


def mechanism_of(options) -> Mechanism | None:
    """The mechanism that the options name, or None."""
    needs = {"dae": "noise_std", "flow": "steps", "reflow": "ridge", "refit": "samples", "rate": "rate"}
    given = {name for name, option in needs.items() if getattr(options, option) is not None}
    if given > {"refit"}:  # --samples may belong to the costs
        given -= {"refit"}
    if options.mechanism is None and not given:
        return None
    if options.mechanism is None and len(given) > 1:
        raise ValueError(f"the options fit several mechanisms ({', '.join(sorted(given))}); choose one by --mechanism")
    name = options.mechanism or given.pop()
    first = getattr(options, needs[name])
    if first is None:
        raise ValueError(f"--mechanism {name} needs --{needs[name].replace('_', '-')}")
    more = {"dae": {"resample_std": options.resample_std}, "reflow": {"scheme": options.scheme or "fresh"}}
    return getattr(mechanisms, name)(first, **more.get(name, {}))


def add_options(command):
    """The options of `rfcollapse budget`."""
    command.add_argument("data", metavar="DATA", help=DATA_HELP)
    add_mechanism(command)
    command.add_argument("--real-fraction", type=float, metavar="A", help="look at this α (default: the one needed)")
    command.add_argument("--retain", type=float, default=0.9, metavar="R", help="share of variance to keep (.9)")
    command.add_argument("--every", type=int, default=1, metavar="K", help="real data in every K-th round only")
    command.add_argument("--rounds", type=int, default=100, metavar="J", help="rounds to look ahead (100)")
    command.add_argument("--value", type=float, metavar="V", help="worth of a round with all its variance")
    command.add_argument("--cost-per-sample", type=float, metavar="C", help="with --value and --samples")
    command.add_argument("--plot", metavar="FILE", help="draw the answer (.png, .pdf or .svg)")
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, with all directions")


def command(options) -> int:
    """`rfcollapse budget`: prints the answer; returns the exit code."""
    mechanism = mechanism_of(options)
    if mechanism is None:
        raise ValueError("say how variance is lost: --noise-std, --steps, --ridge, --samples or --rate")
    if (options.value is None) != (options.cost_per_sample is None) or (
        options.value is not None and options.samples is None
    ):
        raise ValueError("--value, --cost-per-sample and --samples (rows in the pool of a round) go together")
    check.integer("--rounds", options.rounds, 1)
    found = spectrum(open_samples(options.data))
    answer = report(found, mechanism, options.retain, options.real_fraction, options.every, options.rounds)
    if options.value is not None:
        price = {"value": options.value, "cost_per_sample": options.cost_per_sample, "samples": options.samples}
        policy = cheapest_fraction(found.variances, mechanism, **price)
        halved, doubled = (float(np.interp(policy.best * x, policy.fractions, policy.net)) for x in (0.5, 2.0))
        answer["cheapest"] = {"fraction": policy.best, "net": policy.best_net, "half": halved, "double": doubled}
    if options.plot:
        _plot(answer, found, mechanism, options.plot)
    print(json.dumps(plain(answer)) if options.json else _text(answer, options))
    return 0


def report(found: Spectrum, mechanism: Mechanism, retention: float, fraction, every: int, rounds: int) -> dict:
    """All that `rfcollapse budget` says, as numbers; fraction None stands for the one that is needed."""
    real = found.variances
    needed = needed_fraction(found, mechanism, retention, every=every)
    used = float(check.fraction("--real-fraction", min(needed.high, 1.0) if fraction is None else fraction))
    kept = np.asarray(mechanisms.retained(mechanism, real, used, every=every))
    each = np.asarray(mechanisms.required_fraction(mechanism, real, retention, every=every, total=False))
    ahead = {}
    for name, fractions in schedules(used, every, rounds).items():
        path = mechanisms.trajectory(mechanism, real, fractions)[-every:]
        total, poorest = mechanisms.total_share(path, real[None]), mechanisms.share(path, real[None]).min(axis=1)
        ahead[name] = {"real": float(fractions.sum()), "total": float(total.min()), "poorest": float(poorest.min())}
    return {
        "mechanism": mechanism.name,
        "assumptions": mechanism.assumptions,
        "end": mechanism.end,
        "rows": found.count,
        "columns": len(found.mean),
        "retention": retention,
        "every": every,
        "rounds": rounds,
        "needed": needed._asdict(),
        "needed_for_each": float(each.max()),
        "reachable": int(np.isfinite(each).sum()),
        "real_fraction": used,
        "most": float(mechanisms.total_share(mechanisms.retained(mechanism, real, 1.0, every=every), real)),
        "share": float(mechanisms.total_share(kept, real)),
        "ahead": ahead,
        "directions": {
            "variance": real,
            "relative_error": found.relative_error,
            "lifetime": np.asarray(mechanism.lifetime(real)),
            "kept": np.asarray(mechanisms.share(kept, real)),
            "needs": each,
        },
    }


def _text(answer, options):
    table = answer["directions"]
    count, wanted = len(table["variance"]), f"{answer['retention']:.0%}"
    dropped = answer["columns"] - count
    used = answer["real_fraction"]
    kept, needs = f"kept at α={used:.3g}", f"α for {wanted}"
    lines = [
        f"{options.data}: {answer['rows']} rows, {answer['columns']} columns; {count} principal directions of the "
        f"covariance" + (f" ({dropped} without variance left out)" if dropped else ""),
        f"mechanism {answer['mechanism']}: {answer['assumptions']}.",
        "",
        f"{'direction':>9}  {'variance':>9} {'± se':>6}  {'life':>8}  {kept:>15}  {needs:>10}",
    ]
    shown = [*range(min(count, SHOWN))] + ([count - 1] if count > SHOWN else [])
    for i in shown:
        if i == count - 1 and count > SHOWN + 1:
            lines.append(f"{'…':>9}")
        error = f"{table['relative_error'][i]:.1%}"
        lines.append(
            f"{i + 1:>9}  {table['variance'][i]:>9.4g} {error:>6}  {table['lifetime'][i]:>8.4g}  "
            f"{table['kept'][i]:>15.1%}  {_fraction(table['needs'][i]):>10}"
        )
    lines += [
        f"life: rounds without real data until {answer['end']}",
        "",
        _needed(answer, wanted),
        f"In every direction: {_fraction(answer['needed_for_each'])}; {answer['reachable']} of {count} can be kept so.",
    ]
    if answer["rows"] < 10 * count:
        lines.append(
            f"Few rows for {count} directions: the spectrum is spread out (largest too large, smallest too small) by "
            f"about ±{2 * math.sqrt(count / answer['rows']):.0%}, which the intervals do not show."
        )
    lines += [
        "",
        f"after {answer['rounds']} rounds, α = {used:.3g}",
        f"{'':24}real data  total kept  poorest direction",
    ]
    for name, row in answer["ahead"].items():
        lines.append(f"  {name:22}{row['real']:>9.3g}  {row['total']:>10.1%}  {row['poorest']:>17.1%}")
    lines.append("real data in rounds' worth; kept: the poorest of the last K rounds")
    if "cheapest" in answer:
        best = answer["cheapest"]
        lines += [
            "",
            f"Cheapest fixed policy, real data in every round: α = {_fraction(best['fraction'])}, worth "
            f"{best['net']:.4g} a round (half as much real data: {best['half']:.4g}; twice: {best['double']:.4g}).",
        ]
    return "\n".join(lines)


def _needed(answer, wanted):
    fraction, low, high = answer["needed"].values()
    when = "in every round" if answer["every"] == 1 else f"every {answer['every']} rounds"
    if math.isinf(fraction):
        return f"No real fraction {when} keeps {wanted} of the total variance; α = 1 keeps {answer['most']:.1%}."
    return (
        f"To keep {wanted} of the total variance: real fraction α = {fraction:.3g} {when} ({CONFIDENCE:.0%} interval "
        f"for the sampling of your rows: {_fraction(low)} to {_fraction(high)}; use the upper end)."
    )


def _fraction(x):
    return "none does" if math.isinf(x) else f"{x:.3g}"


def _plot(answer, found, mechanism, path):
    from .. import figures  # matplotlib is needed here only

    figure, axes = figures.panels(1, 2)
    fractions = np.geomspace(1e-3, 1, 60)
    kept = mechanisms.retained(mechanism, found.variances[None], fractions[:, None], every=answer["every"])
    total = mechanisms.total_share(kept, found.variances[None])
    figures.predicted(axes[0], fractions, total, 1, "total variance")
    axes[0].plot(answer["real_fraction"], answer["share"], "o", color=figures.COLOURS[2], label="chosen α")
    axes[0].axhline(answer["retention"], color="grey", linewidth=0.8)
    axes[0].set_xscale("log")
    figures.label(axes[0], "real fraction α", "share kept", f"{mechanism.name}: what α keeps")
    number = np.arange(1, len(found.variances) + 1)
    figures.predicted(axes[1], number, found.variances, 0, "real, λ0")
    figures.predicted(
        axes[1], number, answer["directions"]["kept"] * found.variances, 1, f"kept at α = {answer['real_fraction']:.3g}"
    )
    axes[1].set_yscale("log")
    axes[1].set_ylim(bottom=found.variances.min() / 10)
    figures.label(axes[1], "principal direction", "variance", "Direction by direction")
    figure.savefig(path)
