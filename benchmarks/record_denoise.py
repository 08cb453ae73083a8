"""The self-trained denoisers of notebook 09 that take longer than a notebook may.

    python benchmarks/record_denoise.py [--seed N] [PART …]

writes benchmarks/results/denoise_<platform>.json, with another seed into runs/seed-N/results, a part at a time; parts
that are there stay unless they are named.
"""

import jax
import numpy as np
from recordings import command

from rfcollapse import data
from rfcollapse.learn import classifier, denoise, devices
from rfcollapse.learn.plan import Training
from rfcollapse.measure.moments import within_and_between

devices.use_all_cores()  # one XLA device per core: seeds train side by side

SEEDS = 8
MLP = dict(options={"width": 256, "depth": 2}, training=Training(steps=1000, batch=128, learning_rate=2e-3))
WIDE = dict(options={"width": 512, "depth": 2}, training=Training(steps=1600, batch=128, learning_rate=1e-3))
LONG = dict(options={"width": 64, "depth": 3}, training=Training(steps=4000, batch=128, learning_rate=5e-3))
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
        more = along(run, rows) | {"shown": run.shown[0, :, :12].round(2).tolist()} if every else {}
        return totals(run) | more

    return part


def totals(run):
    """What each round has, pays and leaves."""
    return {name: getattr(run, name).round(5).tolist() for name in ("variance", "pool", "loss", "scale_defect")}


def along(run, rows, count=None):
    """Variances along the first ten principal directions of the real rows, and so many eigenvalues."""
    axes, kept = np.linalg.eigh(np.cov(rows.T))[1][:, :-11:-1], {}
    for name in ("covariance", "residual", "made"):
        kept[f"{name}_along"] = np.einsum("di,srde,ei->sri", axes, getattr(run, name), axes).round(5).tolist()
    for name in ("covariance", "made"):
        kept[f"{name}_eigenvalues"] = np.linalg.eigvalsh(getattr(run, name))[:, :, ::-1][:, :, :count].tolist()
    return kept


def fashion(alpha, shown):
    """5,000 garments, pixels in [-1, 1] and centred, at σ = .5: also variance within classes and between them.

    Also one garment of each class after each round in `shown`, in whole grey values from 0 to 255: what became of the
    first real one where rows keep their place (α = 0), else the first that the classifier finds, black where none.
    """

    def part(key):
        images = data.fashion()
        unit = 2 * images.scale
        rows = np.asarray(unit * np.asarray(images.samples), np.float32)
        judge = classifier.train_classifier(jax.random.fold_in(key, 10), images.samples, images.labels)
        parts = []

        def measure(samples):
            parts.append([within_and_between(one, np.asarray(judge.classes(one / unit))) for one in samples])

        measure(np.broadcast_to(rows, (SEEDS, *rows.shape)))
        settings = dict(noise_std=0.5, rounds=6, seeds=SEEDS, real_fraction=alpha, **WIDE)
        run = denoise.run(key, rows, on_round=lambda one: measure(one.samples), **settings)
        grey = np.zeros((len(shown), 10, rows.shape[1]))
        for place, j in enumerate(shown):
            garments = run.shown[0, j] / unit
            labels = np.asarray(judge.classes(garments) if alpha else images.labels[: len(garments)])
            found, first = np.unique(labels, return_index=True)
            grey[place, found] = images.pixels(garments[first]).reshape(len(first), -1)
        right = float((judge.classes(images.samples) == images.labels).mean())
        more = {"parts": np.array(parts).swapaxes(0, 1).round(4).tolist(), "classifier": right}
        more["shown"] = np.round(255 * grey).astype(int).tolist()
        return totals(run) | along(run, rows, 50) | more

    return part


def photos(key):
    """Colour patches of 8 × 8 pixels, whose values have variance 1 on average, at σ = .25, each patch four times."""
    rows = np.tile(np.asarray(data.photo_patches(8).samples, np.float32), (4, 1))
    return totals(denoise.run(key, rows, noise_std=0.25, rounds=6, seeds=SEEDS, **MLP))


def points(alpha, rounds, start=1.0):
    """Two points ±3 at σ = 1, from so much of their distance: variances and losses, round by round."""

    def part(key, count=20_000):
        real = np.where(np.arange(count)[:, None] % 2, 3.0, -3.0)
        settings = dict(noise_std=1.0, rounds=rounds, seeds=SEEDS, real_fraction=alpha, **LONG)
        return totals(denoise.run(key, real, start=start * real, **settings))

    return part


def clocks(key, count=20_000, rounds=4, noise_std=0.5):
    """Variance within the modes of a mixture and between them, round by round: (seeds, rounds + 1, 2)."""
    which, inside = jax.random.split(key)
    sides = jax.random.rademacher(which, (SEEDS, count, 1), dtype=np.float32)
    rows = np.asarray(1.9 * sides + 0.6 * jax.random.normal(inside, sides.shape, dtype=np.float32))
    kept = [rows]
    settings = dict(noise_std=noise_std, rounds=rounds, seeds=SEEDS, **LONG)
    run = denoise.run(key, rows, on_round=lambda one: kept.append(one.samples), **settings)
    parts = np.array([[within_and_between(seed, seed[:, 0] > 0) for seed in made] for made in kept])
    return {"parts": parts.swapaxes(0, 1).round(5).tolist(), "loss": run.loss.round(5).tolist()}


PARTS = {  # a part's place decides its key: new ones go to the end
    "digits_10": digits(6, 2, real_fraction=0.1, **MLP),
    "digits_30": digits(6, 2, real_fraction=0.3, **MLP),
    "digits_unet": digits(3, 2, **UNET),
    "clocks": clocks,
    "digits": digits(6, 12, every=True, **MLP),
    "fashion": fashion(0.0, [0, 1, 2, 4, 6]),
    "fashion_10": fashion(0.1, [2, 6]),
    "fashion_30": fashion(0.3, [2, 6]),
    "photos": photos,
    "points_held": points(0.1, 60),
    "points_lost": points(0.1, 30, start=0.1),
    "points_calm": points(0.05, 150),
}


if __name__ == "__main__":
    command(__doc__, PARTS, "denoise")
