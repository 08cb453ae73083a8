"""Why RA Reflow slows a network's loss by more than the balance law says: arms that differ in one thing, on digits.

    python benchmarks/record_ra.py [--seed N] [PART …]

writes benchmarks/results/ra_<platform>.json, with another seed into runs/seed-N/results, a part at a time; parts that
are there stay unless they are named. Every arm goes on from the same first models, without input noise. Means of
(u·x)² of what the models generate: the total comes first, then the first principal directions of the digits.
"""

import sys
from typing import NamedTuple

import jax
import numpy as np
from recordings import command

from rfcollapse import data
from rfcollapse.learn import devices, integrate, pairs, reflow
from rfcollapse.learn.plan import Plan, Training
from rfcollapse.learn.train import train

devices.use_all_cores()

SEEDS, ROUNDS, PROBES, SHOWN = 8, 4, 4096, 64
MLP = dict(model="mlp", options={"width": 256}, training=Training(steps=2000, batch=256, learning_rate=2e-3, chunk=500))
LAST = ROUNDS + 1  # a key of its own


class Arm(NamedTuple):
    """What a run's pairs are, beside the own ones."""

    real_fraction: float = 0.0
    """α, of pairs that the current model inverts; 0 is Reflow."""
    noise: str = "anew"
    """That own samples are made from: drawn "anew" in every round, or "kept" through all of them."""
    real: str = "all"
    """In the place of real data: "all" digits, the same "part" of them in every round, "another" part in each, or
    samples of the first model, "made" once from noise of their own."""


ARMS = {
    "reflow": Arm(),
    "ra": Arm(0.5),
    "reflow, own noise kept": Arm(noise="kept"),
    "ra, own noise kept": Arm(0.5, noise="kept"),
    "ra, a part of the digits": Arm(0.5, real="part"),
    "ra, another part in each round": Arm(0.5, real="another"),
    "ra, samples of the first model": Arm(0.5, real="made"),
    "ra, real fraction .1": Arm(0.1),
    "ra, real fraction .3": Arm(0.3),
    "ra, real fraction .9": Arm(0.9),
}


def digits_mlp(key, arms=tuple(ARMS), seeds=SEEDS, rounds=ROUNDS, settings=MLP, **changed):
    """Squares by arm, (seeds, rounds + 1, 1 + SHOWN), and the mean square of the noise of inverted pairs."""
    rows = np.asarray(data.digits().samples, np.float32)
    axes = np.linalg.eigh(np.cov(rows.T, bias=True))[1].T[::-1]
    plan = dict(rounds=rounds, seeds=seeds, warm_start=True, steps=20, probes=PROBES, at_once=1024) | settings | changed
    first = reflow.run(key, rows, scheme="reflow", **plan | {"rounds": 0}).models[0]
    result = {"real": along(rows, axes).tolist()}
    for name in arms:
        print(f"  {name}", file=sys.stderr, flush=True)
        arm = ARMS[name]
        mixed = dict(scheme="ra" if arm.real_fraction else "reflow", real_fraction=arm.real_fraction)
        result[name] = followed(key, rows, axes, arm, first, Plan(**plan | mixed))
    return result


def along(samples, axes):
    """Of samples (…, n, d): the mean |x|², then (u·x)² in the first directions."""
    squares = ((np.asarray(samples, float) @ axes.T) ** 2).mean(axis=-2)
    return np.concatenate([squares.sum(axis=-1, keepdims=True), squares[..., :SHOWN]], axis=-1).round(6)


def followed(key, rows, axes, arm, models, plan):
    """The rounds of an arm, as `reflow.run` has them, with what the arm changes."""
    mesh = devices.mesh(plan.seeds)
    d = rows.shape[1]

    def noise(index, count):
        return jax.random.normal(jax.random.fold_in(key, index), (plan.seeds, count, d), dtype="float32")

    def generated(models, start):
        return pairs.on_each_seed(integrate.Integrator.generate, plan.integrator, mesh, models, start)

    order = np.random.default_rng(np.asarray(jax.random.key_data(key))).permutation(len(rows))
    parts = order[: len(rows) // plan.rounds * plan.rounds].reshape(plan.rounds, -1)
    own = generated(models, noise(LAST + 1, len(rows))) if arm.real == "made" else None
    squares, spread = [along(generated(models, noise(LAST, PROBES)), axes)], []
    for index in range(1, plan.rounds + 1):
        key_pairs, key_training = jax.random.split(jax.random.fold_in(key, index))
        taken = {"part": parts[0], "another": parts[index - 1]}.get(arm.real, slice(None))
        real = own if arm.real == "made" else reflow.per_seed(rows[taken], plan.seeds)
        source = pairs.PairSource(plan, devices.spread(real, mesh), None, mesh)
        drawn = key_pairs if arm.noise == "anew" else jax.random.split(jax.random.fold_in(key, 1))[0]
        pool = pairs.make_pairs(drawn, source, models, None)
        inverted = np.asarray(pool.noise[:, plan.pairs :], float)
        spread.append((inverted**2).mean(axis=(1, 2)).round(5))
        models, _ = train(key_training, models, pool, training=plan.training, round=index)
        squares.append(along(generated(models, noise(LAST, PROBES)), axes))
    found = {"squares": np.stack(squares, axis=1).tolist()}
    return found | ({"inverted": np.stack(spread, axis=1).tolist()} if arm.real_fraction else {})


PARTS = {"digits_mlp": digits_mlp}  # a part's place decides its key: new ones go to the end


if __name__ == "__main__":
    command(__doc__, PARTS, "ra")
