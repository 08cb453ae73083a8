"""Figures: written only where asked, the same bytes each time, and series that grey can tell apart."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from rfcollapse import figures


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def draw():
    figure, axes = figures.panels()
    figures.predicted(axes, [0, 1], [0, 1], 0, "law")
    figures.measured(axes, [0, 1], [0, 1], [0.1, 0.1], 1, "runs")
    figures.label(axes, "x", "y", "title")
    return figure, axes


def test_saves_only_under_the_switch(tmp_path, monkeypatch):
    figure, _ = draw()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(figures.FOLDER, raising=False)
    figures.save(figure, "one")
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv(figures.FOLDER, str(tmp_path))
    figures.save(figure, "one")
    figures.save(draw()[0], "two")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_prediction_is_a_line_and_measurement_is_points():
    _, axes = draw()
    line, points = axes.lines[0], axes.containers[0].lines[0]
    assert line.get_linestyle() == "-" and line.get_marker() in ("None", None, "")
    assert points.get_linestyle() == "None" and points.get_marker() == figures.MARKERS[1]
    assert axes.containers[0].has_yerr
    figures.measured(axes, [0], [0], None, 2)
    assert not axes.containers[1].has_yerr


def test_series_differ_in_marker_and_dash():
    assert len(set(figures.COLOURS)) == len(set(figures.MARKERS)) == len(set(map(str, figures.DASHES)))
    assert len(figures.COLOURS) == len(figures.MARKERS) == len(figures.DASHES)
    lightness = [matplotlib.colors.rgb_to_hsv(matplotlib.colors.to_rgb(c))[2] for c in figures.COLOURS[:2]]
    assert lightness[0] < lightness[1]


def test_image_grid_is_labelled_at_its_edges():
    figure = figures.image_grid(np.zeros((2, 3, 4, 4)), row_labels=["a", "b"], column_labels=["1", "2", "3"])
    assert len(figure.axes) == 6
    assert figure.axes[0].get_ylabel() == "a" and figure.axes[2].get_title() == "3"


def test_animation_shows_every_round_and_is_the_same_each_time(tmp_path):
    steady = np.random.default_rng(0).normal(size=(1, 500, 2)) * 0.2 + [1.5, -1.5]
    samples = np.stack([np.repeat(steady, 3, axis=0), steady * np.array([1, 0.5, 0])[:, None, None]])
    for name in ("one.gif", "two.gif"):
        figures.animation(tmp_path / name, samples, titles=["stays", "shrinks"], caption="a test", between=2)
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
