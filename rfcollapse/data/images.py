"""Images as rows: those that scikit-learn and this package ship, and a user's MNIST and CIFAR-10."""

import gzip
import math
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Real

from .. import check
from ..check import ArrayLike

CIFAR_RECORD = 1 + 3 * 32 * 32


class Images(NamedTuple):
    """Images as rows, samples = (pixels − mean) / scale: mean 0 in each pixel, variance 1 on average over the pixels.

    One scale for all pixels keeps the shape of the spectrum. `pixels` turns rows, ours or generated, back into images.
    """

    samples: Float[np.ndarray, "n d"]
    """One image a row, second moment with trace d."""
    mean: Float[np.ndarray, " d"]
    """The mean image, in pixel values from 0 (black) to 1."""
    scale: float
    """Pixel value per unit of `samples`."""
    shape: tuple[int, ...]
    """(height, width) or (height, width, 3)."""
    labels: Int[np.ndarray, " n"] | None = None
    """The class of each image, 0 to 9 (of a patch, the photo it is from), where there are classes."""

    def pixels(self, rows: Real[ArrayLike, "m d"]) -> Float[np.ndarray, "m ..."]:
        """mean + scale · row, cut to [0, 1] and folded to (m, *shape), ready to be drawn."""
        rows = check.table("rows", rows)
        if rows.shape[1] != len(self.mean):
            raise ValueError(f"rows must have d = {len(self.mean)} columns; got {rows.shape[1]}")
        return np.clip(rows * self.scale + self.mean[None], 0, 1).reshape(-1, *self.shape)


def digits() -> Images:
    """The 1797 handwritten digits (8 × 8, grey, d = 64) that come with scikit-learn, centred and scaled as in `Images`.

    A copy of the test set of E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits* (1998), UCI Machine
    Learning Repository, offered there under CC BY 4.0; scikit-learn itself is under the BSD 3-clause licence.
    Three pixels are blank in every image, so the covariance has rank 61.

    Example:
        >>> from rfcollapse import data
        >>> images = data.digits()
        >>> images.samples.shape, images.shape
        ((1797, 64), (8, 8))
    """
    import sklearn.datasets  # heavy, and needed for the images alone

    bunch = sklearn.datasets.load_digits()
    return _images(bunch.images / 16, bunch.target)


def fashion() -> Images:
    """5,000 images of Fashion-MNIST (28 × 28, grey, d = 784), centred and scaled as in `Images`.

    The first 500 training images of each of its ten classes, in their order: 0 t-shirt, 1 trouser, 2 pullover, 3 dress,
    4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag, 9 ankle boot. By H. Xiao, K. Rasul and R. Vollgraf (arXiv 1708.07747),
    MIT licence, Zalando SE; they come with this package. `mnist` reads the whole set.

    Example:
        >>> import numpy as np
        >>> from rfcollapse import data
        >>> np.bincount(data.fashion().labels)
        array([500, 500, 500, 500, 500, 500, 500, 500, 500, 500])
    """
    return mnist(Path(__file__).parent / "fashion")


def photo_patches(size: int = 16, stride: int = 8) -> Images:
    """Colour patches (size × size × 3) of scikit-learn's two photos, cut on a grid, centred and scaled as in `Images`.

    No randomness: china.jpg row by row, then flower.jpg; 8216 patches for (16, 8), 7700 for (32, 8). Both photos are
    under CC BY 2.0 (scikit-learn's datasets/images/README.txt): china.jpg by danielbuechele, flower.jpg from the Flickr
    page of vultilion (where the README's attribution line says danielbuechele again).

    Args:
        size: side in pixels, 1 to 427 (the photos are 427 × 640).
        stride: step of the grid in pixels, ≥ 1; patches overlap where stride < size.

    Example:
        >>> from rfcollapse import data
        >>> data.photo_patches(32, stride=32).samples.shape
        (520, 3072)
    """
    import sklearn.datasets

    photos = sklearn.datasets.load_sample_images().images
    size = check.integer("size", size, 1, min(photos[0].shape[:2]))
    stride = check.integer("stride", stride, 1)
    windows = [np.lib.stride_tricks.sliding_window_view(photo, (size, size, 3))[::stride, ::stride] for photo in photos]
    patches = [window.reshape(-1, size, size, 3) for window in windows]
    return _images(np.concatenate(patches) / 255, np.repeat([0, 1], [len(one) for one in patches]))


