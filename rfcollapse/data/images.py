"""Images as rows: those that scikit-learn ships, and a user's MNIST and CIFAR-10."""

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Real

from .. import check
from .tables import existing


class Images(NamedTuple):
    """Images as rows, samples = (pixels − mean) / scale: mean 0 in each pixel, variance 1 on average over the pixels.

    One scale for all pixels keeps the shape of the spectrum. `pixels` turns rows, ours or generated, back into images.
    """

    samples: Float[Array, "n d"]
    """One image a row, second moment with trace d."""
    mean: Float[Array, " d"]
    """The mean image, in pixel values from 0 (black) to 1."""
    scale: float
    """Pixel value per unit of `samples`."""
    shape: tuple[int, ...]
    """(height, width) or (height, width, 3)."""
    labels: Int[Array, " n"] | None = None
    """The class of each image, 0 to 9 (of a patch, the photo it is from), where there are classes."""

    def pixels(self, rows: Real[ArrayLike, "m d"]) -> Float[Array, "m ..."]:
        """mean + scale · row, cut to [0, 1] and folded to (m, *shape), ready to be drawn.

        rows: (m, d) in the units of `samples`. Raises ValueError for another d.
        """
        rows = check.samples("rows", rows)
        if rows.shape[1] != len(self.mean):
            raise ValueError(f"rows must have d = {len(self.mean)} columns; got {rows.shape[1]}")
        return jnp.clip(rows * self.scale + self.mean[None], 0, 1).reshape(-1, *self.shape)


def digits() -> Images:
    """The 1797 handwritten digits (8 × 8, grey, d = 64) that come with scikit-learn, centred and scaled as in `Images`.

    A copy of the test set of E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits* (1998), UCI Machine
    Learning Repository, offered there under CC BY 4.0; scikit-learn itself is under the BSD 3-clause licence.
    Three pixels are blank in every image, so the covariance has rank 61.
    """
    import sklearn.datasets  # heavy, and needed for the images alone

    bunch = sklearn.datasets.load_digits()
    return _images(bunch.images / 16, bunch.target)


def photo_patches(size: int = 16, stride: int = 8) -> Images:
    """Colour patches (size × size × 3) of scikit-learn's two photos, cut on a grid, centred and scaled as in `Images`.

    size: side in pixels, 1 to 427 (the photos are 427 × 640). stride: step of the grid in pixels, ≥ 1; patches overlap
    where stride < size. No randomness: china.jpg row by row, then flower.jpg; 8216 patches for (16, 8), 7700 for
    (32, 8). Raises ValueError outside these ranges.

    Both photos are under CC BY 2.0 (scikit-learn's datasets/images/README.txt): china.jpg by danielbuechele, flower.jpg
    from the Flickr page of vultilion (where the README's attribution line says danielbuechele again).
    """
    import sklearn.datasets

    photos = sklearn.datasets.load_sample_images().images
    size = check.integer("size", size, 1, min(photos[0].shape[:2]))
    stride = check.integer("stride", stride, 1)
    windows = [np.lib.stride_tricks.sliding_window_view(photo, (size, size, 3))[::stride, ::stride] for photo in photos]
    patches = [window.reshape(-1, size, size, 3) for window in windows]
    return _images(np.concatenate(patches) / 255, np.repeat([0, 1], [len(one) for one in patches]))


CIFAR_RECORD = 1 + 3 * 32 * 32


def cifar10(paths: str | Path | Sequence[str | Path]) -> Images:
    """A user's CIFAR-10, binary version (32 × 32 × 3, d = 3072), centred and scaled as in `Images`.

    paths: one or several of data_batch_1.bin … data_batch_5.bin, test_batch.bin, as unpacked from
    cifar-10-binary.tar.gz. A record is a label byte 0 … 9 and 3 × 1024 bytes, red, green, blue, row by row.
    Memory: 25 kB an image. Raises FileNotFoundError for a missing file, ValueError for one of another length or with
    other labels. The data (A. Krizhevsky, 2009) come with no licence file; see their page for the terms.
    """
    paths = [paths] if isinstance(paths, (str, Path)) else paths
    expected = "expected CIFAR-10's binary version (data_batch_1.bin … test_batch.bin, unpacked)"
    batches = []
    for path in map(Path, paths):
        content = np.frombuffer(existing(path, expected).read_bytes(), np.uint8)
        if len(content) == 0 or len(content) % CIFAR_RECORD:
            raise ValueError(
                f"{path}: {len(content)} bytes, not a whole number of {CIFAR_RECORD}-byte records; {expected}"
            )
        records = content.reshape(-1, CIFAR_RECORD)
        if records[:, 0].max() > 9:
            worst = int(np.argmax(records[:, 0] > 9))
            raise ValueError(f"{path}: record {worst} has label {records[worst, 0]}, not 0 to 9; {expected}")
        batches.append(records)
    if not batches:
        raise ValueError(f"paths must name at least one file; {expected}")
    records = np.concatenate(batches)
    return _images(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1) / 255, records[:, 0])


