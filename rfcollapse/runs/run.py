"""Long training runs: any scheme of `rfcollapse.learn.reflow` on named data or a file, kept on disk round by round.

Killed at any moment, a run loses the round in progress and nothing else; resumed on the same CPU, it gives what it
would have given without the interruption, to the last bit. On a GPU it does so only where every operation is
deterministic, as XLA_FLAGS=--xla_gpu_deterministic_ops=true asks: else each process tunes its own sums.
"""

import contextlib
import hashlib
import importlib.metadata
import os
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray
from tqdm import tqdm

from .. import __version__, check, data
from ..learn import devices, reflow
from ..learn.classifier import train_classifier
from ..measure.images import reference
from ..output import locked, plain
from . import folder as runfolder
from . import looks, processes
from .folder import Log, read
from .law import closed_form
from .plan import RunPlan

PACKAGES = ("jax", "jaxlib", "numpy", "equinox", "optax", "diffrax")
FEWEST = 10  # held-out samples, below which nothing is compared with them


class Parted(NamedTuple):
    """Real data, parted into what is trained on and what is compared with."""

    train: Float[np.ndarray, "*seeds n d"]
    """One table for all seeds, or one for each."""
    held: Float[np.ndarray, "seeds m d"] | None
    """Held out, for each seed."""
    images: data.Images | None = None
    """What makes rows images; samples and labels are those trained on."""
    gaussian: bool = False


