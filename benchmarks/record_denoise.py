"""The self-trained denoisers of notebook 09 that take longer than a notebook may.

    python benchmarks/record_denoise.py [--seed N] [PART …]

writes benchmarks/results/denoise_<platform>.json, with another seed into runs/seed-N/results, a part at a time; parts
that are there stay unless they are named.
"""

import jax
import numpy as np
from recordings import command

from rfcollapse import data
from rfcollapse.learn import denoise, devices
from rfcollapse.learn.plan import Training
from rfcollapse.measure.moments import within_and_between

devices.use_all_cores()  # one XLA device per core: seeds train side by side

SEEDS = 8
MLP = dict(options={"width": 256, "depth": 2}, training=Training(steps=1000, batch=128, learning_rate=2e-3))
UNET = dict(model="unet", options={"shape": (8, 8), "channels": 16})
UNET |= dict(training=Training(steps=1000, batch=128, learning_rate=2e-3))


def digits(rounds, copies, *, every=False, **settings):
    """Digits in grey values over 4, each image so many times, at σ = 1: what a round has, pays and leaves.

    With `every`, also variances along the first ten principal directions, eigenvalues, and a dozen images.
    """

    def part(key):
        images = data.digits()
        rows = np.tile(4 * images.scale * np.asarray(images.samples), (copies, 1))
        run = denoise.run(key, rows, noise_std=1.0, rounds=rounds, seeds=SEEDS, **settings)
        kept = {name: getattr(run, name).round(5) for name in ("variance", "pool", "loss", "scale_defect")}
        if every:
            axes = np.linalg.eigh(np.cov(rows.T))[1][:, :-11:-1]
            for name in ("covariance", "residual", "made"):
                matrices = getattr(run, name)
                kept[f"{name}_along"] = np.einsum("di,srde,ei->sri", axes, matrices, axes).round(5)
                kept[f"{name}_eigenvalues"] = np.linalg.eigvalsh(matrices)[:, :, ::-1].astype(np.float32)
            kept["shown"] = run.shown[0, :, :12].round(2)
        return {name: values.tolist() for name, values in kept.items()}

    return part


def clocks(key, count=20_000, rounds=4, noise_std=0.5):
    """Variance within the modes of a mixture and between them, round by round: (seeds, rounds + 1, 2)."""
    which, inside = jax.random.split(key)
    sides = jax.random.rademacher(which, (SEEDS, count, 1), dtype=np.float32)
    rows = np.asarray(1.9 * sides + 0.6 * jax.random.normal(inside, sides.shape, dtype=np.float32))
    kept = [rows]
    training = Training(steps=4000, batch=128, learning_rate=5e-3)
    settings = dict(seeds=SEEDS, options={"width": 64, "depth": 3}, training=training)
    run = denoise.run(
        key, rows, noise_std=noise_std, rounds=rounds, on_round=lambda one: kept.append(one.samples), **settings
    )
    parts = np.array([[within_and_between(seed, seed[:, 0] > 0) for seed in made] for made in kept])
    return {"parts": parts.swapaxes(0, 1).round(5).tolist(), "loss": run.loss.round(5).tolist()}


PARTS = {  # a part's place decides its key: new ones go to the end
    "digits_10": digits(6, 2, real_fraction=0.1, **MLP),
    "digits_30": digits(6, 2, real_fraction=0.3, **MLP),
    "digits_unet": digits(3, 2, **UNET),
    "clocks": clocks,
    "digits": digits(6, 12, every=True, **MLP),
}


if __name__ == "__main__":
    command(__doc__, PARTS, "denoise")
