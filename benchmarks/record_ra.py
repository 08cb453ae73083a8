"""Why RA Reflow slows a network's loss by more than the Gaussian balance law says: digits, no input noise.

    python benchmarks/record_ra.py [--seed N] [PART …]

writes benchmarks/results/ra_<platform>.json, with another seed into runs/seed-N/results, a part at a time; parts that
are there stay unless they are named. Numbers are means of (u·x)²: the total first, then along the first principal
directions of the digits.

balance_…: in each round, from the same model and the same pairs, one training for each real fraction, 0 among them;
what each loses of own pairs, drawn anew and those trained on, and of the real ones. The run goes on with α = ½.
arms_…: whole runs from the same first models, that differ in one thing each.
"""

import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from recordings import command

from rfcollapse import data
from rfcollapse.learn import devices, integrate, pairs, reflow
from rfcollapse.learn.plan import Plan, Training
from rfcollapse.learn.train import train

devices.use_all_cores()

SEEDS, PROBES, SHOWN, ON = 8, 8192, 20, 0.5
MLP = dict(options={"width": 256}, training=Training(steps=2000, batch=256, learning_rate=2e-3, chunk=500))
MLP |= dict(model="mlp", rounds=3, steps=20, first=2000, fractions=(0.1, 0.3, ON, 0.9))
UNET = dict(options={"shape": (8, 8), "channels": 16}, pairs=2000, probes=2000)
UNET |= dict(training=Training(steps=600, batch=64, learning_rate=2e-3, chunk=200))
UNET |= dict(model="unet", rounds=3, steps=10, first=3000, fractions=(ON,))


class Digits(NamedTuple):
    """The digits, first models of them, and how these are followed."""

    key: jax.Array
    rows: np.ndarray
    plan: Plan
    first: object

    def noise(self, index, count):
        shape = self.plan.seeds, count, self.rows.shape[1]
        return jax.random.normal(jax.random.fold_in(self.key, index), shape, dtype="float32")

    def generated(self, models, start):
        mesh = devices.mesh(self.plan.seeds)
        return pairs.on_each_seed(integrate.Integrator.generate, self.plan.integrator, mesh, models, start)

    def pool(self, key, models, real):
        """The pairs of a round: own ones, then `real` as the models invert them."""
        mesh = devices.mesh(self.plan.seeds)
        source = pairs.PairSource(self.plan, devices.spread(reflow.per_seed(real, self.plan.seeds), mesh), None, mesh)
        return pairs.make_pairs(key, source, models, None)

    def weighted(self, pool, fraction):
        """The pairs, so many of those drawn being real."""
        own, real = self.plan.pairs, pool.noise.shape[1] - self.plan.pairs
        shares = np.repeat([(1 - fraction) / own, fraction / real], [own, real])
        return pool._replace(weight=jnp.broadcast_to(shares, pool.weight.shape))

    def along(self, samples):
        """Of samples (seeds, n, d): the mean |x|², then (u·x)² along the first directions."""
        axes = np.linalg.eigh(np.cov(self.rows.T, bias=True))[1].T[::-1]
        squares = ((np.asarray(samples, float) @ axes.T) ** 2).mean(axis=1)
        return np.concatenate([squares.sum(axis=1, keepdims=True), squares[:, :SHOWN]], axis=1)


