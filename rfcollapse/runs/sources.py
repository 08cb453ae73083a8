"""Stands in for `rfcollapse.data.find` until that is there; then delete this file, and import both names from data."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import check, data

IMAGES = {"digits": data.digits, "photos": data.photo_patches, "photos32": partial(data.photo_patches, 32)}
FOLDERS = {"mnist": data.mnist_folder, "cifar": data.cifar10_folder}
MIXTURES = {
    "eight_gaussians": data.eight_gaussians,
    "two_moons": data.two_moons,
    "checkerboard": data.checkerboard,
}
OTHERS = "mnist:FOLDER, cifar:FOLDER, or a .npy, .npz or .csv file"
DATA_HELP = f"{', '.join([*IMAGES, *MIXTURES])}, gaussian:4,0.25 (variances), {OTHERS}"


class DataSource(NamedTuple):
    name: str
    draw: object = None
    variances: object = None
    images: object = None
    path: object = None


def find(name):
    kind, _, rest = name.partition(":")
    if name in MIXTURES:
        return DataSource(name, draw=MIXTURES[name])
    if name in IMAGES:
        return DataSource(name, images=IMAGES[name])
    if kind in FOLDERS and rest:
        return DataSource(name, images=partial(FOLDERS[kind], rest))
    if kind == "gaussian":
        try:
            variances = check.nonnegative("variances", [float(one) for one in rest.split(",")])
        except ValueError as error:
            raise ValueError(f"data must be gaussian:VARIANCES, numbers ≥ 0 parted by commas; got {name!r}") from error
        return DataSource(name, variances=np.asarray(variances))
    if Path(name).suffix in (".npy", ".npz", ".csv"):
        return DataSource(name, path=Path(name))
    raise ValueError(f"data must be {DATA_HELP}; got {name!r}")
