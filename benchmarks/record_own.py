"""Rounds of `rfcollapse.own` with a model of scikit-learn's, for the claims of notebook 13.

    python benchmarks/record_own.py [--seed N] [SCHEME …]

writes benchmarks/results/own_<platform>.json, with another seed into runs/seed-N/results, a part at a time. The model
is a linear velocity v = A(t)x, A piecewise linear in t, fitted by least squares with noise of variance τ on its input,
as in notebook 07; nothing of its training is known to the suite but the two functions. Data are Gaussian, their second
moments exact. Sizes were chosen by the time that they take, on another key than is recorded.
"""

import jax
import numpy as np
from recordings import command
from sklearn.linear_model import LinearRegression
from tqdm import tqdm

from rfcollapse import own

REAL, ROWS, SEEDS = np.array([4.0, 0.25]), 8192, 16
RIDGE, ALPHA, ROUNDS, REDRAWS = 0.2, 0.3, 5, 4
HATS = 17  # functions of t, 1 at k/16 and 0 at all others


def hats(t):
    return np.maximum(0.0, 1 - np.abs((HATS - 1) * np.asarray(t)[..., None] - np.arange(HATS)))


def fitted(rng):
    """fit(x0, x1, previous) of one run; the first model has no noise on its input."""

    def fit(x0, x1, previous):
        t = rng.uniform(size=len(x0))
        x = (1 - t)[:, None] * x0 + t[:, None] * x1
        if previous is not None:
            x += RIDGE**0.5 * rng.standard_normal(x.shape)
        return LinearRegression(fit_intercept=False).fit(products(t, x), x1 - x0)

    return fit


def products(t, x):
    return (hats(t)[:, :, None] * x[:, None]).reshape(len(x), -1)


def velocity(model, t, x):
    return x @ np.tensordot(hats(t), model.coef_.T.reshape(HATS, x.shape[1], -1), 1)


def exact(rng):
    """Rows whose second moments are those of the law, without an error."""
    frame = np.linalg.qr(rng.standard_normal((ROWS, len(REAL))))[0]
    return np.sqrt(ROWS * REAL) * frame


def rounds(scheme):
    """Variances along the two directions, (seeds, rounds + 1, 2)."""

    def part(key):
        found = []
        for child in tqdm(np.random.SeedSequence(jax.random.key_data(key).tolist()).spawn(SEEDS), scheme, leave=False):
            rng = np.random.default_rng(child)
            settings = dict(rounds=ROUNDS, real_fraction=ALPHA, redraws=REDRAWS, ridge=RIDGE, probes=2048)
            settings |= dict(scheme=scheme, held=0.0, retain=None, seed=int(rng.integers(2**31)))
            run = own.run(exact(rng), velocity=velocity, fit=fitted(rng), **settings)
            found.append([one.variances.tolist() for one in run.rounds])
        return found

    return part


PARTS = {scheme: rounds(scheme) for scheme in ("reflow", "ra", "anchored", "oras")}


if __name__ == "__main__":
    command(__doc__, PARTS, "own")
