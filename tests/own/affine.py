"""The best affine velocity of pairs, in closed form from their moments: a model of somebody's own, exact for any t."""

from typing import NamedTuple

import numpy as np


class Affine(NamedTuple):
    """Means and second moments of pairs, which say E[x1 − x0 | x_t + √τ e] where all is Gaussian."""

    means: tuple
    noise: np.ndarray
    data: np.ndarray
    cross: np.ndarray
    ridge: float


def fit(x0, x1, previous=None, ridge=0.0):
    means = x0.mean(axis=0), x1.mean(axis=0)
    x0, x1 = (x.astype(float) - mean for x, mean in zip((x0, x1), means))
    return Affine(means, x0.T @ x0 / len(x0), x1.T @ x1 / len(x1), x1.T @ x0 / len(x0), ridge)


def velocity(model, t, x):
    s, both = 1 - t, model.cross + model.cross.T
    second = s * s * model.noise + t * t * model.data + s * t * both + model.ridge * np.eye(x.shape[1])
    slope = t * model.data - s * model.noise + s * model.cross - t * model.cross.T
    mean, shift = s * model.means[0] + t * model.means[1], model.means[1] - model.means[0]
    return (x - mean) @ np.linalg.solve(second, slope.T) + shift


def gaussian(n, variances, seed=0, mean=0.0):
    """Rows with exactly these principal variances, in directions of chance."""
    rng = np.random.default_rng(seed)
    frame, _ = np.linalg.qr(rng.standard_normal((n, len(variances) + 1)))
    frame, _ = np.linalg.qr(frame[:, 1:] - frame[:, 1:].mean(axis=0))
    turn, _ = np.linalg.qr(rng.standard_normal((len(variances),) * 2))
    return (n**0.5 * frame * np.sqrt(variances)) @ turn.T + mean
