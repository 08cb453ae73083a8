"""Data to collapse: Gaussians of a given spectrum, 2-D mixtures, images, and a user's own samples from a file.

Samples are rows, float64. Whatever is drawn takes a JAX key first; nothing is downloaded and no pickle is ever loaded.
`find` reads the names that every command takes for DATA.
"""
# ruff: noqa: F401

from .columns import Table
from .gaussians import exact_gaussians, gaussian
from .images import Images, cifar10, digits, fashion, mnist, photo_patches
from .mixtures import EIGHT_GAUSSIANS_STD, TWO_MOONS_STD, checkerboard, eight_gaussians, two_moons
from .sources import DATA_HELP, DataSource, find
from .tables import frame_table, open_table, read_samples, sample_chunks
