"""Real data and the noise that a reverse SDE finds for it, where the data are no Gaussian: the parts of notebook 08.

    python benchmarks/record_oras.py [--seed N] [PART …]

writes benchmarks/results/oras_<platform>.json, with another seed into runs/seed-N/results, a part at a time; parts
that are there stay unless they are named.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from record_reflow import EPSILON, GAUSSIAN, HALL, SEEDS, each_scheme, quality, transported, walked
from recordings import command

from rfcollapse import data
from rfcollapse.learn import density, integrate
from rfcollapse.learn.plan import Training

SCHEMES, STEPS = ("naive_oras", "oras", "scored_oras"), 20
SETTINGS = dict(real_fraction=0.5, diffusion=EPSILON, pairs=8192, steps=STEPS, options=GAUSSIAN["options"])
TRAINING = Training(steps=4000, batch=256, learning_rate=5e-3, chunk=1000)
BACK = 2048  # samples taken back to noise


def eight_gaussians(key, seeds=SEEDS, schemes=SCHEMES, training=TRAINING, **changed):
    """Five rounds from the same first models, as `record_reflow` has them, each scheme's models measured alike.

    "noise_sliced_w2" is the distance to N(0, I) of the noise that a round's own reverse SDE finds for that model's own
    samples; "floor" that of two draws from N(0, I) of this size; "tweedie_sliced_w2" that of what Tweedie's formula in
    the place of the score finds for the samples of the models of "scored_oras".
    """
    drawn = [data.eight_gaussians(one, 8192 + 2 * HALL) for one in jax.random.split(key, seeds)]
    train, held, other = np.split(np.asarray(drawn), (8192, 8192 + HALL), axis=1)
    runs = each_scheme(key, train, schemes, training, seeds=seeds, **(SETTINGS | changed))
    keys = [jax.random.fold_in(key, index) for index in range(1, 4)]
    noise, *fresh = (np.asarray(jax.random.normal(one, (seeds, HALL, 2), dtype="float32")) for one in keys)
    fresh, again = (one[:, :BACK] for one in fresh)
    result = {"real": quality(held, other[:, None]), "floor": {"noise_sliced_w2": transported(fresh, again[:, None])}}
    for scheme, run in runs.items():
        many, single = (
            np.stack([walked(models, noise, steps, method) for models in run.models], axis=1)
            for steps, method in ((STEPS, "heun"), (1, "euler"))
        )
        found = [
            returned(scheme, keys[0], models, own[:, :BACK], noise)
            for models, own in zip(run.models, many.swapaxes(0, 1))
        ]
        result[scheme] = quality(held, many) | {
            "noise_sliced_w2": transported(fresh, np.stack(found, axis=1)),
            "one_step_sliced_w2": transported(held, single),
            "straightness": run.straightness.round(5).tolist(),
        }
        if scheme == "scored_oras":
            naive = [by_tweedie(keys[0], *one) for one in zip(run.models, many[:, :, :BACK].swapaxes(0, 1))]
            result[scheme]["tweedie_sliced_w2"] = transported(fresh, np.stack(naive, axis=1))
    return result


def returned(scheme, key, models, samples, probe):
    """The noise that the scheme's reverse SDE finds for samples, seed by seed."""

    @eqx.filter_jit
    @eqx.filter_vmap(in_axes=(None, eqx.if_array(0), 0, 0))
    def one(key, model, samples, probe):
        if scheme == "scored_oras":
            return density.reverse_sde(key, model, samples, diffusion=EPSILON, steps=STEPS)
        marginals = integrate.marginals(model, probe, steps=STEPS) if scheme == "oras" else None
        return integrate.reverse_sde(key, model, samples, marginals, diffusion=EPSILON, steps=STEPS)

    return np.asarray(one(key, models, samples, probe))


def by_tweedie(key, models, samples, steps=200):
    """Noise by −(x − tv)/(1 − t), the score where noise and data are independent, in the middle of each step."""

    def one_sample(model, key, x):
        def step(x, inputs):
            key, t = inputs
            v = model(t, x)
            score = -(x - t * v) / (1 - t)
            random = EPSILON / steps**0.5 * jax.random.normal(key, x.shape, dtype=x.dtype)
            return x + (EPSILON**2 / 2 * score - v) / steps + random, None

        times = 1 - (jnp.arange(steps, dtype=x.dtype) + 0.5) / steps
        return jax.lax.scan(step, x, (jax.random.split(key, steps), times))[0]

    @eqx.filter_jit
    @eqx.filter_vmap
    def one(key, model, samples):
        keys = jax.random.split(key, len(samples))
        return jax.vmap(partial(one_sample, model))(keys, samples)

    return np.asarray(one(jax.random.split(key, len(samples)), models, jnp.asarray(samples, "float32")))


PARTS = {"eight_gaussians": eight_gaussians}  # a part's place decides its key: new ones go to the end


if __name__ == "__main__":
    command(__doc__, PARTS, "oras")
