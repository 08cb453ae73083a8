"""Data to collapse: Gaussians of a given spectrum, 2-D mixtures, images, and a user's own samples from a file.

Samples are rows, float64. Whatever is drawn takes a JAX key first; nothing is downloaded and no pickle is ever loaded.
"""

import csv
import gzip
import math
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PRNGKeyArray, Real

from . import check

# ------------------------------------------------------------------------------------------------ Gaussians


def flat(dimension: int, variance: Real[ArrayLike, ""] = 1.0) -> Float[Array, " d"]:
    """λ_i = λ for i = 1 … d.

    dimension: d ≥ 1. variance: λ ≥ 0. Raises ValueError outside these ranges.
    """
    return jnp.full(check.integer("dimension", dimension, 1), check.nonnegative("variance", variance))


def power_law(dimension: int, exponent: Real[ArrayLike, ""], largest: Real[ArrayLike, ""] = 1.0) -> Float[Array, " d"]:
    """λ_i = λ_1 i^(−a) for i = 1 … d; natural images have a near 1 to 2.

    dimension: d ≥ 1. exponent: a ≥ 0. largest: λ_1 ≥ 0. Raises ValueError outside these ranges.
    """
    index = jnp.arange(1, check.integer("dimension", dimension, 1) + 1, dtype=jnp.float64)
    return check.nonnegative("largest", largest) * index ** (-check.nonnegative("exponent", exponent))


def spiked(dimension: int, spikes: Real[ArrayLike, " k"], background: Real[ArrayLike, ""] = 1.0) -> Float[Array, " d"]:
    """λ = (s_1, …, s_k, b, …, b): a few strong directions above a flat background (Johnstone's spiked model).

    dimension: d ≥ 1. spikes: s_1 … s_k ≥ 0, k ≤ d, in any order. background: b ≥ 0. Raises ValueError outside these
    ranges.
    """
    spikes = _spectrum("spikes", spikes)
    count = check.integer("dimension", dimension, 1) - len(spikes)
    if count < 0:
        raise ValueError(f"spikes must be at most dimension = {dimension} numbers; got {len(spikes)}")
    return jnp.concatenate([spikes, jnp.full(count, check.nonnegative("background", background))])


def covariance(spectrum: Real[ArrayLike, " d"], *, key: PRNGKeyArray | None = None) -> Float[Array, "d d"]:
    """Σ = Q diag(λ) Qᵀ, with Q uniform among the rotations and reflections of R^d, or Q = 1 where no key is given.

    spectrum: the eigenvalues λ ≥ 0. key: draws Q. Raises ValueError for a negative or non-finite eigenvalue.
    """
    spectrum = _spectrum("spectrum", spectrum)
    if key is None:
        return jnp.diag(spectrum)
    basis = jax.random.orthogonal(key, len(spectrum), dtype=jnp.float64)
    return (basis * spectrum[None]) @ basis.T


def gaussian(key: PRNGKeyArray, n: int, covariance: Real[ArrayLike, "d d"]) -> Float[Array, "n d"]:
    """n rows x = Σ^½ z, z ~ N(0, 1): the symmetric root, so that Σ may be singular and eigenvectors may have any sign.

    n ≥ 1. covariance: Σ, symmetric positive semi-definite. Raises ValueError for any other n or Σ.
    """
    eigenvalues, basis = jnp.linalg.eigh(check.covariance("covariance", covariance))
    root = (basis * jnp.sqrt(jnp.maximum(eigenvalues, 0))[None]) @ basis.T
    shape = (check.integer("n", n, 1), len(eigenvalues))
    return jax.random.normal(key, shape, dtype=jnp.float64) @ root


def exact_gaussians(
    key: PRNGKeyArray, sets: int, n: int, variances: Real[ArrayLike, " d"]
) -> Float[np.ndarray, "sets n d"]:
    """Gaussian samples, a set for each seed, each turned and scaled to have second moment exactly diag(λ).

    What is fitted to second moments then has no sampling error. sets ≥ 1, n ≥ d. variances: λ_1 … λ_d ≥ 0. Raises
    ValueError outside these ranges.
    """
    variances = np.asarray(_spectrum("variances", variances))
    shape = (check.integer("sets", sets, 1), check.integer("n", n, len(variances)), len(variances))
    noise = np.asarray(jax.random.normal(key, shape, dtype=jnp.float64))
    root = np.linalg.cholesky(np.linalg.inv(np.swapaxes(noise, 1, 2) @ noise / n))
    return noise @ root * np.sqrt(variances)


