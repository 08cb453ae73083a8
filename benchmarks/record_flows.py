"""What Euler's steps of trained flows lose, where Reflow's cost goes, and flows of heavy tails on their own samples.

    python benchmarks/record_flows.py [--seed N] [PART …]

writes benchmarks/results/flows_<platform>.json, with another seed into runs/seed-N/results, a part at a time; parts
that are there stay unless they are named. Settings were chosen by the error of round 0 on seeds other than the one
recorded here. Means of (u·x)² are named "squares"; where they stand for directions, the total comes first.
"""

import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from recordings import command
from scipy import stats

from rfcollapse import data
from rfcollapse.learn import devices, integrate, pairs, reflow
from rfcollapse.learn.plan import Training
from rfcollapse.measure import euler, transport

devices.use_all_cores()  # one XLA device per core: seeds train side by side

SEEDS, SHOWN = 8, 10  # principal directions that are kept
STEPS, SPLIT, FINE = (4, 8, 16, 32, 64), (4, 8, 16), 100  # of Euler; split exactly; of Heun, in their place
ROWS, SAMPLES = 16_384, 65_536  # of mixtures; of heavy tails
MLP = dict(options={"width": 128, "frequencies": 4}, training=Training(steps=8000, batch=256, learning_rate=3e-3))
DIGITS = dict(options={"width": 256, "frequencies": 4}, training=Training(steps=6000, batch=128, learning_rate=2e-3))
UNET = dict(model="unet", options={"shape": (8, 8), "channels": 16})
UNET |= dict(training=Training(steps=2000, batch=64, learning_rate=4e-3))
TAILS = dict(options={"width": 64, "frequencies": 4}, training=Training(steps=8000, batch=256, learning_rate=5e-3))
SHAPES = {  # of variance 4
    "laplace": stats.laplace(scale=2**0.5),
    "exponential": stats.expon(loc=-2, scale=2),
    "student": stats.t(5, scale=(4 * 3 / 5) ** 0.5),
    "uniform": stats.uniform(-(12**0.5), 2 * 12**0.5),
    "modes": None,  # ±√3.64, each of standard deviation .6
}


def noise(key, rows, d):
    return jax.random.normal(key, (SEEDS, rows, d), dtype=jnp.float32)


def each_seed(function, models, *arrays):
    """The measures of every seed, as lists."""
    mesh = devices.mesh(SEEDS)
    found = pairs.on_each_seed(function, integrate.Integrator(FINE, "heun", 1024), mesh, models, *arrays)
    return jax.tree.map(lambda array: np.asarray(devices.fetch(array), float).tolist(), found)


def first_models(key, real, **settings):
    return reflow.run(key, real, scheme="reflow", rounds=0, seeds=SEEDS, probes=1024, **settings).models[0]


def mixture(draw, key):
    """Samples of each seed to train on, and as many others."""
    drawn = np.asarray([draw(one, 2 * ROWS) for one in jax.random.split(key, SEEDS)], np.float32)
    return drawn[:, :ROWS], drawn[:, ROWS:]


def images(key):
    """The digits, the same for training and for measuring: the law is that of what a model is fitted to."""
    rows = np.asarray(data.digits().samples, np.float32)
    return (np.broadcast_to(rows, (SEEDS, *rows.shape)),) * 2


def along(squares):
    """The total, then the first principal directions."""
    return jnp.concatenate([squares.sum(axis=-1, keepdims=True), squares[..., :SHOWN]], axis=-1)


def losses(split, integrator, model, start, x0, x1, axes):
    """Of one seed: what fine steps make of the noise, what Euler's lose of that, and what is predicted."""

    def squares(rows):
        return jnp.mean((rows @ axes.T) ** 2, axis=0)

    options, few = dict(directions=axes, at_once=512), len(x0) // 4
    fine = squares(integrator.generate(model, start))
    coarse = [squares(integrator._replace(steps=count, method="euler").generate(model, start)) for count in STEPS]
    parts = [euler.euler_loss(model, x0, x1, count, **options) for count in split]
    found = {"data": squares(x1), "fine": fine, "measured": fine[None] - jnp.stack(coarse)}
    found |= {name: jnp.stack([getattr(part, name).mean(axis=0) for part in parts]) for name in ("loss", "bias")}
    found["by_acceleration"] = euler.euler_loss_rate(model, start, steps=32, **options).mean(axis=0)
    found["by_residuals"] = euler.residual_loss_rate(model, x0[:few], x1[:few], times=4, **options).mean(axis=0)
    return {name: along(values) for name, values in found.items()}


