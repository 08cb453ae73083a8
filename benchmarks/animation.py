"""The animation of the README: eight Gaussians under Reflow, and with pairs anchored at the first model.

    python benchmarks/animation.py [FILE]

trains both, two minutes on one core, and writes figures/collapse.gif (or FILE). The law that it illustrates is checked
in notebook 07; here nothing is measured.
"""

import sys

import contenders  # noqa: F401
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import scipy.ndimage
from PIL import Image

from rfcollapse import data, figures
from rfcollapse.learn import integrate, reflow
from rfcollapse.learn.plan import Training

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


def animation(path, samples, *, titles, caption: str, reach: float = 2.6, bins: int = 120, between: int = 3):
    """Writes a GIF: 2-D densities side by side, round by round.

    Args:
        path: of the file.
        samples: (panels, rounds + 1, n, 2).
        titles: of the panels.
        caption: stands below them, as the round does above.
        reach: each panel shows the square from −reach to reach.
        bins: of the histogram, along each side.
        between: frames from one round to the next, in which each sample moves in a straight line to its new place.
    """
    samples = np.asarray(samples)
    figure, axes = figures.panels(1, len(samples), width=3.3, height=3.8)
    pictures = []
    for place, title in zip(np.atleast_1d(axes), titles):
        place.set(xticks=[], yticks=[], aspect="equal")
        place.spines[:].set_visible(False)
        place.set_title(title, fontsize=10)
        blank = np.zeros((bins, bins))
        pictures.append(place.imshow(blank, extent=(-reach, reach) * 2, origin="lower", cmap="magma", vmin=0, vmax=1))
    heading = figure.suptitle("round 0", fontsize=12)
    figure.supxlabel(caption, fontsize=8)
    figure.canvas.draw()
    figure.set_layout_engine("none")  # as laid out now, so that nothing jumps

    def frame(time):
        before, share = int(time), time - int(time)
        now = samples[:, before]
        if share:
            now = now + share * (samples[:, before + 1] - now)
        for picture, points in zip(pictures, now):
            counts, _, _ = np.histogram2d(*points.T[::-1], bins=bins, range=[(-reach, reach)] * 2)
            picture.set_data(np.sqrt(scipy.ndimage.gaussian_filter(counts, 1.5) / peak))
        heading.set_text(f"round {round(time)}")
        figure.canvas.draw()
        return Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])

    first, _, _ = np.histogram2d(*samples[0, 0].T, bins=bins, range=[(-reach, reach)] * 2)
    peak = 0.5 * scipy.ndimage.gaussian_filter(first, 1.5).max()  # a root and a cut, so that faint densities are seen
    rounds = samples.shape[1] - 1
    frames = [frame(step / between) for step in range(rounds * between + 1)]
    # 40 shades of the map and 8 greys for the type: a third of the file that 256 chosen colours would make.
    shades = np.concatenate([plt.get_cmap("magma")(np.linspace(0, 1, 40)), plt.get_cmap("gray")(np.linspace(0, 1, 8))])
    palette = Image.new("P", (1, 1))
    palette.putpalette((shades[:, :3] * 255).astype(np.uint8).tobytes())
    frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in frames]
    durations = [600 if step % between == 0 else 90 for step in range(len(frames))]
    durations[0], durations[-1] = 1500, 2500
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True)
    plt.close(figure)


if __name__ == "__main__":
    path = sys.argv[1] if len(sys.argv) > 1 else "figures/collapse.gif"
    caption = f"a network trained with input noise of variance {RIDGE:g}, retrained each round"
    animation(path, samples(), titles=list(TITLES.values()), caption=caption)
