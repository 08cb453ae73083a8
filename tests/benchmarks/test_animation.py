"""The animation of the README, on a drawing of two panels."""

import matplotlib

matplotlib.use("Agg")

import animation
import numpy as np
from PIL import Image


def test_animation_shows_every_round_and_is_the_same_each_time(tmp_path):
    steady = np.random.default_rng(0).normal(size=(1, 500, 2)) * 0.2 + [1.5, -1.5]
    samples = np.stack([np.repeat(steady, 3, axis=0), steady * np.array([1, 0.5, 0])[:, None, None]])
    for name in ("one.gif", "two.gif"):
        animation.animation(tmp_path / name, samples, titles=["stays", "shrinks"], caption="a test", between=2)
    assert (tmp_path / "one.gif").read_bytes() == (tmp_path / "two.gif").read_bytes()
    with Image.open(tmp_path / "one.gif") as film:
        frames = []
        for index in range(film.n_frames):
            film.seek(index)
            frames.append(np.asarray(film.convert("L"), dtype=float))
    assert len(frames) == 5
    middle = frames[0].shape[1] // 2
    panel = slice(60, 340)
    change = abs(frames[-1] - frames[0])[panel]
    assert change[:, :middle].max() < 10 and change[:, middle:].max() > 100
    bright = [np.argwhere(frame[panel, middle + 30 : -30] > 60).mean(axis=0) for frame in (frames[0], frames[2])]
    assert bright[0][0] > bright[1][0] and bright[0][1] > bright[1][1]  # from the lower right towards the middle
