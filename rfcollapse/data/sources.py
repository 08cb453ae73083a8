"""The names of data, the same in every command: what a DATA argument stands for."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from .. import check
from .images import cifar10, digits, fashion, mnist, photo_patches
from .tables import READERS, parted

MIXTURES = "eight_gaussians", "two_moons", "checkerboard"
IMAGES = {"digits": digits, "fashion": fashion, "photos": photo_patches, "photos32": partial(photo_patches, 32)}
FOLDERS = {"mnist": mnist, "cifar": cifar10}
DATA_HELP = (
    f"{', '.join([*IMAGES, *MIXTURES])}, gaussian:4,0.25 (variances), mnist:FOLDER, cifar:FOLDER, or a .csv, .tsv or "
    ".txt file (packed or not), .npy, .npz, FILE.npz:NAME or .parquet with samples in rows"
)


class DataSource(NamedTuple):
    """What a DATA argument stands for: something to draw from, images, or a file."""

    name: str
    """As it was given."""
    draw: Callable | None = None
    """(key, n) → n new rows, of a mixture or Gaussian."""
    variances: Float[np.ndarray, " d"] | None = None
    """λ of gaussian:λ1,λ2,…"""
    images: Callable | None = None
    """() → `Images`."""
    path: Path | None = None
    """A file, or FILE.npz:NAME, for `open_table`; it need not be there."""


def find(name: str) -> DataSource:
    """What a DATA argument stands for; nothing is read or drawn yet.

    Args:
        name: one of `DATA_HELP`.

    Raises:
        ValueError: names all that is understood.

    Example:
        >>> from rfcollapse import data
        >>> data.find("gaussian:4,0.25").variances
        array([4.  , 0.25])
    """
    kind, _, rest = name.partition(":")
    if name in MIXTURES:
        return DataSource(name, draw=partial(_mixture, name))
    if name in IMAGES:
        return DataSource(name, images=IMAGES[name])
    if kind in FOLDERS and rest:
        return DataSource(name, images=partial(FOLDERS[kind], rest))
    if kind == "gaussian" and rest:
        variances = _variances(name, rest)
        return DataSource(name, draw=partial(_gaussian, variances), variances=variances)
    path = Path(name)
    if parted(path)[0].suffix.lower() in READERS or (name and path.exists()):
        return DataSource(name, path=path)
    raise ValueError(f"data must be {DATA_HELP}; got {name!r}")


def _mixture(name, key, n):
    from . import mixtures  # takes JAX

    return getattr(mixtures, name)(key, n)


def _gaussian(variances, key, n):
    from .gaussians import gaussian  # likewise

    return gaussian(key, n, np.diag(variances))


def _variances(name, listed):
    try:
        return check.nonnegative("variances", [float(x) for x in listed.split(",")])
    except ValueError as error:
        raise ValueError(f"data must be gaussian:VARIANCES, numbers ≥ 0 parted by commas; got {name!r}") from error
