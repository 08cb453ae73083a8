"""`rfcollapse monitor`: its options and its table."""

import math
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from ..data import DATA_HELP
from ..output import as_json, columns, locked, percent, plain
from . import mechanisms
from .losses import account, read_losses
from .monitor import RELIED, WINDOW, judge, look, start
from .rows import RowHashes
from .samples import add_columns, natural_order, open_samples
from .state import State, load, save


def add_options(command):
    """The options of `rfcollapse monitor`."""
    command.add_argument("rounds", nargs="+", metavar="SAMPLES", help=f"one for each round, in order: {DATA_HELP}")
    command.add_argument("--reference", metavar="REAL", help="real data, likewise; not needed with a state")
    add_columns(command)
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
    if options.state and Path(options.state).is_dir():
        raise ValueError(f"--state: {options.state} is a folder; name a file in it")
    there = options.state and Path(options.state).parent.is_dir()  # where not, writing fails: after the verdict
    with locked(options.state) if there else nullcontext():
        return _watched(options)


def _watched(options):
    mechanism, notes = mechanisms.from_options(options), []
    names = natural_order(options.rounds)
    if names != options.rounds:
        notes.append(f"SAMPLES are taken in the order of their numbers: {', '.join(Path(name).name for name in names)}")
        if options.loss and len(options.loss) > 1:
            raise ValueError(f"--loss: give SAMPLES in the order of their rounds, too, as {' '.join(names)}")
    state = _begun(options, notes)
    settings = {"retain": options.retain, "real_fraction": options.real_fraction, "mechanism": mechanism}
    paid = [None] * len(options.rounds)
    if options.loss_mean and not options.loss:
        raise ValueError("--loss-mean says of which kind the losses are; --loss is needed, too")
    if options.loss:
        if mechanism is not None and not mechanism.loss_law:
            raise ValueError("--loss: the law is that of a denoiser whose pool is passed on with the noise of training")
        width = len(state.reference.mean) if options.loss_mean else 1
        paid = [width * loss for loss in read_losses(options.loss, len(options.rounds), len(state.rounds))]
    verdicts, accounts, failed = [], [], None
    for name, loss in zip(names, paid):
        try:
            found = look(state, _opened(name, options.columns, notes, state.reference.columns), name, loss=loss)
        except (ValueError, OSError) as error:
            failed = error  # said when the verdicts before it are
            break
        before = [earlier.digest for earlier in state.rounds]
        if found.digest in before:
            place = before.index(found.digest)
            notes.append(f"{name}: the same rows are round {place + 1}, not counted again")
            if loss not in (None, state.rounds[place].loss):
                notes.append(f"{name}: its loss is {loss:g} from now on")
                again = state.rounds[place]._replace(loss=loss)
                state = state._replace(rounds=(*state.rounds[:place], again, *state.rounds[place + 1 :]))
        else:
            state = state._replace(rounds=(*state.rounds, found))
            notes += found.notes
        then = state._replace(rounds=state.rounds[: [*before, found.digest].index(found.digest) + 1])
        verdicts.append(judge(then, **settings))
        accounts.append(None if loss is None else account(then, real_fraction=options.real_fraction))
    if failed and not verdicts:
        raise failed
    if alarming := any(verdict.alarms for verdict in verdicts):
        options.exit_code = 2  # whatever fails from here on
    if options.json:
        rounds = [plain(verdict) | {"account": plain(one)} for verdict, one in zip(verdicts, accounts)]
        seen = {"coverage": [x.coverage for x in state.rounds], "names": [x.name for x in state.rounds], "notes": notes}
        print(as_json({"alarm": alarming, "rounds": rounds, **seen}), flush=True)
    else:
        print(_text(state, verdicts, accounts, notes, options.retain, mechanism), flush=True)
    if options.state:
        save(state, options.state)
    if failed:
        raise failed
    return 2 if alarming else 0


def _begun(options, notes) -> State:
    """The state that is there, if its reference is the one that is given, or a new one."""
    there = options.state and Path(options.state).exists()
    if not (there or options.reference):
        lacks = f": {options.state} does not exist" if options.state else ""
        raise ValueError(f"--reference REAL is needed{lacks}")
    if not there:
        state = start(_opened(options.reference, options.columns, notes), options.reference)
        notes += state.reference.notes
        picked = options.columns and tuple(options.columns)
        return state._replace(reference=state.reference._replace(picked=picked))
    state = load(options.state)
    picked = state.reference.picked
    if options.columns and tuple(options.columns) != picked:
        raise ValueError(f"--columns: {options.state} was begun with {', '.join(picked or ['all'])}; begin a new state")
    options.columns = picked and list(picked)
    if options.reference:
        hashes = RowHashes()
        for _ in hashes.passing(_opened(options.reference, options.columns, notes)()):
            pass
        if hashes.digest != state.reference.digest:
            begun = f"{options.state} was begun with {state.reference.name}"
            raise ValueError(f"{begun}; the rows of {options.reference} are others: begin a new state for them")
    notes += state.reference.notes
    return state


