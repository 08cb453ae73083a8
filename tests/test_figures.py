"""Figures: written only where asked, the same bytes each time, and series that grey can tell apart."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import pytest

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
