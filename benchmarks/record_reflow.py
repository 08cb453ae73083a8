"""The trained networks of notebooks 07, 08 and 11 that take longer than a notebook may.

    python benchmarks/record_reflow.py [--seed N] [PART …]

writes benchmarks/results/reflow_<platform>.json, with another seed into runs/seed-N/results, a part at a time; parts
that are there stay unless they are named. Settings were chosen by the error of round 0 on seeds other than the one
recorded here.
"""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from recordings import command

from rfcollapse import check, data
from rfcollapse.advice import mechanisms, samples
from rfcollapse.learn import devices, integrate, reflow
from rfcollapse.learn.plan import Training
from rfcollapse.measure import coverage, distances

devices.use_all_cores()  # one XLA device per core: seeds train side by side

SEEDS, ROUNDS, PAIRS = 8, 5, 65_536
VARIANCES, DENOISED, ALPHA, EPSILON = np.array([4.0, 0.25]), np.array([9.0, 4.0]), 0.3, 0.5
GAUSSIAN = dict(options={"width": 64, "frequencies": 4}, training=Training(steps=8000, batch=256, learning_rate=5e-3))
X1 = dict(parametrisation="denoiser", steps=10, method="euler", real_fraction=ALPHA, ridge=0.2, pairs=PAIRS, rounds=3)
X1 |= dict(options=GAUSSIAN["options"], training=Training(steps=24_000, batch=256, learning_rate=5e-3))
# With 8,000 steps round 0 of X1 is .020 off in log-variance.
RETAIN, KEEP = 0.7, dict(rounds=8, steps=20, method="euler", pairs=16_384, probes=4096)
HALL, BINS, REACH = 4096, 48, 2.4  # samples compared; density pictures


def each_scheme(key, real, schemes, training, **settings):
    """All schemes from the same first models."""
    first, runs = [], {}
    for scheme in schemes:
        print(f"  {scheme}", file=sys.stderr, flush=True)
        options = dict(rounds=ROUNDS, seeds=SEEDS, training=training, finished=first[:1], on_round=first.append)
        runs[scheme] = reflow.run(key, real, scheme=scheme, **(options | settings))
    return runs


def moments(run):
    def logs(values):
        return np.log(np.diagonal(values, axis1=2, axis2=3)).round(5).tolist()

    shown = {"log_variance": logs(run.second_moment), "log_one_step": logs(run.one_step_moment)}
    return shown | {"straightness": run.straightness.round(5).tolist()}


def velocity(key):
    schemes = ("reflow", "ra", "anchored", "oras", "fresh")
    settings = dict(real_fraction=ALPHA, ridge=0.2, diffusion=EPSILON, pairs=PAIRS)
    runs = each_scheme(key, data.exact_gaussians(key, SEEDS, PAIRS, VARIANCES), schemes, **GAUSSIAN, **settings)
    return {scheme: moments(run) for scheme, run in runs.items()}


def first_models_off(seeds, schemes, **settings):
    """From first models trained with ridge 1, which generate (λ0 + 1)/2."""

    def part(key):
        real = data.exact_gaussians(key, seeds, PAIRS, VARIANCES)
        runs = each_scheme(key, real, schemes, seeds=seeds, first_ridge=1.0, pairs=PAIRS, **GAUSSIAN, **settings)
        return {scheme: moments(run) for scheme, run in runs.items()}

    return part


def denoiser(*schemes):
    """Three rounds of variances 9 and 4: a direction that has nearly died is below a network's accuracy.

    Twice eight seeds, since eight scatter too much for the margin.
    """

    def part(key):
        result = {}
        for half in (key, jax.random.fold_in(key, 1)):
            runs = each_scheme(half, data.exact_gaussians(half, SEEDS, PAIRS, DENOISED), schemes, **X1)
            for scheme, run in runs.items():
                found = moments(run)
                result[scheme] = {name: result.get(scheme, {}).get(name, []) + found[name] for name in found}
        return result

    return part