def _opened(name, columns, notes, match=None):
    """A table, its columns matched by name to those of the reference where both have names."""
    opened = open_samples(name, columns=columns)
    if match and opened.names and opened.names != match:
        opened = open_samples(name, columns=match)
    notes += (f"{name}: {note}" for note in opened.notes)
    return opened


def _text(state, verdicts, accounts, notes, retain, mechanism):
    known, last = state.reference, verdicts[-1]
    varies, k = int((known.scale > 0).sum()), known.directions.shape[1]
    lines = [
        f"reference {known.name}: {known.level.count} rows, {len(known.mean)} columns; followed, in its own standard "
        f"deviations: {varies} columns, {k} principal directions{', all others together' * known.rest}, the total",
        *(f"NOTE {note}" for note in notes),
    ]
    table = [("round", "file", "total kept", "95 %", "poorest", "", "coverage", "of real rows")]
    remarks = []
    for verdict, one in zip(verdicts, accounts):
        found, share = state.rounds[verdict.round - 1], verdict.share
        kept = found.level.variances / known.level.variances
        worst = int(np.argmin(np.where(known.judged, kept, np.inf)[:-1]))
        ends = f"{percent(share.low[-1])} to {percent(share.high[-1])}"
        real = f"{found.coverage + found.uncovered:.1%}"
        entry = percent(share.value[-1]), ends, percent(kept[worst]), known.entry(worst), f"{found.coverage:.1%}", real
        table.append((str(verdict.round), Path(found.name).name, *entry))
        remarks.append([f"       ALARM {alarm}" for alarm in verdict.alarms])
        if one:
            value, low, high = one.scale_defect
            said = f"lost {one.lost.value:.4g} of the pool's {one.pool:.4g}, paid {one.paid:.4g}"
            remarks[-1].append(f"       {found.name}: {said}, κ {value:.2g} ({low:.2g} to {high:.2g})")
            remarks[-1] += [f"       WARNING {warning}" for warning in one.warnings]
    header, *entries = columns(table).split("\n")
    lines += [header, *(line for entry, said in zip(entries, remarks) for line in (entry, *said))]
    if accounts[-1] and accounts[-1].fraction:
        value, low, high = accounts[-1].fraction
        lines.append(f"what was lost is what was paid at a real fraction of {value:.3g} ({low:.3g} to {high:.3g})")
    if last.rate is None:
        lines.append("A rate needs three rounds.")
    else:
        lines += _outlook(state, last, retain, mechanism)
    if last.alarms:
        return "\n".join([*lines, "ALARM"])
    least = f"a round alarms where it shows {last.visible:.0%} of the total, or less"
    if last.visible < RELIED:
        return "\n".join([*lines, f"no alarm, but so few independent rows cannot say that all is well: {least}"])
    if known.notes or any(state.rounds[verdict.round - 1].notes for verdict in verdicts):
        return "\n".join([*lines, f"no alarm, as far as the notes above go ({least})"])
    return "\n".join([*lines, f"healthy ({least})"])


def _outlook(state, last, retain, mechanism):
    """How fast, how long, where to, and what to do."""
    rate, left, to = last.rate, last.rounds_left, last.settles
    fastest = int(np.argmax(rate.low[:-1]))
    used = min(last.round, WINDOW)
    yield (
        f"decay per round, last {used} rounds: total {rate.value[-1]:.2%} ({rate.low[-1]:.2%} to {rate.high[-1]:.2%}), "
        f"direction {fastest + 1} {rate.value[fastest]:.2%} ({rate.low[fastest]:.2%} to {rate.high[fastest]:.2%})"
    )
    if to.low > 0:
        ends = f"{to.low:.0%} to {to.high:.0%}"
        yield f"the real fraction in use leads to {to.value:.0%} of the total ({ends}), by the rule of thumb"
    else:
        yield (
            f"rounds until {retain:.0%} of the total is left: {left.value:.3g} ({left.low:.3g} to {left.high:.3g}), if "
            "the rate stays; collapse usually speeds up as variance is lost"
        )
    why = f"the law of {mechanism.name}" if mechanism else "the upper end of the rate; measure it again near that level"
    each = "none does" if math.isinf(last.fraction_each) else f"{last.fraction_each:.3g}"
    total = "none does" if math.isinf(last.fraction) else f"{last.fraction:.3g}"
    yield f"real fraction that keeps {retain:.0%}: {total} (every direction followed: {each}), by {why}"