def _spectrum(name, value):
    eigenvalues = check.nonnegative(name, value)
    if eigenvalues.ndim != 1:
        raise ValueError(f"{name} must be a list of eigenvalues; got shape {eigenvalues.shape}")
    return eigenvalues


# ---------------------------------------------------------------- 2-D mixtures: mean 0, E|x|² = 2 in the population

EIGHT_GAUSSIANS_STD = 0.1
TWO_MOONS_STD = 0.1


def eight_gaussians(key: PRNGKeyArray, n: int) -> Float[Array, "n 2"]:
    """x = r (cos πk/4, sin πk/4) + s z, k uniform on 0 … 7, s = 0.1, r = √(2(1 − s²)): mean 0, covariance 1.

    n ≥ 1 rows, else ValueError.
    """
    key_mode, key_noise = jax.random.split(key)
    mode = jax.random.randint(key_mode, (check.integer("n", n, 1),), 0, 8)
    angle = mode.astype(jnp.float64) * (jnp.pi / 4)
    centre = jnp.sqrt(2 * (1 - EIGHT_GAUSSIANS_STD**2)) * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    return centre + EIGHT_GAUSSIANS_STD * jax.random.normal(key_noise, (n, 2), dtype=jnp.float64)


def two_moons(key: PRNGKeyArray, n: int) -> Float[Array, "n 2"]:
    """x = (y − (½, ¼)) / c, y = (cos θ, sin θ) or (1 − cos θ, ½ − sin θ) with equal chance, + s z; θ uniform on [0, π].

    s = 0.1 and c² = ½(¾ + 9/16 − 1/π) + s², half the trace of y's covariance, make the mean 0 and E|x|² = 2; one
    common scale keeps the shape. The moons are those of scikit-learn's `make_moons`. n ≥ 1 rows, else ValueError.
    """
    key_angle, key_side, key_noise = jax.random.split(key, 3)
    angle = jax.random.uniform(key_angle, (check.integer("n", n, 1),), dtype=jnp.float64, maxval=jnp.pi)
    upper = jnp.stack([jnp.cos(angle) - 0.5, jnp.sin(angle) - 0.25], axis=1)
    side = jnp.where(jax.random.bernoulli(key_side, shape=(n, 1)), 1.0, -1.0)  # the lower moon is the upper one turned
    noise = TWO_MOONS_STD * jax.random.normal(key_noise, (n, 2), dtype=jnp.float64)
    return (side * upper + noise) / jnp.sqrt((3 / 4 + 9 / 16 - 1 / jnp.pi) / 2 + TWO_MOONS_STD**2)


def checkerboard(key: PRNGKeyArray, n: int) -> Float[Array, "n 2"]:
    """x uniform on the eight dark fields of a 4 × 4 board on [−√3, √3]²: mean 0, variances 1, correlation 3/16.

    n ≥ 1 rows, else ValueError.
    """
    key_field, key_place = jax.random.split(key)
    field = jax.random.randint(key_field, (check.integer("n", n, 1),), 0, 8)
    column, half = field // 2, field % 2
    corner = jnp.stack([column, 2 * half + column % 2], axis=1).astype(jnp.float64) - 2
    return (corner + jax.random.uniform(key_place, (n, 2), dtype=jnp.float64)) * (jnp.sqrt(3.0) / 2)


# --------------------------------------------------------------------------------------------------- images


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
        content = np.frombuffer(_existing(path, expected).read_bytes(), np.uint8)
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
    content = _existing(path, expected).read_bytes()
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


# ---------------------------------------------------------------------------------- a user's own samples

SAMPLES_EXPECTED = "expected samples in rows (n ≥ 2, d ≥ 1) in a .npy, .npz or .csv file"


def read_samples(path: str | Path) -> Float[Array, "n d"]:
    """All rows of a .npy, .npz or .csv file (formats and errors: `sample_chunks`), in memory, 8 n d bytes."""
    return jnp.asarray(np.concatenate(list(sample_chunks(path))))


