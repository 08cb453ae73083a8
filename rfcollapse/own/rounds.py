"""Reflow with a model of one's own, of any framework: pairs, rounds, measurements and a folder around its training."""

import hashlib
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from .. import __version__, check
from ..advice import monitor, samples
from ..advice import state as states
from ..output import locked
from . import folder as runfolder
from .integrate import Integrator, Rows, as_float32
from .looks import Round, look, reference
from .pairs import HELD, Pairs, first_pairs, make_pairs
from .plan import Plan

MONITORED = 40  # real rows that the monitor needs
LAWFUL = ("scheme", "rounds", "real_fraction", "steps", "method", "diffusion", "ridge")  # what a law knows of


class Run(NamedTuple):
    """The rounds 0 … J of a run."""

    rounds: tuple[Round, ...]
    """What was measured."""
    variances: Float[np.ndarray, " k"]
    """λ0, of the real data that were trained on, along the directions of the rounds' `variances`."""
    law: str | None
    """Which law stands beside, or why there is none; None where none was asked for."""
    first: Any
    """The model of round 0."""
    last: Any
    """The model of round J."""


def run(
    data: Any,
    *,
    velocity: Callable[[Any, float, Rows], Any],
    fit: Callable[[Rows, Rows, Any], Any] | None = None,
    train: Callable[[Pairs, Any], Any] | None = None,
    first: Any = None,
    folder: str | Path | None = None,
    resume: bool = False,
    save: Callable[[Any, Path], None] = runfolder.save_pickle,
    load: Callable[[Path], Any] = runfolder.load_pickle,
    on_round: Callable[[Round, Any], None] | None = None,
    **settings,
) -> Run:
    """Rounds 0 … J of Reflow, by any scheme, with a model of which nothing is known but how to fit and to ask it.

    Round 0 is trained on real data and independent noise, each later one as the scheme says; x_t = (1 − t)x0 + t x1,
    and the velocity to be learnt is E[x1 − x0 | x_t]. Samples keep the shape they have in `data`; arrays that are
    handed over are float32 and the callee's own, so that torch.from_numpy needs no copy.

    Args:
        data: real samples x1, (n, …): whatever NumPy takes.
        velocity: (model, t, x) → v, an array of the shape of x, for a number t in [0, 1]; the same for the same
            arguments (of a torch model in eval(), under no_grad, on the CPU).
        fit: (x0, x1, previous) → a new model, of pairs in rows; previous: the model of the round before, in round 0
            None. Either this or `train`.
        train: (pairs, previous) → a new model, of `rfcollapse.own.Pairs`, whose batches draw noise anew where the
            scheme does; "ora" needs it, and that it calls pairs.refresh(model) now and then.
        first: the model of round 0, if there is one already; then nothing is trained in round 0.
        folder: keeps each round as soon as it is done; held by this process while it runs. None: nothing is kept.
        resume: go on after the last whole round in the folder, if there is one, with the numbers that there would have
            been without the interruption, as far as fit and velocity are deterministic. Settings and data must be what
            they were, but for rounds; that fit and velocity are, nobody can see.
        save, load: (model, path) writes a file or a folder, (path) → model. As they are they take pickles: resume only
            folders that you trust.
        on_round: called with what was measured in each new round, and its model.
        settings: the fields of `rfcollapse.own.plan.Plan`, at least scheme and rounds.

    Raises:
        ValueError: settings or data that cannot be, results of the callbacks that cannot be used, another run in the
            folder. The rounds before are kept.

    Example:
        >>> import numpy as np
        >>> from rfcollapse import own
        >>> points = 2 * np.random.default_rng(0).standard_normal((500, 1))
        >>> def fit(x0, x1, previous):  # the best linear velocity: v = (E (x1 − x0) x_t / E x_t²) x
        ...     return np.mean(x0**2), np.mean(x0 * x1), np.mean(x1**2)
        >>> def velocity(moments, t, x):
        ...     q0, c, q1 = moments
        ...     s = 1 - t
        ...     return (t * q1 - s * q0 + (s - t) * c) / (s * s * q0 + 2 * s * t * c + t * t * q1) * x
        >>> some = {"scheme": "anchored", "rounds": 2, "real_fraction": 0.3, "pairs": 20_000}
        >>> run = own.run(points, velocity=velocity, fit=fit, redraws=40, **some)
        >>> [round(one.share, 1) for one in run.rounds]
        [1.0, 1.0, 1.0]
    """
    plan, data = Plan(**settings), as_float32("data", data)
    if data.ndim < 2 or len(data) < 2 or 0 in data.shape:
        raise ValueError(f"data must have shape (n, …) with at least 2 rows; got {data.shape}")
    if (fit is None) == (train is None):
        raise ValueError(f"either fit or train must be given; got {'neither' if fit is None else 'both'}")
    if plan.recipe.refreshed and train is None:
        raise ValueError(f"scheme {plan.scheme!r} needs train(pairs, previous), which calls pairs.refresh(model)")
    if plan.recipe.real == "diffused":
        check.integer("probes", plan.probes, int(np.prod(data.shape[1:])) + 1)
    trained = train or (lambda pairs, previous: fit(*pairs.arrays(plan.redraws), previous))
    real, held = _parted(plan, data)
    known = reference(real, held)
    integrator = Integrator(velocity, tuple(check.time_grid("steps", plan.steps).tolist()), plan.method, plan.at_once)
    law, words = _law(plan, known)
    config = {
        "settings": asdict(plan) | {"first": first is not None},
        "data": {"shape": data.shape, "sha256": hashlib.sha256(np.ascontiguousarray(data)).hexdigest()},
        "versions": {"rfcollapse": __version__, "numpy": np.__version__},
    }
    folder = folder if folder is None else Path(folder)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, patience=0) if folder else nullcontext():
        rows, model = runfolder.start(folder, config, resume=resume) if folder else [], first
        if rows:
            first = load(runfolder.place(folder, 0))
            model = load(runfolder.place(folder, len(rows) - 1)) if len(rows) > 1 else first
        watched = _watched(plan, known, folder, bool(rows))
        left = range(len(rows), plan.rounds + 1)
        for index in tqdm(left, plan.scheme, plan.rounds + 1, initial=len(rows), unit="round", disable=None):
            since, pairs = time.monotonic(), None
            if index:
                pairs = make_pairs(plan, index, integrator, real, first, model)
            elif first is None:
                pairs = first_pairs(plan, real)
            if pairs:
                model = _new(trained(pairs, model), pairs, (first, model))
            first = first if index else model
            row, generated = look(plan, integrator, known, index, model, pairs, data.shape[1:])
            beside = law and law((rows or [row])[0].variances, index)
            row = row._replace(law=beside, alarms=watched(generated), seconds=round(time.monotonic() - since, 3))
            rows.append(row)
            if folder:
                runfolder.keep(folder, row, model, save)
            if on_round:
                on_round(row, model)
    return Run(tuple(rows), known.variances, words, first, model)


