"""One style for all figures, and where they are saved.

Prediction is a line, measurement is points with error bars. The colours are those of Okabe and Ito, which the
colour-blind tell apart; series differ in marker and dash as well, so that grey suffices.
"""

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import scipy.ndimage
from PIL import Image

FOLDER = "RFCOLLAPSE_FIGURES"  # names the folder that takes the figures; unset, nothing is written
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (7, 2)))
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


def predicted(axes, x, y, index: int, label: str | None = None):
    """A prediction: the line of series `index`."""
    axes.plot(x, y, color=COLOURS[index], linestyle=DASHES[index], label=label, zorder=2)


def measured(axes, x, y, error, index: int, label: str | None = None):
    """A measurement: the points of series `index` with error bars of one standard error."""
    axes.errorbar(
        x,
        y,
        _bars(error),
        color=COLOURS[index],
        marker=MARKERS[index],
        markerfacecolor="white",
        linestyle="none",
        capsize=2,
        label=label,
        zorder=3,
    )


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


def animation(path, samples, *, titles, caption: str, reach: float = 2.6, bins: int = 120, between: int = 3):
    """Writes a GIF: 2-D densities side by side, round by round, (panels, rounds, n, 2) samples.

    titles: of the panels; the round and the caption stand above and below them. reach: each panel shows the square from
    −reach to reach. bins: of the histogram, along each side. between: frames from one round to the next, in which each
    sample moves in a straight line from its old place to its new one.
    """
    samples = np.asarray(samples)
    figure, axes = panels(1, len(samples), width=3.3, height=3.8)
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


def save(figure, name: str):
    """Writes NAME.png into the folder that `reproduce` names in the environment; elsewhere it writes nothing."""
    folder = os.environ.get(FOLDER)
    if folder:
        # No software version inside, so that the same picture is the same file.
        figure.savefig(Path(folder) / f"{name}.png", metadata={"Software": None})
