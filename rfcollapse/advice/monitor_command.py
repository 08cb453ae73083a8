"""`rfcollapse monitor`: its options and its table."""

import json
import math
from pathlib import Path

import numpy as np

from ..data import DATA_HELP
from ..output import plain
from . import mechanisms
from .losses import account, read_losses
from .monitor import WINDOW, add, judge, start
from .samples import open_samples
from .state import load, save


def add_options(command):
    """The options of `rfcollapse monitor`."""
    command.add_argument("rounds", nargs="+", metavar="SAMPLES", help=f"one for each round, in order: {DATA_HELP}")
    command.add_argument("--reference", metavar="REAL", help="real data, likewise; not needed with a state")
    command.add_argument("--state", metavar="FILE", help="continue from this file, and write it (JSON)")
    command.add_argument("--retain", type=float, default=0.9, metavar="R", help="share of variance to keep (.9)")
    command.add_argument("--real-fraction", type=float, default=0.0, metavar="A", help="α in use (0)")
    words = "a denoiser's training loss behind each of SAMPLES, per sample; or a file of JSON lines"
    command.add_argument("--loss", nargs="+", metavar="L", help=words)
    command.add_argument("--loss-mean", action="store_true", help="losses are means over columns (MSELoss), not sums")
    mechanisms.add_options(command)
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, and nothing else")


def command(options) -> int:
    """`rfcollapse monitor`: prints verdicts; returns 2 if one of the rounds given now is alarming, else 0."""
    mechanism = mechanisms.from_options(options)
    if options.state and Path(options.state).exists():
        state = load(options.state)
        if options.reference and options.reference != state.reference.name:
            raise ValueError(f"{options.state} was begun with {state.reference.name}, not {options.reference}")
    elif options.reference:
        state = start(open_samples(options.reference), options.reference)
    else:
        raise ValueError("--reference REAL is needed" + (f": {options.state} does not exist" if options.state else ""))
    settings = {"retain": options.retain, "real_fraction": options.real_fraction, "mechanism": mechanism}
    paid = [None] * len(options.rounds)
    if options.loss_mean and not options.loss:
        raise ValueError("--loss-mean says of which kind the losses are; --loss is needed, too")
    if options.loss:
        if mechanism is not None and not mechanism.loss_law:
            raise ValueError("--loss: the law is that of a denoiser whose pool is passed on with the noise of training")
        columns = len(state.reference.mean) if options.loss_mean else 1
        paid = [columns * loss for loss in read_losses(options.loss, len(options.rounds), len(state.rounds))]
    verdicts, accounts = [], []
    for name, loss in zip(options.rounds, paid):
        state = add(state, open_samples(name), name, loss=loss)
        verdicts.append(judge(state, **settings))
        accounts.append(None if loss is None else account(state, real_fraction=options.real_fraction))
    if options.state:
        save(state, options.state)
    alarming = any(verdict.alarms for verdict in verdicts)
    if options.json:
        rounds = [plain(verdict) | {"account": plain(one)} for verdict, one in zip(verdicts, accounts)]
        print(json.dumps({"alarm": alarming, "rounds": rounds, "coverage": [x.coverage for x in state.rounds]}))
    else:
        print(_text(state, verdicts, accounts, options.retain, mechanism))
    return 2 if alarming else 0


def _text(state, verdicts, accounts, retain, mechanism):
    known, last = state.reference, verdicts[-1]
    lines = [
        f"reference {known.name}: {len(known.mean)} columns, {known.directions.shape[1]} directions followed",
        f"{'round':>5}  {'total kept':>10}  {'95 %':>15}  {'poorest direction':>17}  {'coverage':>8}",
    ]
    for verdict, found, one in zip(verdicts, state.rounds[-len(verdicts) :], accounts):
        share = verdict.share
        ends = f"{share.low[-1]:.1%} to {share.high[-1]:.1%}"
        poorest = share.value[:-1].min()
        lines.append(
            f"{verdict.round:>5}  {share.value[-1]:>10.1%}  {ends:>15}  {poorest:>17.1%}  {found.coverage:>8.1%}"
        )
        lines += [f"       ALARM {alarm}" for alarm in verdict.alarms]
        if one:
            value, low, high = one.scale_defect
            said = f"lost {one.lost.value:.4g} of the pool's {one.pool:.4g}, paid {one.paid:.4g}"
            lines.append(f"       {found.name}: {said}, κ {value:.2g} ({low:.2g} to {high:.2g})")
            lines += [f"       WARNING {warning}" for warning in one.warnings]
    if accounts[-1] and accounts[-1].fraction:
        value, low, high = accounts[-1].fraction
        lines.append(f"what was lost is what was paid at a real fraction of {value:.3g} ({low:.3g} to {high:.3g})")
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