def steps_of(material, rows, split=SPLIT, **settings):
    """A part: Euler's loss of first models from so many rows of noise, at first order, and split on as many pairs.

    What is measured and predicted by acceleration starts from the same noise.
    """

    def part(key):
        key_data, key_train, key_noise, key_order, key_pairs = jax.random.split(key, 5)
        train, other = material(key_data)
        d = train.shape[2]
        models = first_models(key_train, train, **settings)
        variances, axes = np.linalg.eigh(np.cov(other.reshape(-1, d).T, bias=True))
        axes = np.broadcast_to(axes.T[::-1].astype(np.float32), (SEEDS, d, d))
        shuffled = [jax.random.permutation(*one) for one in zip(jax.random.split(key_order, SEEDS), other)]
        x1 = np.stack([np.resize(one, (rows, d)) for one in shuffled])
        start, x0 = noise(key_noise, rows, d), noise(key_pairs, rows, d)
        found = each_seed(partial_of(losses, split), models, start, x0, x1, axes)
        return found | {"variances": variances[::-1].tolist(), "steps": list(STEPS), "split": list(split)}

    return part


def partial_of(function, *arguments):
    """`partial`, the same object for the same arguments: what is compiled is looked up by it."""
    return PARTIALS.setdefault((function, arguments), partial(function, *arguments))


PARTIALS = {}


def terms(integrator, model, x0, x1):
    found = transport.transport_cost(model, x0, x1, at_once=1024)
    return {name: values.mean() for name, values in found._asdict().items()}


def costs_of(material, rows, rounds=5, **settings):
    """A part: the terms of the transport cost of every round, on pairs drawn anew: (rounds + 1, seeds)."""

    def part(key):
        key_data, key_train, key_pairs = jax.random.split(key, 3)
        train, _ = material(key_data)
        plan = dict(scheme="reflow", rounds=rounds, seeds=SEEDS, pairs=ROWS, probes=1024, steps=40, method="heun")
        models = reflow.run(key_train, train, **plan, **settings).models
        found, made = [], integrate.Integrator.generate
        for index, model in enumerate(models):
            x0 = noise(jax.random.fold_in(key_pairs, index), rows, train.shape[2])
            taken = np.resize(np.arange(train.shape[1]), rows)
            x1 = train[:, taken] if index == 0 else np.asarray(each_seed(made, models[index - 1], x0), np.float32)
            found.append(each_seed(terms, model, x0, x1))
        return {name: [one[name] for one in found] for name in found[0]}

    return part


def shaped(shape, key):
    """SAMPLES of each seed in two dimensions, each coordinate at even levels of the law, in an order of its own."""
    levels = (np.arange(SAMPLES) + 0.5) / SAMPLES
    if SHAPES[shape] is None:
        half = 0.6 * stats.norm.ppf(levels[::2]) + 3.64**0.5
        values = np.concatenate([-half, half])
    else:
        values = SHAPES[shape].ppf(levels)
    keys = jax.random.split(key, (SEEDS, 2))
    return np.stack([[np.asarray(jax.random.permutation(one, values)) for one in seed] for seed in keys]).swapaxes(1, 2)


def followed(integrator, model, start):
    rate = euler.euler_loss_rate(model, start[: ROWS // 4], steps=32, at_once=1024)
    return {"fine": (integrator.generate(model, start) ** 2).mean(axis=0), "rate": rate.mean(axis=0)}


def tails(key, rounds=6, steps=10):
    """Flows on their own samples: E x² of what each round makes, and of the same model followed exactly."""
    result = {}
    for index, shape in enumerate(SHAPES):
        print(f"  {shape}", file=sys.stderr, flush=True)
        key_data, key_train, key_noise = jax.random.split(jax.random.fold_in(key, index), 3)
        real = shaped(shape, key_data)
        plan = dict(scheme="self_consuming", rounds=rounds - 1, seeds=SEEDS, pairs=SAMPLES, probes=ROWS)
        run = reflow.run(key_train, real, steps=steps, method="euler", **plan, **TAILS)
        start = noise(key_noise, ROWS, 2)
        found = [each_seed(followed, models, start) for models in run.models]
        result[shape] = {"made": np.diagonal(run.second_moment, axis1=2, axis2=3).round(5).tolist()}
        result[shape] |= {name: np.stack([one[name] for one in found], axis=1).tolist() for name in found[0]}
        result[shape]["real"] = (real.astype(float) ** 2).mean(axis=1).tolist()
    return result


EIGHT = partial(mixture, data.eight_gaussians)
PARTS = {  # a part's place decides its key: new ones go to the end
    "euler_eight_gaussians": steps_of(EIGHT, ROWS, **MLP),
    "euler_two_moons": steps_of(partial(mixture, data.two_moons), ROWS, **MLP),
    "euler_checkerboard": steps_of(partial(mixture, data.checkerboard), ROWS, **MLP),
    "euler_digits": steps_of(images, 2 * 1797, **DIGITS),
    "euler_digits_unet": steps_of(images, 512, (4, 8), **UNET),
    "cost_eight_gaussians": costs_of(EIGHT, 8192, **MLP),
    "cost_digits": costs_of(images, 1797, **DIGITS),
    "tails": tails,
}


if __name__ == "__main__":
    command(__doc__, PARTS, "flows")