def _parted(plan, data):
    """The rows that are trained on, and those that are not, both in their order."""
    order, count = plan.rng(0, HELD).permutation(len(data)), round(plan.held * len(data))
    if len(data) - count < 2:
        raise ValueError(f"held must leave at least 2 rows to train on; got {plan.held:g} of {len(data)}")
    return data[np.sort(order[count:])], data[np.sort(order[:count])]


def _new(model, pairs, old):
    """The model that the user's training returned, if it can be one."""
    if model is None:
        raise ValueError("fit, or train, must return the model; got None")
    if any(model is one for one in old):
        raise ValueError(
            "fit, or train, must return a new model, for earlier ones are needed: train a copy of previous"
        )
    if pairs.refreshes and not pairs.refreshed:
        raise ValueError("train must call pairs.refresh(model) in the scheme 'ora', now and then; without, it is 'ra'")
    return model


def _law(plan, known):
    """(g² of the first model, j) → g² of round j, or None; and which law that is."""
    if plan.ridge is None:
        return None, None
    from ..learn.plan import Plan as Trained  # JAX, which nothing else here takes
    from ..runs.law import BLANK, closed_form

    trajectory, words = closed_form(Trained(**{name: getattr(plan, name) for name in LAWFUL}), gaussian=True)

    def law(first, index):
        real, first = (np.maximum(variances, BLANK * known.variances[0]) for variances in (known.variances, first))
        return np.asarray(trajectory(real, first, index))[-1]

    return trajectory and law, words


def _watched(plan, known, folder, going_on):
    """Rows of a round → alarms, None where there is no monitor; what it remembers is kept in the folder."""
    if plan.retain is None or len(known.held) < MONITORED:
        return lambda rows: None
    path, fraction = folder and folder / runfolder.MONITOR, plan.real_fraction if plan.recipe.real else 0.0
    try:
        state = states.load(path) if going_on else monitor.start(samples.open_samples(known.held), "the real data")
    except ValueError as error:
        raise ValueError(f"{error}; retain=None goes without the monitor") from None

    def watched(rows):
        nonlocal state
        state = monitor.add(state, samples.open_samples(rows), "the model's")
        if path:
            states.save(state, path)
        return monitor.judge(state, retain=plan.retain, real_fraction=fraction).alarms

    return watched