def denoiser_pairs(key):
    """Reflow's rounds of the denoiser, and the best denoiser of the very pairs (z, G(z)) of each: ln E G(z)² of both.

    "start" is that of the round before. All three are sums over the same grid of z.
    """
    run = reflow.run(key, data.exact_gaussians(key, SEEDS, PAIRS, DENOISED), scheme="reflow", seeds=SEEDS, **X1)
    axis = np.arange(-27, 28, dtype=np.float32) / 6  # kernels of width √.2, spread by a gain of up to 2.5
    noise = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    mass = np.exp(-(noise**2).sum(axis=1) / 2)
    everywhere = np.broadcast_to(noise, (SEEDS, *noise.shape))
    maps = [walked(models, everywhere, X1["steps"], X1["method"]) for models in run.models]
    best = [np.stack([np.asarray(best_denoiser(noise, seed, mass)) for seed in one]) for one in maps[:-1]]

    def log_squares(found):
        found = np.stack(found, axis=1).astype(np.float64)
        return np.log(np.einsum("n,srni->sri", mass / mass.sum(), found**2)).round(5).tolist()

    return {"start": log_squares(maps[:-1]), "best": log_squares(best), "measured": log_squares(maps[1:])}


@check.in_float64
@jax.jit
def best_denoiser(noise, mapped, mass):
    """What Euler steps of E[x1 | x_t + √τ e] make of the noise, the pairs (noise, mapped) being atoms of this mass."""

    def denoised(index, x):
        place = noise + index / X1["steps"] * (mapped - noise)
        near = jnp.log(mass) + (place @ x - (place**2).sum(axis=1) / 2) / X1["ridge"]
        return x + (jax.nn.softmax(near) @ mapped - x) / (X1["steps"] - index)

    return jax.lax.map(lambda x: jax.lax.fori_loop(0, X1["steps"], denoised, x), noise, batch_size=256)


def dimension(key):
    """One round of fresh pairs on isotropic data; g² is brought to about 2 by first training with ridge 2."""
    result = {}
    for d in (2, 8):
        settings = dict(
            scheme="fresh", rounds=1, seeds=SEEDS, real_fraction=ALPHA, ridge=0.2, first_ridge=2.0, pairs=PAIRS
        )
        real = data.exact_gaussians(key, SEEDS, PAIRS, np.full(d, 4.0))
        run = reflow.run(key, real, probes=8192, **GAUSSIAN, **settings)
        result[str(d)] = (np.trace(run.second_moment, axis1=2, axis2=3) / d).round(5).tolist()
    return result


def retention(key):
    """Flows on their own samples with the real fraction that `budget` names: the share of the total variance."""
    mechanism = mechanisms.Flow(KEEP["steps"])
    digits = np.asarray(data.digits().samples)
    spectrum = samples.spectrum(samples.open_samples(digits)).variances
    gaussian = data.exact_gaussians(key, SEEDS, PAIRS, VARIANCES)
    linear = dict(model="linear", training=Training(steps=1500, batch=128, learning_rate=0.01, chunk=500))
    network = dict(options={"width": 128}, training=Training(steps=4000, batch=256, learning_rate=3e-3, chunk=500))
    result = {}
    for name, given, variances, settings in (
        ("gaussian", gaussian, VARIANCES, GAUSSIAN),
        ("digits_linear", digits, spectrum, linear),
        ("digits", digits, spectrum, network),
    ):
        print(f"  {name}", file=sys.stderr, flush=True)
        fraction = float(mechanisms.required_fraction(mechanism, variances, RETAIN))
        run = reflow.run(key, given, scheme="self_consuming", real_fraction=fraction, seeds=SEEDS, **KEEP, **settings)
        share = np.trace(run.second_moment, axis1=2, axis2=3) / variances.sum()
        result[name] = {"real_fraction": round(fraction, 5), "share": share.round(5).tolist()}
    return result


