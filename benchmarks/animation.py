"""The animation of the README: eight Gaussians under Reflow, and with pairs anchored at the first model.

    python benchmarks/animation.py [FILE]

trains both, two minutes on one core, and writes figures/collapse.gif (or FILE). The law that it illustrates is checked
in notebook 06; here nothing is measured.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

from rfcollapse import data, figures
from rfcollapse.learn import integrate, reflow
from rfcollapse.learn.train import Training

SEED, SAMPLES, ROUNDS, ALPHA, RIDGE, STEPS = 0, 40_000, 10, 0.3, 0.02, 20
TRAINING = Training(steps=3000, batch=256, chunk=500)
TITLES = {"reflow": "Reflow: its own pairs", "anchored": f"with {ALPHA:.0%} real pairs, anchored"}


def samples() -> np.ndarray:
    """(schemes, rounds + 1, n, 2): what the model of each round makes of the same noise."""
    key_data, key_noise, key_run = jax.random.split(jax.random.key(SEED), 3)
    points = data.eight_gaussians(key_data, SAMPLES)
    noise = jax.random.normal(key_noise, (SAMPLES, 2), dtype=jnp.float32)
    first, drawn = [], []
    for scheme in TITLES:
        settings = dict(real_fraction=ALPHA, ridge=RIDGE, options={"width": 96}, pairs=16_384, steps=STEPS)
        common = dict(rounds=ROUNDS, seeds=1, training=TRAINING, warm_start=True, finished=first[:1])
        run = reflow.run(key_run, points, scheme=scheme, on_round=first.append, **common, **settings)
        models = [jax.tree.map(lambda leaf: leaf[0], model) for model in run.models]
        drawn.append([integrate.generate(model, noise, steps=STEPS, at_once=4096) for model in models])
    return np.array(drawn)


if __name__ == "__main__":
    path = sys.argv[1] if len(sys.argv) > 1 else "figures/collapse.gif"
    caption = f"a network trained with input noise of variance {RIDGE:g}, retrained each round"
    figures.animation(path, samples(), titles=list(TITLES.values()), caption=caption)