def load(key: PRNGKeyArray, plan: RunPlan) -> Parted:
    """The real data that the plan names.

    Gaussians are drawn for each seed and whitened, so that their second moment is exactly the diagonal of variances;
    second moments say all of them, and none are held out. Mixtures are drawn for each seed, held-out samples too. Of
    images and files a random tenth is held out, at most `probes` rows, unless that is fewer than 10.
    """
    source, seeds = data.find(plan.data), plan.seeds
    key_train, key_held = jax.random.split(key)
    if source.draw is not None:
        d = jax.eval_shape(lambda one: source.draw(one, 1), key).shape[1]
        devices.require_memory(_needs(plan, d, "samples", "probes"))
    if source.variances is not None:
        count = check.integer("samples", plan.samples, len(source.variances))
        return Parted(data.exact_gaussians(key_train, seeds, count, source.variances), None, gaussian=True)
    if source.draw is not None:
        train, held = (
            np.stack([source.draw(one, count) for one in jax.random.split(key, seeds)])
            for key, count in ((key_train, plan.samples), (key_held, plan.probes))
        )
        return Parted(train, held if plan.probes >= FEWEST else None)
    images = source.images and source.images()
    rows = np.asarray(images.samples if images else data.read_samples(source.path))
    held = min(len(rows) // 10, plan.probes)
    held = held if held >= FEWEST else 0
    order = np.asarray(jax.random.permutation(key_held, len(rows))) if held else np.arange(len(rows))
    train, apart = rows[order[held:]], np.broadcast_to(rows[order[:held]], (seeds, held, rows.shape[1]))
    if images:
        labels = None if images.labels is None else np.asarray(images.labels)[order[held:]]
        images = images._replace(samples=train, labels=labels)
    return Parted(train, apart if held else None, images)


def run(plan: RunPlan, folder: str | Path, *, resume: bool = False, strict: bool = False) -> Log:
    """Trains every round that the folder does not hold yet, and keeps each as soon as it is done.

    Round 0 is the first model. Each line of metrics has, per seed: the diagonal of the second moment E xxᵀ of generated
    samples and its eigenvalues, beside them the law's where there is one; the diagonal again for one Euler step,
    straightness, the loss of the last chunk of steps; where real data are held out the sliced W2 to them, in many steps
    and one, and for d ≤ 64 precision, recall and coverage; and the seconds it took. What is not finite is null. Of
    images there is more, see `rfcollapse.runs.looks.looked_at`; 8 of them, from the same noise in every round, are kept
    in pictures-NNN.npy.

    Of several processes (see `rfcollapse.runs.processes`) the first keeps the folder and returns the metrics, the
    others return the configuration alone.

    Args:
        plan: see `rfcollapse.runs.plan.RunPlan`.
        folder: held by this process while it runs; unless resume, nothing of a run is in it.
        resume: go on after the last round that is whole; all of the plan but `rounds` must then be what it was, and
            data and versions too, and on a GPU XLA_FLAGS and the precision of products. The bits are those of an
            uninterrupted run on the same CPU (on the same GPU only with deterministic operations); another device is
            warned of.
        strict: refuse another device instead.

    Raises:
        ValueError: a plan that cannot be or needs too much memory, a folder with another run in it, or a damaged
            checkpoint.
        OSError: files cannot be read or written, or another process runs in the folder.
        rfcollapse.learn.train.Diverged: training did; the rounds before are kept.

    Example:
        >>> import tempfile
        >>> from rfcollapse.learn.plan import Training
        >>> from rfcollapse.runs.plan import RunPlan
        >>> from rfcollapse.runs.run import run
        >>> quick = {"model": "linear", "training": Training.usual("linear", steps=20)}
        >>> small = {"seeds": 1, "samples": 50, "pairs": 50, "probes": 9, "steps": 3}
        >>> plan = RunPlan(data="gaussian:4,1", scheme="ra", rounds=1, **quick, **small)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     log = run(plan, folder)
        >>> log.metrics["eigenvalues"].shape  # seeds, rounds + 1, d
        (1, 2, 2)
    """
    folder = Path(folder)
    key_data, key_run, key_held = jax.random.split(devices.key(plan.seed), 3)
    real = load(key_data, plan)
    law = closed_form(plan, gaussian=real.gaussian)
    config = {
        "format": runfolder.FORMAT,
        "settings": plain(asdict(plan)),
        "data": {"shape": list(real.train.shape), "sha256": hashlib.sha256(real.train.tobytes()).hexdigest()},
        "law": law.words,
        "versions": {"rfcollapse": __version__} | {name: importlib.metadata.version(name) for name in PACKAGES},
        "device": devices.this_machine()[1],
    }
    if config["device"]["platform"] != "cpu":  # where they decide the last bits
        flags, products = os.environ.get("XLA_FLAGS"), jax.config.jax_default_matmul_precision
        config["arithmetic"] = {"xla_flags": flags, "products": products}
    plan = _fitted(plan, real)
    like = _untrained(plan, real)
    draws, weights = plan.training.chunk * plan.training.batch, sum(leaf.size for leaf in jax.tree.leaves(like))
    needs = _needs(plan, real.train.shape[-1], "pairs", "probes", "rounds")
    needs[f"chunk = {plan.training.chunk} by batch = {plan.training.batch}"] = 8 * draws * plan.seeds
    needs[f"networks of {weights} weights"] = 20 * weights  # and of each a gradient, its two moments and an average
    devices.require_memory(needs)
    processes.require_alike(config)
    kept = []

    def begun():
        folder.mkdir(parents=True, exist_ok=True)
        held.enter_context(locked(folder, patience=0))
        models, rows = runfolder.start(folder, config, like, resume=resume, strict=strict)
        kept.extend(models)
        return rows

    with contextlib.ExitStack() as held:
        rows = processes.from_first(begun)
        models = processes.models_of_first(kept, like, len(rows))
        looked = _looker(plan, real) if real.images and real.held is not None else lambda *_: ({}, None)
        beside = None
        about = {"desc": f"{plan.scheme} on {plan.data}", "unit": "round", "disable": not processes.is_first()}
        bar = tqdm(total=plan.rounds + 1, initial=len(rows), **about)
        since = time.monotonic()
        with bar:
            for latest in reflow.each_round(key_run, real.train, plan, models):
                row = _row(latest)
                if law.trajectory is not None:
                    if beside is None:
                        first = np.array((rows or [row])[0]["eigenvalues"], dtype=np.float64)
                        beside = law.variances(plan.rounds, _principal_variances(real.train, plan.seeds), first)
                    row["law"] = plain(beside[latest.index])
                if real.held is not None:
                    row |= plain(looks.compared(key_held, latest.models, real.held, plan.integrator))
                measured, pictures = looked(latest, key_held)
                now = time.monotonic()
                row |= measured | {"seconds": round(now - since, 3)}
                whole = processes.gathered(latest.models)
                processes.from_first(partial(runfolder.save, folder, config, whole, row, pictures))
                since = now
                bar.set_postfix(loss=f"{latest.loss[:, -1].mean():.3g}", refresh=False)
                bar.update()
    return read(folder) if processes.is_first() else Log(config, {})


def _fitted(plan, real):
    """The plan with what follows from the data: the shape of a U-Net's images, and no fewer probes than dimensions."""
    if plan.model == "unet":
        if real.images is None:
            raise ValueError(f"model must not be 'unet' for data that are no images; got data {plan.data!r}")
        plan = replace(plan, options=plan.options | {"shape": real.images.shape})
    return replace(plan, probes=max(plan.probes, real.train.shape[-1]))


def _untrained(plan, real):
    """Models as the run's are, without numbers."""
    size = real.train.shape[-1], plan.seeds
    return eqx.filter_eval_shape(
        lambda: reflow.new_models(jax.random.key(0), *size, plan.model, plan.parametrisation, **plan.options)
    )


def _needs(plan, d, *names):
    """Bytes of as many rows as these settings say, in each seed; of the law's numbers there is one for each round."""
    rows = {name: plan.seeds * getattr(plan, name) for name in names}
    return {f"{name} = {getattr(plan, name)} for each of {plan.seeds} seeds": 8 * d * rows[name] for name in names}


def _principal_variances(rows, seeds):
    """Eigenvalues of E xxᵀ, the largest first, for each seed."""
    moment = np.swapaxes(rows, -1, -2) @ rows / rows.shape[-2]
    variances = np.linalg.eigvalsh(moment)[..., ::-1]
    return np.broadcast_to(variances, (seeds, variances.shape[-1]))


def _looker(plan, real):
    """What is measured on images in a round, and pictures of it."""
    rows, labels = real.train, real.images.labels
    features = None if labels is None else train_classifier(devices.key(plan.seed), rows, labels).features
    axes = reference(rows, real.held[0], features)

    def looked(latest, key):
        samples = max(len(axes.held), FEWEST)
        measured = looks.looked_at(key, latest.models, axes, plan.integrator, samples=samples)
        levels = looks.levels(measured.pop("shown"), real.images.scale, np.asarray(real.images.mean))
        return plain(measured), levels.reshape(-1, *real.images.shape)

    return looked


def _row(latest):
    return {
        "round": latest.index,
        "second_moment_diagonal": plain(np.diagonal(latest.second_moment, axis1=1, axis2=2)),
        "eigenvalues": plain(latest.eigenvalues),
        "one_step_moment_diagonal": plain(np.diagonal(latest.one_step_moment, axis1=1, axis2=2)),
        "straightness": plain(latest.straightness),
        "loss": plain(latest.loss[:, -1]),
    }
