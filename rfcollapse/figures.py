"""One style for all figures, and where they are saved.

Prediction is a line, measurement is points with error bars. The colours are those of Okabe and Ito, which the
colour-blind tell apart; series differ in marker and dash as well, so that grey suffices. A series is a number, or the
name of a scheme, which looks the same in every figure.
"""

import os
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from . import schemes
from .measure.rates import mean_and_error
from .output import FIGURES

COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">")
DASHES = (
    *("-", "--", "-.", ":"),
    *((0, pattern) for pattern in ((5, 1, 1, 1, 1, 1), (1, 4), (7, 2), (3, 3), (9, 2, 3, 2), (4, 1, 1, 1, 1, 1, 1, 1))),
)
STYLE = {
    "figure.dpi": 100,
    "savefig.dpi": 130,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "image.cmap": "gray",
}


def use_style():
    """Sets the house style for all later figures."""
    plt.rcParams.update(STYLE)


def panels(rows: int = 1, columns: int = 1, *, width: float = 4.4, height: float = 3.4, **options):
    """A figure of rows × columns axes in the house style; `width` and `height` are one panel's, in inches."""
    use_style()
    return plt.subplots(rows, columns, figsize=(width * columns, height * rows), **options)


class Style(NamedTuple):
    """How a series looks."""

    colour: str
    """As a hexadecimal number."""
    marker: str
    """Of its points."""
    dash: str | tuple
    """Of its line."""


def style(series: int | str) -> Style:
    """The look of a series.

    Args:
        series: a whole number ≥ 0, or the name of a scheme, which stands for its place in the table of schemes.

    Example:
        >>> from rfcollapse import figures
        >>> figures.style("ra")
        Style(colour='#0072B2', marker='s', dash='--')
    """
    place = list(schemes.SCHEMES).index(series) if isinstance(series, str) else series
    return Style(*(looks[place % len(looks)] for looks in (COLOURS, MARKERS, DASHES)))


def predicted(axes, x, y, series: int | str, label: str | None = None):
    """A prediction: the line of a series."""
    look = style(series)
    axes.plot(x, y, color=look.colour, linestyle=look.dash, label=label, zorder=2)


def measured(axes, x, y, error, series: int | str, label: str | None = None, *, x_error=None):
    """A measurement: the points of a series with error bars of one standard error (None: without)."""
    look = style(series)
    points = dict(marker=look.marker, markerfacecolor="white", linestyle="none", capsize=2, zorder=3)
    axes.errorbar(x, y, _bars(error), _bars(x_error), color=look.colour, label=label, **points)


def compare(axes, x, law, runs, series: int | str, label: str | None = None, *, every: int = 1):
    """A law, and the runs that test it: its line, and their means with standard errors at every so manieth x.

    Args:
        axes: of matplotlib.
        x: m values, most often rounds.
        law: (m,), the prediction.
        runs: (seeds ≥ 2, m), the measurements.
        series: as for `style`.
        label: of the line.
        every: 1 for a point at each x, 2 for one at every other, …
    """
    predicted(axes, x, law, series, label)
    mean, error, _ = mean_and_error(runs)
    measured(axes, x[::every], mean[::every], error[::every], series)


def _bars(error):
    """Error bars where there are any."""
    return None if error is None or not np.any(np.asarray(error) > 0) else np.asarray(error)


def label(axes, x: str, y: str, title: str | None = None, legend: bool = True):
    """Axis labels (symbol and meaning), title and legend in one call."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if title:
        axes.set_title(title, loc="left", fontsize=10)
    if legend:
        axes.legend()


def image_grid(pictures, *, row_labels, column_labels, low=None, high=None, size: float = 0.9):
    """Pictures in a grid, (rows, columns, height, width) grey or (…, 3) colour in [0, 1], with labels at the edges."""
    pictures = np.asarray(pictures)
    use_style()
    rows, columns = pictures.shape[:2]
    figure, grid = plt.subplots(
        rows, columns, figsize=(size * columns + 1.2, size * rows + 0.4), squeeze=False, gridspec_kw={"wspace": 0.05}
    )
    for i in range(rows):
        for j in range(columns):
            axes = grid[i, j]
            axes.imshow(np.clip(pictures[i, j], low, high) if low is not None else pictures[i, j], vmin=low, vmax=high)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if j == 0:
                axes.set_ylabel(row_labels[i], rotation=0, ha="right", va="center", fontsize=9)
            if i == 0:
                axes.set_title(column_labels[j], fontsize=9)
    return figure


def save(figure, name: str):
    """Writes NAME.png into the folder that `reproduce` names in the environment; elsewhere it writes nothing."""
    folder = os.environ.get(FIGURES)
    if folder:
        # No software version inside, so that the same picture is the same file.
        figure.savefig(Path(folder) / f"{name}.png", metadata={"Software": None})