def mixture(draw, seeds=SEEDS, steps=4000, **options):
    def part(key):
        drawn = [draw(one, 8192 + 2 * HALL) for one in jax.random.split(key, seeds)]
        train, held, other = np.split(np.asarray(drawn), (8192, 8192 + HALL), axis=1)
        training = Training(steps, batch=256, learning_rate=5e-3, chunk=steps // 4)  # after each, "ora" inverts anew
        schemes = ("reflow", "ra", "anchored", "oras", "ora", "fresh")
        settings = dict(training=training, real_fraction=0.5, diffusion=EPSILON, pairs=8192, steps=20, seeds=seeds)
        runs = each_scheme(key, train, schemes, options=GAUSSIAN["options"] | options, **settings)
        noise = np.asarray(jax.random.normal(jax.random.fold_in(key, 1), (seeds, HALL, 2), dtype="float32"))
        result = {"real": quality(held, other[:, None]) | {"density": density(held)}}
        for scheme, run in runs.items():
            many, single = (
                np.stack([walked(models, noise, steps, method) for models in run.models], axis=1)
                for steps, method in ((20, "heun"), (1, "euler"))
            )
            result[scheme] = quality(held, many) | {
                "one_step_sliced_w2": transported(held, single),
                "straightness": run.straightness.round(5).tolist(),
                "density": density(many[:, -1]),
            }
            result.setdefault("first", {"density": density(many[:, 0])})
        return result

    return part


def walked(models, noise, steps, method):
    @eqx.filter_jit
    @eqx.filter_vmap
    def one(model, noise):
        return integrate.generate(model, noise, steps=steps, method=method)

    return np.asarray(one(models, noise))


def transported(held, generated):
    """Sliced W2 to held-out data; generated: (seeds, rounds, n, d)."""
    key = jax.random.key(0)
    found = [[float(distances.sliced_w2(key, real, one)) for one in rounds] for real, rounds in zip(held, generated)]
    return np.round(found, 5).tolist()


def quality(held, generated):
    """Sliced W2, precision and recall against held-out data; generated: (seeds, rounds, n, d)."""
    both = [[coverage.coverage(real[:2000], one[:2000]) for one in rounds] for real, rounds in zip(held, generated)]
    return {
        "sliced_w2": transported(held, generated),
        "precision": [[round(float(one.precision), 5) for one in rounds] for rounds in both],
        "recall": [[round(float(one.recall), 5) for one in rounds] for rounds in both],
    }


def density(points):
    """Rows of digits, 0 to 9, the highest y first: the square root of a histogram over all seeds."""
    counts = np.histogram2d(*points.reshape(-1, 2).T, bins=BINS, range=[[-REACH, REACH]] * 2)[0].T[::-1]
    levels = np.rint(9 * np.sqrt(np.minimum(counts / np.quantile(counts[counts > 0], 0.98), 1))).astype(int)
    return ["".join(map(str, row)) for row in levels]


PARTS = {  # a part's place decides its key: new ones go to the end
    "velocity": velocity,
    "denoiser": denoiser("reflow", "anchored"),
    "dimension": dimension,
    "eight_gaussians": mixture(data.eight_gaussians),
    "two_moons": mixture(data.two_moons),
    "checkerboard": mixture(data.checkerboard, 4, steps=8000, width=128),  # as the others, round 0 does not fit it
    "retention": retention,
    "off": first_models_off(12, ("reflow", "ra", "anchored", "fresh"), real_fraction=0.5, ridge=0.1),
    "healing": first_models_off(SEEDS, ("ra", "fresh"), real_fraction=ALPHA),
    "denoiser_ra": denoiser("ra"),
    "denoiser_pairs": denoiser_pairs,
}


if __name__ == "__main__":
    command(__doc__, PARTS, "reflow")
