"""Data to collapse: Gaussians of a given spectrum, 2-D mixtures, images, and a user's own samples from a file.

Samples are rows, float64. Whatever is drawn takes a JAX key first; nothing is downloaded and no pickle is ever loaded.
`find` reads the names that every command takes for DATA. What is drawn needs JAX, what is read does not: each is
imported when it is asked for.
"""

from importlib import import_module

PLACES = {
    "columns": ("Table",),
    "gaussians": ("exact_gaussians", "gaussian"),
    "images": ("Images", "cifar10", "digits", "fashion", "mnist", "photo_patches"),
    "mixtures": ("EIGHT_GAUSSIANS_STD", "TWO_MOONS_STD", "checkerboard", "eight_gaussians", "two_moons"),
    "sources": ("DATA_HELP", "DataSource", "find"),
    "tables": ("frame_table", "open_table", "read_samples", "sample_chunks"),
}
__all__ = [name for names in PLACES.values() for name in names]


def __getattr__(name):
    for place, names in PLACES.items():
        if name in names:
            return getattr(import_module(f".{place}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
