"""`rfcollapse budget`: its options, its table, its picture."""

import json
import math

import numpy as np

from ..data import DATA_HELP
from ..output import plain
from . import mechanisms
from .budget import CONFIDENCE, cheapest_fraction, report
from .samples import NULL, add_columns, open_samples, spectrum

SHOWN = 12  # directions in the table
LEADING, FEW = 0.99, 3  # of the variance in so few columns: most likely a matter of units
COPIES = 0.05  # of the rows


def add_options(command):
    """The options of `rfcollapse budget`."""
    command.add_argument("data", metavar="DATA", help=DATA_HELP)
    add_columns(command)
    mechanisms.add_options(command)
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
    mechanism = mechanisms.from_options(options)
    if mechanism is None:
        raise ValueError(f"say how variance is lost: {', '.join(mechanisms.flags())}")
    if (options.value is None) != (options.cost_per_sample is None) or (
        options.value is not None and options.samples is None
    ):
        raise ValueError("--value, --cost-per-sample and --samples (rows in the pool of a round) go together")
    opened = open_samples(options.data, columns=options.columns)
    measured = spectrum(opened)
    mechanism = mechanism.fitted(opened, measured)
    asked = {"retention": options.retain, "every": options.every, "rounds": options.rounds}
    answer = {"data": options.data, "notes": opened.notes, "warnings": _warnings(measured, opened.names)}
    answer |= report(measured, mechanism, real_fraction=options.real_fraction, **asked)
    if options.value is not None:
        price = {"value": options.value, "cost_per_sample": options.cost_per_sample, "samples": options.samples}
        policy = cheapest_fraction(measured.variances, mechanism, **price)
        halved, doubled = (float(np.interp(policy.best * x, policy.fractions, policy.net)) for x in (0.5, 2.0))
        answer["cheapest"] = {"fraction": policy.best, "net": policy.best_net, "half": halved, "double": doubled}
    print(json.dumps(plain(answer)) if options.json else _text(answer), flush=True)
    if options.plot:
        try:
            _plot(answer, measured, mechanism, options.plot)
        except (ImportError, RuntimeError, ValueError, OSError) as error:  # of matplotlib: its backend, folder, format
            raise ValueError(f"--plot {options.plot}: not drawn: {' '.join(str(error).split())[:200]}") from None
    return 0


def _warnings(measured, names):
    """What makes the numbers mean less than they say, and the remedy, in a line each."""
    warnings = []
    columns = np.square(measured.directions) @ measured.variances
    order, varying = np.argsort(-columns), int((columns > NULL * columns.max()).sum())
    leading = int(np.searchsorted(np.cumsum(columns[order]) / columns.sum(), LEADING)) + 1
    if leading <= min(FEW, varying // 2):
        named = ", ".join(repr(names[i]) if names else f"number {i} (from 0)" for i in order[:leading])
        share = columns[order[:leading]].sum() / columns.sum()
        warnings.append(
            f"column{'s' * (leading > 1)} {named}: {share:.1%} of the variance, the other {varying - leading} hardly "
            "count; if that is a matter of units, standardise: x / x.std(axis=0)"
        )
    if measured.copies > COPIES * measured.count:
        warnings.append(
            f"{measured.copies} of {measured.count} rows are exact copies of others: intervals take rows for "
            "independent and are too narrow; drop the copies, unless the columns take few values by nature"
        )
    return warnings


def _text(answer):
    table = answer["directions"]
    count, wanted = len(table["variance"]), f"{answer['retention']:.0%}"
    dropped = answer["columns"] - count
    used = answer["real_fraction"]
    kept, needs = f"kept at α={used:.3g}", f"α for {wanted}"
    lines = [
        f"{answer['data']}: {answer['rows']} rows, {answer['columns']} columns; {count} principal directions of the "
        f"covariance" + (f" ({dropped} without variance left out)" if dropped else ""),
        f"mechanism {answer['mechanism']}: {answer['assumptions']}.",
        *([f"{answer['beyond']}."] if answer["beyond"] else []),
        *(f"note: {note}" for note in answer["notes"]),
        *(f"WARNING {warning}" for warning in answer["warnings"]),
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
        *([_gaussian(answer["gaussian"])] if answer["gaussian"] else []),
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


def _gaussian(named):
    """What the law for Gaussian data would have said, and whether that is too little."""
    said = f"The Gaussian law would have named {_fraction(named['fraction'])}, which keeps {named['keeps']:.1%} here"
    return f"UNSAFE {said}: too little for these tails." if named["unsafe"] else f"{said}."


def _fraction(x):
    return "none does" if math.isinf(x) else f"{x:.3g}"


def _plot(answer, spectrum, mechanism, path):
    from .. import figures  # matplotlib is needed here only

    figure, axes = figures.panels(1, 2)
    fractions = np.geomspace(1e-3, 1, 60)
    kept = mechanisms.retained(mechanism, spectrum.variances[None], fractions[:, None], every=answer["every"])
    total = mechanisms.total_share(kept, spectrum.variances[None])
    figures.predicted(axes[0], fractions, total, 1, "total variance")
    axes[0].plot(answer["real_fraction"], answer["share"], "o", color=figures.COLOURS[2], label="chosen α")
    axes[0].axhline(answer["retention"], color="grey", linewidth=0.8)
    axes[0].set_xscale("log")
    figures.label(axes[0], "real fraction α", "share kept", f"{mechanism.name}: what α keeps")
    number, kept = np.arange(1, len(spectrum.variances) + 1), answer["directions"]["kept"] * spectrum.variances
    figures.predicted(axes[1], number, spectrum.variances, 0, "real, λ0")
    figures.predicted(axes[1], number, kept, 1, f"kept at α = {answer['real_fraction']:.3g}")
    axes[1].set_yscale("log")
    axes[1].set_ylim(bottom=spectrum.variances.min() / 10)
    figures.label(axes[1], "principal direction", "variance", "Direction by direction")
    figure.savefig(path)
