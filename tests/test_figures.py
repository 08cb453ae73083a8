"""Figures: written only where asked, the same bytes each time, and series that grey can tell apart."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import pytest

from rfcollapse import figures, schemes
from rfcollapse.output import FIGURES


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
    monkeypatch.delenv(FIGURES, raising=False)
    figures.save(figure, "one")
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv(FIGURES, str(tmp_path))
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


def test_every_scheme_has_a_look_of_its_own_also_in_grey(monkeypatch):
    """Also one that is registered later: no list of styles names schemes."""
    known = {name: figures.style(name) for name in schemes.SCHEMES}
    monkeypatch.setitem(schemes.SCHEMES, "toy", schemes.Scheme("toy", "redrawn", "inverted"))
    looks = known | {"toy": figures.style("toy")}
    assert {name: looks[name] for name in known} == known
    assert len(set(looks.values())) == len(looks)
    for what_grey_shows in ("marker", "dash"):
        assert len({str(getattr(look, what_grey_shows)) for look in looks.values()}) == len(looks)
    assert len(set(figures.COLOURS)) == len(figures.COLOURS) == 8


def test_a_scheme_looks_alike_by_name_and_in_line_and_points():
    _, axes = figures.panels()
    figures.predicted(axes, [0, 1], [0, 1], "ora")
    figures.measured(axes, [0, 1], [0, 1], 0.1, "ora", x_error=0.2)
    look = figures.style("ora")
    points = axes.containers[0]
    assert axes.lines[0].get_color() == points.lines[0].get_color() == look.colour
    assert points.lines[0].get_marker() == look.marker and points.has_xerr and points.has_yerr
    with pytest.raises(ValueError, match="nonsense"):
        figures.style("nonsense")


def test_compare_draws_the_law_and_the_mean_of_the_runs():
    _, axes = figures.panels()
    runs = np.array([[1.0, 2, 3, 4], [1, 4, 5, 8]])
    figures.compare(axes, range(4), [1, 3, 5, 7], runs, "ra", "law", every=2)
    (points, _, (bars,)) = axes.containers[0]
    assert np.array_equal(axes.lines[0].get_xydata(), [[0, 1], [1, 3], [2, 5], [3, 7]])
    assert axes.lines[0].get_label() == "law"
    assert np.array_equal(points.get_xydata(), [[0, 1], [2, 4]])
    assert np.allclose([np.ptp(bar[:, 1]) / 2 for bar in bars.get_segments()], [0, 2**0.5 / 2**0.5])


def test_image_grid_is_labelled_at_its_edges():
    figure = figures.image_grid(np.zeros((2, 3, 4, 4)), row_labels=["a", "b"], column_labels=["1", "2", "3"])
    assert len(figure.axes) == 6
    assert figure.axes[0].get_ylabel() == "a" and figure.axes[2].get_title() == "3"