def mnist(images: str | Path, labels: str | Path | None = None) -> Images:
    """A user's MNIST (or a set of its format: IDX, gzipped or not), centred and scaled as in `Images`.

    images: e.g. train-images-idx3-ubyte.gz, magic number 2051. labels: e.g. train-labels-idx1-ubyte.gz, magic number
    2049, in the same order, or None. Raises FileNotFoundError for a missing file, ValueError for one with another magic
    number or length, for labels above 9, or where the counts differ. The data (Y. LeCun, C. Cortes, C. Burges) come
    with no licence file; see their page for the terms.
    """
    pixels = _idx(Path(images), 3, "images (e.g. train-images-idx3-ubyte, gzipped or not)")
    if labels is None:
        return _images(pixels / 255)
    classes = _idx(Path(labels), 1, "labels (e.g. train-labels-idx1-ubyte, gzipped or not)")
    if len(classes) != len(pixels):
        raise ValueError(
            f"{labels}: {len(classes)} labels for the {len(pixels)} images of {images}; expected one for each"
        )
    if classes.max() > 9:
        raise ValueError(f"{labels}: a label {classes.max()}; expected 0 to 9")
    return _images(pixels / 255, classes)


def cifar10_folder(folder: str | Path) -> Images:
    """All data_batch_*.bin of a folder, by `cifar10`. Raises FileNotFoundError where there is none."""
    found = sorted(Path(folder).glob("data_batch_*.bin"))
    if not found:
        raise FileNotFoundError(f"{folder}: no data_batch_*.bin in it; expected CIFAR-10's binary version, unpacked")
    return cifar10(found)


def mnist_folder(folder: str | Path) -> Images:
    """The train-images-idx3-ubyte (or .gz) of a folder with its train-labels-idx1-ubyte, if there, by `mnist`.

    Raises FileNotFoundError where there are no images.
    """
    images, labels = (
        next((path for end in ("", ".gz") if (path := Path(folder) / f"train-{name}-ubyte{end}").exists()), None)
        for name in ("images-idx3", "labels-idx1")
    )
    if images is None:
        raise FileNotFoundError(f"{folder}: no train-images-idx3-ubyte in it, gzipped or not; expected MNIST")
    return mnist(images, labels)


def _idx(path, dimensions, noun):
    """An array of bytes from an IDX file: big-endian magic number 0x0800 + dimensions, one size each, the bytes."""
    expected = f"expected MNIST {noun}"
    content = existing(path, expected).read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path}: broken gzip file ({error}); {expected}") from None
    header = 4 * (1 + dimensions)
    if len(content) < header:
        raise ValueError(f"{path}: {len(content)} bytes, too short for a header of {header}; {expected}")
    magic, *sizes = (int(number) for number in np.frombuffer(content[:header], ">u4"))
    if magic != 0x0800 + dimensions:
        raise ValueError(f"{path}: magic number {magic}, not {0x0800 + dimensions}; {expected}")
    announced = header + int(np.prod(sizes, dtype=object))
    if len(content) != announced or announced == header:
        shape = " × ".join(map(str, sizes))
        raise ValueError(
            f"{path}: {len(content)} bytes, but {announced} by its header ({shape}); {expected}, not empty"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(sizes)


def _images(pixels, labels=None):
    """Pixels in [0, 1], (n, *shape), centred per pixel and divided by the root of the mean variance."""
    rows = pixels.reshape(len(pixels), -1)
    mean = rows.mean(axis=0)
    rows -= mean  # in place, here and below: CIFAR-10's rows take 1.5 GB
    scale = float(np.sqrt(np.vdot(rows, rows) / rows.size))
    if scale == 0:
        raise ValueError(f"images must differ from one another to be scaled; got {len(rows)}, all alike")
    rows /= scale
    labels = None if labels is None else jnp.asarray(labels, dtype=jnp.int32)
    return Images(jnp.asarray(rows), jnp.asarray(mean), scale, pixels.shape[1:], labels)
