"""The image runs of notebook 10 that take longer than a notebook may: all schemes, ablations, one first model for all.

    python benchmarks/record_images.py [--scale cpu | gpu | gpu-short] [--seed N] [--out DIR] [PART …]

writes benchmarks/results/images_<device>.json, a part at a time; parts that are there stay unless they are named. The
first model is kept in runs/, so that the parts may be made in separate calls, and each round of a part until the part
is whole: one that was cut off goes on after its last round (and tells the seconds from there). Another seed, of the
split and of the classifier, too, goes into runs/seed-N/results. With --out all of it goes into that folder.
"""

import argparse
import hashlib
import io
import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from contenders import ROOT
from recordings import add_seed, record

from rfcollapse import data
from rfcollapse.claims import repeats
from rfcollapse.learn import devices, reflow
from rfcollapse.learn.classifier import train_classifier
from rfcollapse.learn.integrate import Integrator
from rfcollapse.learn.plan import Plan, Training
from rfcollapse.measure import images
from rfcollapse.output import plain, replace
from rfcollapse.runs import looks

ALPHA, EPSILON = 0.5, 0.5
SCHEMES = ("reflow", "ra", "anchored", "ora", "oras", "fresh")


class Scale(NamedTuple):
    """Sizes of a recording; every round has as many chunks as the first one."""

    images: str
    held: int
    seeds: int
    rounds: int
    ablated_rounds: int
    channels: int
    first_steps: int
    steps: int
    batch: int
    pairs: int
    sampler: Integrator
    samples: int
    precision: str
    label: str | None = None  # of the file; None: the device's
    seed: int = 0
    folder: Path | None = None  # of all files; None: runs/ and benchmarks/results/


SCALES = {
    "cpu": Scale(
        "digits", 397, 4, 5, 3, 16, 3000, 600, 64, 2000, Integrator(10, "heun", 256), 1000, "float32", label="cpu"
    ),
    "gpu": Scale(
        "digits", 397, 16, 10, 5, 64, 20_000, 5000, 256, 20_000, Integrator(50, "heun", 2048), 4000, "bfloat16"
    ),
    "gpu-short": Scale(  # first reflow ra anchored: minutes, of which most are compilation
        "digits", 397, 4, 3, 2, 64, 4000, 1000, 256, 5000, Integrator(20, "heun", 2048), 2000, "bfloat16", "gpu_short"
    ),
    "gpu-photos": Scale(
        "photos", 1000, 8, 10, 5, 64, 40_000, 10_000, 128, 20_000, Integrator(50, "heun", 1024), 4000, "bfloat16"
    ),
    "trial": Scale("digits", 397, 2, 2, 1, 8, 20, 10, 8, 20, Integrator(2, "heun", 256), 100, "float32", label="trial"),
}

ABLATIONS = {
    "ra, real fraction .1": dict(scheme="ra", real_fraction=0.1),
    "ra, real fraction .9": dict(scheme="ra", real_fraction=0.9),
    "ra, 100 real images": dict(scheme="ra", real=100),
    "reflow, a tenth of the pairs": dict(scheme="reflow", fewer_pairs=10),
    "reflow, cold start": dict(scheme="reflow", warm_start=False, longer=2),
}


def key(scale):
    return jax.random.key(scale.seed)


@cache
def material(scale):
    """The images, rows to train on, and what others are compared with."""
    found = data.digits() if scale.images == "digits" else data.photo_patches()
    order = np.asarray(jax.random.permutation(key(scale), len(found.samples)))
    held, train = order[: scale.held], order[scale.held :]
    rows, labels = np.asarray(found.samples), np.asarray(found.labels)
    classifier = train_classifier(key(scale), rows[train], labels[train])
    accuracy = float(np.mean(np.asarray(classifier.classes(rows[held])) == labels[held]))
    return found, rows[train], images.reference(rows[train], rows[held], classifier.features), accuracy


def settings(scale, **changed):
    found, rows, _, _ = material(scale)
    options = dict(scheme="reflow", real_fraction=ALPHA, diffusion=EPSILON, rounds=scale.rounds, warm_start=True)
    options |= dict(seeds=scale.seeds, model="unet", options={"shape": found.shape, "channels": scale.channels})
    options |= dict(pairs=scale.pairs, probes=max(1024, rows.shape[1]), at_once=scale.sampler.at_once)
    options |= scale.sampler.options
    return options | changed