def digits(key, first, fractions, seeds=SEEDS, **settings):
    """`fractions` are those of `balance`."""
    rows = np.asarray(data.digits().samples, np.float32)
    plan = Plan(**dict(scheme="ra", real_fraction=ON, seeds=seeds, warm_start=True, at_once=1024) | settings)
    usual = plan.training
    longer = Training(first, usual.batch, 2 * usual.learning_rate, chunk=first // 5)
    plain = settings | dict(scheme="reflow", rounds=0, seeds=seeds, at_once=1024, training=longer)
    return Digits(key, rows, plan, reflow.run(key, rows, **plain).models[0])


def balance(**settings):
    """A part; by round and real fraction "fresh", "trained" and "real": (seeds, 1 + SHOWN), what is lost of each."""

    def part(key, **changed):
        wanted = settings | changed
        given, fractions = digits(key, **wanted), (0.0, *wanted["fractions"])
        models, rounds = given.first, []
        for index in range(1, given.plan.rounds + 1):
            print(f"  round {index}", file=sys.stderr, flush=True)
            key_pairs, key_training = jax.random.split(jax.random.fold_in(key, index))
            pool, own = given.pool(key_pairs, models, given.rows), given.plan.pairs
            start = given.noise(100 + index, PROBES)
            kinds = {"fresh": (start, given.generated(models, start))}
            for name, taken in (("trained", slice(None, own)), ("real", slice(own, None))):
                kinds[name] = pool.noise[:, taken], pool.data[:, taken]
            before = {name: given.along(x1) for name, (_, x1) in kinds.items()}
            trained, rounds = {}, [*rounds, {}]
            for fraction in fractions:
                mixed, options = given.weighted(pool, fraction), dict(training=given.plan.training, round=index)
                trained[fraction], _ = train(key_training, models, mixed, **options)
                after = {name: given.along(given.generated(trained[fraction], x0)) for name, (x0, _) in kinds.items()}
                rounds[-1][fraction] = {name: (before[name] - after[name]).round(5).tolist() for name in kinds}
            rounds[-1]["before"] = {name: before[name][:, 0].round(4).tolist() for name in kinds}
            models = trained[ON]
        return rounds

    return part


class Arm(NamedTuple):
    """What a run's pairs are."""

    real_fraction: float = 0.0
    """α, of pairs that the current model inverts; 0 is Reflow."""
    noise: str = "anew"
    """That own samples are made from: drawn "anew" in every round, or "kept" through all of them."""
    real: str = "all"
    """In the place of real data: "all" digits, the same "part" of them in every round, "another" part in each, or
    samples of the first model, "made" once from noise of their own."""


ARMS = {
    "reflow": Arm(),
    "ra": Arm(ON),
    "reflow, own noise kept": Arm(noise="kept"),
    "ra, own noise kept": Arm(ON, noise="kept"),
    "ra, a part of the digits": Arm(ON, real="part"),
    "ra, another part in each round": Arm(ON, real="another"),
    "ra, samples of the first model": Arm(ON, real="made"),
}


def arms(**settings):
    """A part; by arm the squares of what the models of each round generate, (seeds, rounds + 1, 1 + SHOWN)."""

    def part(key, **changed):
        given = digits(key, **settings | changed)
        return {name: followed(given, name, arm) for name, arm in ARMS.items()}

    return part


def followed(given, name, arm):
    print(f"  {name}", file=sys.stderr, flush=True)
    rounds, count, models, probe = given.plan.rounds, len(given.rows), given.first, given.noise(99, PROBES)
    order = np.random.default_rng(np.asarray(jax.random.key_data(given.key))).permutation(count)
    parts = order[: count // rounds * rounds].reshape(rounds, -1)
    made = given.generated(models, given.noise(98, count)) if arm.real == "made" else None
    squares = [given.along(given.generated(models, probe))]
    for index in range(1, rounds + 1):
        key_pairs, key_training = jax.random.split(jax.random.fold_in(given.key, index))
        if arm.noise == "kept":
            key_pairs = jax.random.split(jax.random.fold_in(given.key, 1))[0]
        taken = {"part": parts[0], "another": parts[index - 1]}.get(arm.real, slice(None))
        pool = given.pool(key_pairs, models, given.rows[taken] if made is None else made)
        pool = given.weighted(pool, arm.real_fraction)
        models, _ = train(key_training, models, pool, training=given.plan.training, round=index)
        squares.append(given.along(given.generated(models, probe)))
    return np.stack(squares, axis=1).round(5).tolist()


PARTS = {  # a part's place decides its key: new ones go to the end
    "balance_mlp": balance(**MLP),
    "balance_unet": balance(**UNET),
    "arms_mlp": arms(**MLP),
    "balance_narrow": balance(**MLP | dict(options={"width": 64}, fractions=(ON,))),
}


if __name__ == "__main__":
    command(__doc__, PARTS, "ra")