def sample_chunks(path: str | Path, rows: int = 16_384) -> Iterator[Float[np.ndarray, "_ d"]]:
    """The rows of a file of samples (n, d), in order, as float64 arrays of at most `rows` rows each.

    path: .npy (memory-mapped, so n is limited by the disk alone), .npz (holding one array, read whole), or .csv
    (commas; read line by line; one header line of names is skipped, blank lines too). rows: ≥ 2.

    Raises FileNotFoundError for a missing file, and ValueError, naming file, place and remedy, for one that is not a
    finite real table with n ≥ 2 and d ≥ 1. Arrays of Python objects (pickles) are refused unread. Errors come when the
    iteration reaches them; rows are counted from 0, lines and columns of text from 1.
    """
    path = _existing(Path(path), SAMPLES_EXPECTED)
    rows = check.integer("rows", rows, 2)
    readers = {".npy": _npy_chunks, ".npz": _npz_chunks, ".csv": _csv_chunks}
    if path.suffix.lower() not in readers:
        raise ValueError(f"{path}: unknown kind of file {path.suffix!r}; {SAMPLES_EXPECTED}")
    yield from readers[path.suffix.lower()](path, rows)


def _npy_chunks(path, rows):
    try:
        table = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # foreign, damaged, or Python objects: NumPy's parser fails in many ways, and says how
        raise ValueError(f"{path}: not a whole .npy file of numbers ({_brief(error)}); {_resave('save')}") from None
    yield from _array_chunks(path, table, rows, _resave("save"))


def _npz_chunks(path, rows):
    remedy = _resave("savez")
    try:
        with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as archive:
            if len(archive.files) != 1:
                names = ", ".join(archive.files)
                raise ValueError(f"{len(archive.files)} arrays in it ({names})")
            table = archive[archive.files[0]]
            if not isinstance(table, np.ndarray):
                raise ValueError(f"{archive.files[0]} is not an array")
    except Exception as error:  # as above, and zipfile's own failures
        raise ValueError(f"{path}: not a whole .npz file of one array of numbers ({_brief(error)}); {remedy}") from None
    yield from _array_chunks(path, table, rows, remedy)


def _array_chunks(path, table, rows, remedy):
    if table.dtype.kind not in "fiu":
        raise ValueError(f"{path}: dtype {table.dtype}, not real numbers; {remedy}")
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 1:
        raise ValueError(f"{path}: an array of shape {table.shape}; {remedy}")
    for start in range(0, len(table), rows):
        chunk = np.array(table[start : start + rows], dtype=np.float64)
        if not np.isfinite(chunk).all():
            row, column = np.argwhere(~np.isfinite(chunk))[0]
            where = f"row {start + row}, column {column} (counted from 0)"
            raise ValueError(f"{path}: {chunk[row, column]} in {where}; leave out or fill in such rows")
        yield chunk


def _csv_chunks(path, rows):
    width, total, chunk = None, 0, []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            for fields in reader:
                if not fields:
                    continue
                if width is None:
                    width = len(fields)
                    if all(field.strip() and _number(field, None) is None for field in fields):
                        continue  # names
                if len(fields) != width:
                    where = f"line {reader.line_num}"
                    raise ValueError(f"{path}: {len(fields)} fields in {where}, {width} before; give every row as many")
                chunk.append(_csv_row(path, reader.line_num, fields))
                total += 1
                if len(chunk) == rows:
                    yield np.array(chunk, dtype=np.float64)
                    chunk = []
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{path}: not a text file ({error}); save the samples again, numbers parted by commas"
        ) from None
    if total < 2:
        raise ValueError(f"{path}: too few rows of numbers, {total}; {SAMPLES_EXPECTED}")
    if chunk:
        yield np.array(chunk, dtype=np.float64)


def _csv_row(path, line, fields):
    try:
        row = list(map(float, fields))
        if all(map(math.isfinite, row)):
            return row
    except ValueError:
        pass
    column = next(i for i, field in enumerate(fields) if not math.isfinite(_number(field, math.nan)))
    remedy = "part finite numbers by commas, and leave out index columns and incomplete rows"
    where = f"line {line}, column {column + 1}"
    raise ValueError(f"{path}: {fields[column][:40]!r} in {where}, not a finite number; {remedy}")


def _number(field, otherwise):
    """The number a field of text holds, or what is to stand for other text."""
    try:
        return float(field)
    except ValueError:
        return otherwise


def _brief(error):
    return " ".join(str(error).split())[:160]


def _resave(function):
    return f"save the samples again with numpy.{function}(path, x), x real of shape (n, d), n ≥ 2, d ≥ 1"


def _existing(path, expected):
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {expected}")
    return path