def training(scale, steps, rate):
    return Training(steps, scale.batch, rate, chunk=steps // 5, precision=scale.precision)


def looked(scale, models, curve):
    found, _, reference, _ = material(scale)
    one = looks.looked_at(key(scale), models, reference, scale.sampler, samples=scale.samples, curve=curve)
    levels = looks.levels(one.pop("shown"), found.scale, found.mean, 15)
    shown = ["".join(f"{level:x}" for level in row) for row in levels]
    return {name: np.round(values, 4).tolist() for name, values in one.items()} | {"shown": shown}


def entry(scale, one, curve):
    extra = {"straightness": one.straightness.round(4).tolist(), "loss": one.loss[:, -1].round(4).tolist()}
    return looked(scale, one.models, curve) | extra


def kept(scale, name="first_models"):
    """The file of the first models, or of a part's last ones; what is called _first.eqx is an older version's."""
    folder = scale.folder or ROOT / "runs" / (f"seed-{scale.seed}" if scale.seed else "")
    return folder / f"images_{scale.images}_{label(scale)}_{re.sub(r'[^a-z0-9.]+', '_', name)}.eqx"


def keep(path, models, rounds=None):
    """Models, below a line that says which rounds led to them."""
    file = io.BytesIO()
    if rounds is not None:
        file.write(json.dumps(rounds).encode() + b"\n")
    eqx.tree_serialise_leaves(file, models)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, file.getvalue())


def begun(path, of, like):
    """What a part that was cut off has left: its entries, and the models of their rounds, all None but for the last."""
    if path.exists():
        with path.open("rb") as file:
            rounds = json.loads(file.readline())
            if rounds["of"] == of:
                count = len(rounds["entries"])
                return rounds["entries"], [*[None] * (count - 1), eqx.tree_deserialise_leaves(file, like)]
    return [], []


def sizes(scale):
    return {name: value for name, value in scale._asdict().items() if name != "folder"}


def first(scale):
    """Round 0, and real training images in the place of generated ones, to compare with."""
    _, rows, reference, accuracy = material(scale)
    made = []
    first_training = training(scale, scale.first_steps, 4e-3)
    reflow.run(key(scale), rows, training=first_training, on_round=made.append, **settings(scale, rounds=0))
    keep(kept(scale), made[0].models)
    real = images.quality(reference, rows[: scale.samples])._asdict()
    result = {"real": {name: np.round(value, 4).tolist() for name, value in real.items()}, "accuracy": accuracy}
    result |= {"variances": reference.variances.round(5).tolist(), "sizes": sizes(scale)}
    return result | {"rounds": [entry(scale, made[0], True)]}


def part(scale, name, *, scheme, rounds=None, real=None, fewer_pairs=1, longer=1, **changed):
    """The rounds after the first model, each kept until all are there."""
    _, rows, _, _ = material(scale)
    rounds = rounds or scale.rounds
    pairs = scale.pairs // fewer_pairs
    wanted = settings(scale, scheme=scheme, rounds=rounds, pairs=pairs, **changed)
    later = training(scale, longer * scale.steps, 2e-3)
    like = eqx.filter_eval_shape(
        lambda: reflow.new_models(key(scale), rows.shape[1], scale.seeds, "unet", "velocity", **wanted["options"])
    )
    first_models, plan = eqx.tree_deserialise_leaves(kept(scale), like), Plan(training=later, **wanted)
    said = dict(scheme=scheme, real=real, pairs=pairs, longer=longer) | changed
    of = plain({"settings": said, "sizes": sizes(scale), "first": hashlib.sha256(kept(scale).read_bytes()).hexdigest()})
    entries, models = begun(kept(scale, name), of, like)
    for latest in reflow.each_round(key(scale), rows[:real], plan, [first_models, *models]):
        print(f"  round {latest.index}", file=sys.stderr, flush=True)
        entries.append(entry(scale, latest, latest.index == rounds))
        keep(kept(scale, name), latest.models, {"of": of, "entries": entries})
    kept(scale, name).unlink()  # a part that is made again begins anew
    return {"rounds": entries, "settings": said}


def label(scale):
    return scale.label or devices.this_machine()[0]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", nargs="*", help="; ".join(["first", *SCHEMES, *ABLATIONS]))
    parser.add_argument("--scale", choices=tuple(SCALES), default="cpu")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of all files (benchmarks/results, and runs)")
    add_seed(parser)
    options = parser.parse_args(arguments)
    devices.use_all_cores()
    if options.scale.startswith("gpu") and jax.devices()[0].platform == "cpu":
        parser.error(f"JAX finds no GPU for --scale {options.scale}; JAX_PLATFORMS=cuda,cpu says why one won't start")
    scale = SCALES[options.scale]._replace(seed=options.seed, folder=options.out)
    parts = {"first": lambda: first(scale)}
    parts |= {scheme: lambda scheme=scheme: part(scale, scheme, scheme=scheme) for scheme in SCHEMES}
    for name, changed in ABLATIONS.items():
        parts[name] = lambda name=name, changed=changed: part(scale, name, rounds=scale.ablated_rounds, **changed)
    suffix = "" if scale.images == "digits" else f"_{scale.images}"
    folder = ROOT / "runs" if options.scale == "trial" and not scale.seed else repeats.results(ROOT, scale.seed)
    record(parts, options.part, (options.out or folder) / f"images_{label(scale)}{suffix}.json")


if __name__ == "__main__":
    main()