def cifar10(folder: str | Path) -> Images:
    """A user's CIFAR-10, binary version (32 × 32 × 3, d = 3072), centred and scaled as in `Images`: 25 kB an image.

    A record is a label byte 0 … 9 and 3 × 1024 bytes, red, green, blue, row by row. The data (A. Krizhevsky, 2009) come
    with no licence file; see their page for the terms.

    Args:
        folder: with data_batch_1.bin … data_batch_5.bin, some or all, as unpacked from cifar-10-binary.tar.gz, or
            with the folder of these in it.

    Raises:
        FileNotFoundError: there is none.
        ValueError: names the file and the fault.

    Example:
        >>> import pathlib, tempfile
        >>> from rfcollapse import data
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     records = bytes([1] + 3072 * [0] + [2] + 3072 * [255])
        ...     _ = pathlib.Path(folder, "data_batch_1.bin").write_bytes(records)
        ...     data.cifar10(folder).labels.tolist()
        [1, 2]
    """
    expected = "expected CIFAR-10's binary version, unpacked"
    paths = sorted(Path(folder).glob("data_batch_*.bin")) or sorted(Path(folder).glob("*/data_batch_*.bin"))
    if not paths:
        raise FileNotFoundError(f"{folder}: no data_batch_*.bin in it; {expected}")
    batches = [np.fromfile(path, np.uint8) for path in paths]
    for path, content in zip(paths, batches):
        if len(content) == 0 or len(content) % CIFAR_RECORD:
            length = f"{len(content)} bytes, not a whole number of {CIFAR_RECORD}-byte records"
            raise ValueError(f"{path}: {length}; {expected}")
        if (label := content[::CIFAR_RECORD].max()) > 9:
            raise ValueError(f"{path}: a label {label}, not 0 to 9; {expected}")
    records = np.concatenate(batches).reshape(-1, CIFAR_RECORD)
    return _images(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1) / 255, records[:, 0])


def mnist(folder: str | Path) -> Images:
    """A user's MNIST (or a set of its format: IDX, gzipped or not), centred and scaled as in `Images`.

    The data (Y. LeCun, C. Cortes, C. Burges) come with no licence file; see their page for the terms.

    Args:
        folder: with train-images-idx3-ubyte(.gz), magic number 2051, and, if there are labels, with
            train-labels-idx1-ubyte(.gz), magic number 2049, in the same order; also with a dot for the second hyphen,
            in a folder of the file's own name (as from Kaggle), or in raw or MNIST/raw (as from torchvision).

    Raises:
        FileNotFoundError: there are no images.
        ValueError: names the file and the fault: another magic number or length, labels above 9, counts that differ.

    Example:
        >>> import pathlib, struct, tempfile
        >>> from rfcollapse import data
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     content = struct.pack(">4I", 2051, 2, 4, 4) + bytes(range(32))
        ...     _ = pathlib.Path(folder, "train-images-idx3-ubyte").write_bytes(content)
        ...     data.mnist(folder).samples.shape
        (2, 16)
    """
    pixels = _idx(Path(folder), "images", 3)
    if pixels is None:
        raise FileNotFoundError(f"{folder}: no train-images-idx3-ubyte in it, gzipped or not; expected MNIST")
    classes = _idx(Path(folder), "labels", 1)
    if classes is not None and len(classes) != len(pixels):
        raise ValueError(f"{folder}: {len(classes)} labels for {len(pixels)} images; expected one for each")
    if classes is not None and classes.max() > 9:
        raise ValueError(f"{folder}: a label {classes.max()}; expected 0 to 9")
    return _images(pixels / 255, classes)


def _idx(folder, noun, dimensions):
    """A train-…-ubyte file, or None: big-endian magic number 0x0800 + dimensions, one size each, the bytes."""
    name = f"train-{noun}-idx{dimensions}-ubyte"
    dotted = name.replace("-idx", ".idx")
    names = (name, f"{name}.gz", dotted, f"{dotted}.gz")
    files = (folder / inner / one for inner in ("", "raw", "MNIST/raw", name, dotted) for one in names)
    path = next((path for path in files if path.is_file()), None)
    if path is None:
        return None
    expected, content = f"expected MNIST {noun}", path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path}: broken gzip file ({error}); {expected}") from None
    start = content[:40].strip().partition(b"\n")[0].strip().decode("latin-1")
    if start.isprintable() and start:
        raise ValueError(f"{path}: begins with {start!r}, a web page or other text; {expected}, fetch it again")
    header = 4 * (1 + dimensions)
    if len(content) < header:
        raise ValueError(f"{path}: {len(content)} bytes, too short for a header of {header}; {expected}")
    magic, *sizes = (int(number) for number in np.frombuffer(content[:header], ">u4"))
    if magic != 0x0800 + dimensions:
        raise ValueError(f"{path}: magic number {magic}, not {0x0800 + dimensions}; {expected}")
    announced, shape = header + math.prod(sizes), " × ".join(map(str, sizes))
    if len(content) != announced or announced == header:
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
    labels = None if labels is None else np.asarray(labels, np.int32)
    return Images(rows, mean, scale, pixels.shape[1:], labels)
