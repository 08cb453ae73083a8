"""RA Reflow in a class of velocities that is linear in its parameters, where every mode can be computed.

    python benchmarks/record_kernel.py [--seed N] [PART …]

writes benchmarks/results/kernel_<platform>.json, with another seed into runs/seed-N/results, a part at a time; parts
that are there stay unless they are named. Velocities are random Fourier features, a constant and x itself, fitted by
ridge regression, in float64: kernel ridge regression, random features of a Gaussian kernel. Real pairs are data and the
noise to which the last model takes them back; what is lost of them is counted from what it makes of that noise, and of
own pairs from what it makes of new noise. The run goes on with α = ½; in round 1 paths are bent.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from recordings import command
from scipy import linalg
from tqdm import tqdm

from rfcollapse import data

SEEDS, ROUNDS, STEPS, OWN, REAL = 8, 3, 20, 8192, 4096
FRACTIONS, ON, RIDGE, TIMES = (0.0, 0.1, 0.3, 0.5, 0.9), 0.5, 1e-3, 8


def features(maps, t, x):
    frequencies, phases = maps
    angles = jnp.concatenate([x, t], axis=1) @ frequencies + phases
    waves = jnp.cos(angles) / np.sqrt(len(phases) / 2)
    return jnp.concatenate([waves, jnp.ones_like(t), x], axis=1)


@partial(jax.jit, static_argnames="back")
def followed(maps, parameters, x, back=False):
    """By Heun's method, from noise or back to it."""
    size = -1 / STEPS if back else 1 / STEPS

    def velocity(t, x):
        return features(maps, jnp.full((len(x), 1), t), x) @ parameters

    def step(x, t):
        first = velocity(t, x)
        return x + size / 2 * (first + velocity(t + size, x + size * first)), None

    return jax.lax.scan(step, x, (1.0 if back else 0.0) + size * jnp.arange(STEPS))[0]


@jax.jit
def squares(parameters, maps, x0):
    """E|x̂1|² of what is made of noise."""
    return (followed(maps, parameters, x0) ** 2).sum(axis=1).mean()


slope = jax.jit(jax.grad(squares))


@jax.jit
def normal_equations(key, maps, x0, x1):
    """E φφᵀ and E φ(x1 − x0)ᵀ of pairs, each at TIMES random times, even over all pairs."""

    def once(sums, key):
        t = (jax.random.permutation(key, len(x0))[:, None] + 0.5) / len(x0)
        rows = features(maps, t, (1 - t) * x0 + t * x1)
        return jax.tree.map(lambda a, b: a + b / len(x0) / TIMES, sums, (rows.T @ rows, rows.T @ (x1 - x0))), None

    size, d = len(maps[1]) + 1 + x0.shape[1], x0.shape[1]
    return jax.lax.scan(once, (jnp.zeros((size, size)), jnp.zeros((size, d))), jax.random.split(key, TIMES))[0]


def fitted(second, cross):
    return linalg.solve(np.asarray(second) + RIDGE * np.eye(len(second)), np.asarray(cross), assume_a="pos")


def one_run(key, draw, count):
    """Of every round: what is lost with each fraction, "fresh" and "real"; and what each mode has to do with it."""
    key, key_data, key_maps, key_phases, key_first = jax.random.split(key, 5)
    real = draw(key_data, REAL)
    d = real.shape[1]
    maps = jax.random.normal(key_maps, (d + 1, count)), jax.random.uniform(key_phases, (count,), maxval=2 * np.pi)
    start = jax.random.normal(key_first, (8 * REAL, d))
    parameters, rounds = fitted(*normal_equations(key, maps, start, jnp.tile(real, (8, 1)))), []
    for index in range(1, ROUNDS + 1):
        key_round, key_own, key_fresh = jax.random.split(jax.random.fold_in(key, index), 3)
        x0, fresh = (jax.random.normal(one, (OWN, d)) for one in (key_own, key_fresh))
        inverted = followed(maps, parameters, real, back=True)
        pairs = (x0, followed(maps, parameters, x0)), (inverted, real)
        own, shown = ([np.asarray(one) for one in normal_equations(key_round, maps, *pair)] for pair in pairs)
        models = {a: fitted(*((1 - a) * one + a * other for one, other in zip(own, shown))) for a in FRACTIONS}
        rounds.append({})
        for name, noise in (("fresh", fresh), ("real", inverted)):
            before = squares(parameters, maps, noise)
            rounds[-1][name] = {a: float(before - squares(model, maps, noise)) for a, model in models.items()}
        # The modes of `anydata.ra_loss_by_modes`.
        normal = own[0] + RIDGE * np.eye(len(own[0]))
        excess, modes = linalg.eigh(shown[0] - own[0], normal)
        sides = own[1] - normal @ parameters, shown[1] - shown[0] @ parameters - RIDGE * parameters
        along = -modes.T @ np.asarray(slope(parameters, maps, fresh))
        losses, added = ((along * (modes.T @ side)).sum(axis=1) for side in (sides[0], sides[1] - sides[0]))
        rounds[-1] |= {"mode_losses": losses.tolist(), "excess": excess.tolist(), "corrections": added.tolist()}
        parameters = models[ON]
    return rounds


def runs(draw, count):
    """A part; by seed and round."""

    def part(key):
        with jax.enable_x64(True):
            return [one_run(one, draw, count) for one in tqdm(jax.random.split(key, SEEDS), "seeds")]

    return part


def two_modes(key, count):
    key_side, key_place = jax.random.split(key)
    return 1.9 * jax.random.rademacher(key_side, (count, 1), float) + 0.3 * jax.random.normal(key_place, (count, 1))


def eight_modes(key, count):
    return 2 * data.eight_gaussians(key, count).astype(float)


PARTS = {  # a part's place decides its key: new ones go to the end
    "line": runs(two_modes, 60),
    "plane": runs(eight_modes, 200),
}


if __name__ == "__main__":
    command(__doc__, PARTS, "kernel")
