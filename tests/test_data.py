"""Sampled moments against closed forms, images against their sources, files against what the tests wrote."""

import gzip
import re
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pandas
import pytest
import sklearn.datasets

from rfcollapse import data

KEY = jax.random.key(7)


def within(samples, expected_mean, expected_moment, sigmas=6):
    """Mean and second moments of the rows, within so many of their own standard errors."""
    rows = np.asarray(samples)
    products = np.einsum("ni,nj->nij", rows, rows).reshape(len(rows), -1)
    for values, expected in ((rows, np.ravel(expected_mean)), (products, np.ravel(expected_moment))):
        error = values.std(axis=0) / np.sqrt(len(values))
        assert np.all(np.abs(values.mean(axis=0) - expected) <= sigmas * error + 1e-12)


# Gaussians


def test_gaussian_has_the_covariance_even_a_singular_one():
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    covariance = basis * [4.0, 1.0, 0.0] @ basis.T
    samples = data.gaussian(KEY, 40_000, covariance)
    assert samples.dtype == jnp.float64
    within(samples, np.zeros(3), covariance)
    null = np.linalg.eigh(covariance)[1][:, 0]
    assert np.abs(samples @ null).max() < 1e-6
    kurtosis = np.mean(np.asarray(samples) ** 4, axis=0) / np.mean(np.asarray(samples) ** 2, axis=0) ** 2
    np.testing.assert_allclose(kurtosis, 3, atol=6 * np.sqrt(96 / 40_000))


# mixtures


@pytest.mark.parametrize(
    "sample, moment",
    [
        (data.eight_gaussians, np.eye(2)),
        (data.two_moons, None),
        (data.checkerboard, [[1, 3 / 16], [3 / 16, 1]]),
    ],
)
def test_mixtures_are_centred_and_scaled(sample, moment):
    samples = sample(KEY, 100_000)
    assert samples.shape == (100_000, 2) and samples.dtype == jnp.float64
    within(samples, np.zeros(2), np.cov(samples.T) if moment is None else moment)
    energy = np.sum(np.asarray(samples) ** 2, axis=1)
    assert abs(energy.mean() - 2) < 6 * energy.std() / np.sqrt(len(energy))


def test_two_moons_match_those_of_scikit_learn():
    theirs = sklearn.datasets.make_moons(40_000, noise=data.TWO_MOONS_STD, random_state=0)[0]
    theirs = (theirs - theirs.mean(axis=0)) / np.sqrt(np.trace(np.cov(theirs.T)) / 2)
    ours = np.asarray(data.two_moons(KEY, 40_000))
    for level in (0.02, 0.2, 0.5, 0.8, 0.98):
        # a density of about 0.2 or more at each of these quantiles: five standard errors are below 0.06
        np.testing.assert_allclose(np.quantile(ours, level, axis=0), np.quantile(theirs, level, axis=0), atol=0.06)


def test_eight_gaussians_have_eight_equal_modes():
    samples = np.asarray(data.eight_gaussians(KEY, 80_000))
    radius = np.hypot(*samples.T)
    assert abs(np.mean(radius) - np.sqrt(1.98)) < 0.01 and np.std(radius) < 0.11
    turns = np.arctan2(samples[:, 1], samples[:, 0]) / (np.pi / 4)
    spread = data.EIGHT_GAUSSIANS_STD / np.sqrt(1.98) / (np.pi / 4)  # to first order in the noise
    np.testing.assert_allclose(np.std(turns - np.round(turns)), spread, rtol=0.03)
    counts = np.bincount(np.round(turns).astype(int) % 8, minlength=8)
    assert np.abs(counts - 10_000).max() < 6 * np.sqrt(80_000 * 7 / 64)


def test_checkerboard_fills_the_dark_fields_only():
    samples = np.asarray(data.checkerboard(KEY, 80_000))
    assert np.abs(samples).max() <= np.sqrt(3)
    field = np.clip(np.floor(samples * 2 / np.sqrt(3)) + 2, 0, 3).astype(int)
    assert np.all(field.sum(axis=1) % 2 == 0)
    counts = np.bincount(field[:, 0] * 4 + field[:, 1], minlength=16)
    assert np.sum(counts > 0) == 8 and np.abs(counts[counts > 0] - 10_000).max() < 6 * np.sqrt(80_000 * 7 / 64)


# images


def standardised(images):
    np.testing.assert_allclose(images.samples.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.mean(np.asarray(images.samples) ** 2), 1, rtol=1e-12)
    assert images.samples.dtype == jnp.float64


def test_digits():
    images, source = data.digits(), sklearn.datasets.load_digits()
    assert images.samples.shape == (1797, 64) and images.shape == (8, 8)
    standardised(images)
    np.testing.assert_allclose(images.pixels(images.samples), source.images / 16, atol=1e-14)
    np.testing.assert_array_equal(images.labels, source.target)
    assert np.linalg.matrix_rank(np.asarray(images.samples)) == 61


def test_fashion_is_balanced_and_grey():
    images = data.fashion()
    assert images.samples.shape == (5000, 784) and images.shape == (28, 28)
    assert np.bincount(images.labels).tolist() == [500] * 10
    standardised(images)
    pixels = np.asarray(images.pixels(images.samples)) * 255
    np.testing.assert_allclose(pixels, pixels.round(), atol=1e-9)
    upper = pixels[:, :14].mean(axis=(1, 2)) / pixels.mean(axis=(1, 2))
    by_class = [upper[np.asarray(images.labels) == label].mean() for label in range(10)]
    assert np.argmin(by_class) in (5, 7)  # sandals and sneakers lie low


def test_photo_patches_are_cut_where_documented():
    images, photos = data.photo_patches(), sklearn.datasets.load_sample_images().images
    assert images.samples.shape == (8216, 768) and images.shape == (16, 16, 3)
    assert np.bincount(images.labels).tolist() == [4108, 4108]  # of each photo
    standardised(images)
    per_row, per_photo = (640 - 16) // 8 + 1, 4108
    pixels = images.pixels(images.samples[jnp.array([0, 1, per_row, per_photo + 2])])
    for patch, (photo, row, column) in zip(pixels, [(0, 0, 0), (0, 0, 8), (0, 8, 0), (1, 0, 16)]):
        np.testing.assert_allclose(patch, photos[photo][row : row + 16, column : column + 16] / 255, atol=1e-14)


def test_photo_patches_of_another_size():
    images = data.photo_patches(size=32, stride=16)
    assert images.samples.shape == (2 * 25 * 39, 32 * 32 * 3)
    assert data.photo_patches(size=427, stride=100).samples.shape == (2 * 3, 427 * 427 * 3)
    standardised(images)


def test_pixels_are_cut_to_the_drawable_range():
    images = data.digits()
    drawn = images.pixels(10 * images.samples[:3])
    assert drawn.shape == (3, 8, 8) and drawn.min() == 0 and drawn.max() == 1


def cifar_file(path, pixels, labels):
    records = [bytes([label]) + image.transpose(2, 0, 1).tobytes() for image, label in zip(pixels, labels)]
    path.write_bytes(b"".join(records))
    return path


def byte_images(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_cifar10(tmp_path):
    with pytest.raises(FileNotFoundError, match="no data_batch_"):
        data.cifar10(tmp_path)
    pixels, labels = byte_images(0, 5, 32, 32, 3), [3, 9, 0, 1, 1]
    cifar_file(tmp_path / "data_batch_1.bin", pixels[:3], labels[:3])
    cifar_file(tmp_path / "data_batch_2.bin", pixels[3:], labels[3:])
    images = data.cifar10(str(tmp_path))
    assert images.shape == (32, 32, 3)
    standardised(images)
    np.testing.assert_allclose(images.pixels(images.samples), pixels / 255, atol=1e-14)
    np.testing.assert_array_equal(images.labels, labels)


def test_cifar10_with_its_folder(tmp_path):
    (tmp_path / "cifar-10-batches-bin").mkdir()
    cifar_file(tmp_path / "cifar-10-batches-bin" / "data_batch_1.bin", byte_images(0, 2, 32, 32, 3), [3, 9])
    assert data.cifar10(tmp_path).labels.tolist() == [3, 9]


def test_cifar10_refuses_other_files(tmp_path):
    cifar_file(tmp_path / "data_batch_1.bin", byte_images(0, 2, 32, 32, 3), [1, 2])
    whole = (tmp_path / "data_batch_1.bin").read_bytes()
    for content, words in [
        (b"", "0 bytes"),
        (whole[:-1], "6145 bytes, not a whole number of 3073-byte records"),
        (whole[3073:] + b"\x0a" + whole[1:3073], "a label 10, not 0 to 9"),
    ]:
        (tmp_path / "data_batch_2.bin").write_bytes(content)
        with pytest.raises(ValueError, match=words) as refusal:
            data.cifar10(tmp_path)
        assert "data_batch_2.bin" in str(refusal.value) and "expected CIFAR-10's binary version" in str(refusal.value)
    for batch in (1, 2):
        cifar_file(tmp_path / f"data_batch_{batch}.bin", np.ones((2, 32, 32, 3), np.uint8), [1, 1])
    with pytest.raises(ValueError, match="must differ from one another"):
        data.cifar10(tmp_path)


def idx(array):
    header = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)
    return header + array.tobytes()


IDX_IMAGES, IDX_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize("pack, end", [(bytes, ""), (gzip.compress, ".gz")])
def test_mnist(tmp_path, pack, end):
    pixels, labels = byte_images(1, 4, 28, 28), np.array([5, 0, 4, 9], np.uint8)
    (tmp_path / f"{IDX_IMAGES}{end}").write_bytes(pack(idx(pixels)))
    assert data.mnist(tmp_path).labels is None
    (tmp_path / f"{IDX_LABELS}{end}").write_bytes(pack(idx(labels)))
    images = data.mnist(str(tmp_path))
    assert images.shape == (28, 28)
    standardised(images)
    np.testing.assert_allclose(images.pixels(images.samples), pixels / 255, atol=1e-14)
    np.testing.assert_array_equal(images.labels, labels)


@pytest.mark.parametrize(
    "place",
    [
        "train-images.idx3-ubyte",
        "train-images.idx3-ubyte.gz",
        f"{IDX_IMAGES}/{IDX_IMAGES}",
        "train-images.idx3-ubyte/train-images.idx3-ubyte",
        f"{IDX_IMAGES}/train-images.idx3-ubyte",
        f"raw/{IDX_IMAGES}.gz",
        f"MNIST/raw/{IDX_IMAGES}",
    ],
)
def test_mnist_as_others_lay_it_out(tmp_path, place):
    pixels = byte_images(1, 4, 5, 5)
    for file, content in ((place, pixels), (place.replace("images", "labels").replace("idx3", "idx1"), np.arange(4))):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(idx(content.astype(np.uint8)))
    images = data.mnist(tmp_path)
    np.testing.assert_allclose(images.pixels(images.samples), pixels / 255, atol=1e-14)
    assert images.labels.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "content",
    ["<!DOCTYPE html>\n<html>404</html>", "\n  <?xml version='1.0'?>", "version https://git-lfs.github.com\n"],
)
def test_a_page_is_no_mnist(tmp_path, content):
    (tmp_path / f"{IDX_IMAGES}.gz").write_text(content)
    with pytest.raises(
        ValueError, match=f"begins with ['\"]{re.escape(content.split()[0])}.*fetch it again"
    ) as refusal:
        data.mnist(tmp_path)
    assert "\n" not in str(refusal.value)


def test_mnist_refuses_other_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no train-images-idx3-ubyte in it, gzipped or not; expected MNIST"):
        data.mnist(tmp_path)
    pixels, labels = byte_images(1, 4, 28, 28), np.array([5, 0, 4, 9], np.uint8)
    for content, words in [
        (b"", "0 bytes, too short"),
        (idx(labels), "too short|magic number 2049, not 2051"),
        (idx(pixels)[:-1], r"3151 bytes, but 3152 by its header \(4 × 28 × 28\)"),
        (idx(pixels) + b"\0", "3153 bytes, but 3152"),
        (idx(pixels[:0]), "not empty"),
        (gzip.compress(idx(pixels))[:-20], "broken gzip file"),
        (b"\x1f\x8b not gzip after all", "broken gzip file"),
        (struct.pack(">4I", 2051, *[2**32 - 1] * 3), f"but {16 + (2**32 - 1) ** 3} by its header"),
        (b"\x89PNG" + bytes(40), "magic number"),
    ]:
        (tmp_path / IDX_IMAGES).write_bytes(content)
        with pytest.raises(ValueError, match=words) as refusal:
            data.mnist(tmp_path)
        assert f"{IDX_IMAGES}: " in str(refusal.value) and "expected MNIST images" in str(refusal.value)
    (tmp_path / IDX_IMAGES).write_bytes(idx(pixels))
    for content, words in [
        (idx(labels[:3]), "3 labels for 4 images"),
        (idx(labels + np.uint8(1)), "label 10; expected 0 to 9"),
        (idx(pixels), "magic number 2051, not 2049; expected MNIST labels"),
    ]:
        (tmp_path / IDX_LABELS).write_bytes(content)
        with pytest.raises(ValueError, match=words):
            data.mnist(tmp_path)


# a user's own samples


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int32, np.uint8, ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_come_back_as_written(tmp_path, dtype, order):
    table = np.asarray(byte_images(2, 7, 3), dtype=dtype, order=order)
    np.save(tmp_path / "x.npy", table)
    np.savez(tmp_path / "x.npz", table)
    np.savez_compressed(tmp_path / "y.npz", samples=table)
    for name in ("x.npy", "x.npz", "y.npz"):
        read = data.read_samples(str(tmp_path / name))
        assert read.dtype == jnp.float64
        np.testing.assert_array_equal(read, table.astype(np.float64))


def test_text_comes_back_as_written(tmp_path):
    table = np.random.default_rng(3).normal(size=(5, 3))
    rows = "\n".join(",".join(map(repr, row)) for row in table.tolist())
    for text in (
        rows,
        rows + "\n\n",
        "a,b,c\r\n" + rows.replace("\n", "\r\n"),
        "\ufeff" + rows,
        '"x 1","y",z\n' + rows,
    ):
        (tmp_path / "x.CSV").write_text(text, encoding="utf-8", newline="")
        np.testing.assert_array_equal(data.read_samples(tmp_path / "x.CSV"), table)


@pytest.mark.parametrize("name, write", [("x.npy", np.save), ("x.npz", np.savez), ("x.csv", None)])
def test_chunks_are_the_whole_in_order(tmp_path, name, write):
    table = np.arange(22.0).reshape(11, 2)
    if write:
        write(tmp_path / name, table)
    else:
        np.savetxt(tmp_path / name, table, delimiter=",")
    chunks = list(data.sample_chunks(tmp_path / name, rows=4))
    assert [len(chunk) for chunk in chunks] == [4, 4, 3]
    np.testing.assert_array_equal(np.concatenate(chunks), table)


@pytest.mark.parametrize("line, place", [("5,6,7", "3 fields in line 6"), ("5", "1 fields in line 6")])
def test_a_line_of_another_width_is_found_at_the_start_of_a_chunk(tmp_path, line, place):
    (tmp_path / "x.csv").write_text(f"a,b\n1,2\n3,4\n5,6\n7,8\n{line}\n9,10\n")
    chunks = data.sample_chunks(tmp_path / "x.csv", rows=2)
    assert len(next(chunks)) == len(next(chunks)) == 2
    with pytest.raises(ValueError, match=place):
        next(chunks)


def test_the_place_of_a_bad_number_is_that_in_the_file_not_in_the_chunk(tmp_path):
    table = np.ones((11, 2))
    table[9, 1] = np.nan
    np.save(tmp_path / "x.npy", table)
    np.savetxt(tmp_path / "x.csv", table, delimiter=",")
    for name, place in [("x.npy", r"row 9, column 1 \(counted from 0\)"), ("x.csv", "line 10, column 2")]:
        chunks = data.sample_chunks(tmp_path / name, rows=4)
        assert len(next(chunks)) == len(next(chunks)) == 4
        with pytest.raises(ValueError, match=place):
            next(chunks)


def test_images_in_arrays_are_flattened_in_the_order_of_their_axes(tmp_path):
    pixels = byte_images(3, 6, 4, 5, 3)
    np.savez(tmp_path / "s.npz", images=pixels, labels=np.arange(6))
    for name, array in {"c.npy": pixels, "f.npy": np.asfortranarray(pixels), "grey.npy": pixels[..., 0]}.items():
        np.save(tmp_path / name, array)
        with pytest.warns(UserWarning, match=f"{name}: images of 4 × 5.* flattened to"):
            np.testing.assert_array_equal(data.read_samples(tmp_path / name), array.reshape(6, -1))
    table = data.open_table(f"{tmp_path}/s.npz:images", [59, "0"])
    np.testing.assert_array_equal(np.concatenate([*table.chunks(4)]), pixels.reshape(6, -1)[:, [59, 0]])
    assert table.notes == ("images of 4 × 5 × 3 flattened to 60 columns",)


def test_parquet_is_read_by_pandas(tmp_path, monkeypatch):
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    frame = pandas.DataFrame({"id": [1, 2, 3], "b": [0.5, 1.5, 2.5], "kind": ["u", "v", "w"]})
    for engine, words in [
        (ImportError("no pyarrow"), "install it, or save as .csv or .npy"),
        (OSError("?"), "not a whole"),
    ]:
        monkeypatch.setattr(pandas, "read_parquet", lambda path, error=engine: (_ for _ in ()).throw(error))
        with pytest.raises(ValueError, match=words):
            data.read_samples(tmp_path / "x.parquet")
    monkeypatch.setattr(pandas, "read_parquet", lambda path: frame)
    with pytest.raises(ValueError, match=r"not all columns are numbers .*'u'.*--columns"):
        data.read_samples(tmp_path / "x.parquet")
    table = data.open_table(tmp_path / "x.parquet", ["b"])
    assert np.concatenate([*table.chunks(2)]).tolist() == [[0.5], [1.5], [2.5]]
    assert table.notes == ("left out: id, kind",)
    frame = frame[["id", "b"]]
    assert data.open_table(tmp_path / "x.parquet").names == ("b",)


def test_a_huge_npy_is_not_read_into_memory(tmp_path):
    # 8 TB that no disk holds: a sparse file, of which only the first chunk is touched
    shape, path = (10**9, 1000), tmp_path / "huge.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
        try:
            file.truncate(file.tell() + 8 * shape[0] * shape[1])
        except OSError:
            pytest.skip("this file system holds no sparse file of 8 TB")
    first = next(data.sample_chunks(path, rows=5))
    assert first.shape == (5, 1000) and not first.any()


class Trap:
    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


def object_array(save):
    def write(path):
        save(path, np.array([[Trap()], [1.0]], dtype=object), allow_pickle=True)

    return write


def cut(write, bytes_left_out):
    def cut_file(path):
        write(path)
        path.write_bytes(path.read_bytes()[:-bytes_left_out])

    return cut_file


def text(content, encoding="utf-8"):
    return lambda path: path.write_bytes(content.encode(encoding))


def array(value):
    return lambda path: (np.savez if path.suffix == ".npz" else np.save)(path, np.array(value))


def npy_bytes(path):
    with path.open("wb") as file:
        np.save(file, GOOD)


GOOD = np.arange(600.0).reshape(200, 3)
NAN = [[1.0, 2.0], [3.0, float("nan")], [5.0, 6.0]]


@pytest.mark.parametrize(
    "name, write, words",
    [
        ("empty.npy", text(""), "not a whole .npy file"),
        ("foreign.npy", text("1,2\n3,4\n"), "not a whole .npy file"),
        ("truncated.npy", cut(array(GOOD), 8), "not a whole .npy file"),
        ("header.npy", cut(array(GOOD), 8 * 600 + 20), "not a whole .npy file"),
        ("objects.npy", object_array(np.save), "not a whole .npy file"),
        ("strings.npy", array([["a", "b"], ["c", "d"]]), "dtype <U1, not real numbers"),
        ("complex.npy", array([[1j], [2]]), "dtype complex128, not real numbers"),
        ("bool.npy", array([[True], [False]]), "dtype bool, not real numbers"),
        ("line.npy", array([1.0, 2.0]), r"shape \(2,\)"),
        ("film.npy", array(np.ones((2, 2, 2, 2, 2))), r"shape \(2, 2, 2, 2, 2\)"),
        ("one row.npy", array([[1.0, 2.0]]), r"shape \(1, 2\)"),
        ("no rows.npy", array(np.ones((0, 3))), r"shape \(0, 3\)"),
        ("no columns.npy", array(np.ones((3, 0))), r"shape \(3, 0\)"),
        ("nan.npy", array(NAN), r"nan in row 1, column 1 \(counted from 0\)"),
        ("infinite.npy", array([[1.0], [-np.inf]]), "-inf in row 1"),
        ("empty.npz", text(""), "not a whole .npz file"),
        ("foreign.npz", text("1,2\n3,4\n"), "not a whole .npz file"),
        ("an npy.npz", npy_bytes, "not a whole .npz file"),
        ("truncated.npz", cut(array(GOOD), 100), "not a whole .npz file"),
        ("objects.npz", object_array(np.savez), "not a whole .npz file"),
        ("two.npz", lambda path: np.savez(path, a=GOOD, b=GOOD), r"2 arrays in it \(a, b\)"),
        ("none.npz", lambda path: np.savez(path), "0 arrays in it"),
        ("nan.npz", array(NAN), "nan in row 1, column 1"),
        ("strings.npz", array([["a"], ["b"]]), "dtype <U1, not real numbers"),
        ("empty.csv", text(""), "too few rows of numbers, 0"),
        ("blank.csv", text("\n\n"), "too few rows of numbers, 0"),
        ("names.csv", text("a,b\n"), "too few rows of numbers, 0"),
        ("one row.csv", text("a,b\n1,2\n"), "too few rows of numbers, 1"),
        ("text.csv", text("a,b\n1,2\n3,four\n"), r"'four' in line 3, column 2 \('b'\), not a finite number"),
        ("two headers.csv", text("a,b\nc,d\n1,2\n"), "'c' in line 2, column 1"),
        ("missing.csv", text("1,2\n3,\n"), "'' in line 2, column 2"),
        ("nan.csv", text("1,2\n3,4\nnan,5\n"), "'nan' in line 3, column 1"),
        ("nan first.csv", text("nan,nan\n3,4\n"), "'nan' in line 1, column 1"),
        ("ragged.csv", text("1,2\n3,4\n5,6,7\n"), "3 fields in line 3, 2 before"),
        ("cut.csv", text("1,2\n3,4\n5"), "1 fields in line 3, 2 before"),
        ("key.csv", text("id,x,y\n7,1,2\n3,3,4\n"), "column 'id' looks like a key but does not count.*--columns"),
        ("unclear.csv", text("1;2\n3;4\n"), r"line 1 \(1, 2\) may be column names or a row of numbers"),
        ("underscore.csv", text("1_5,2\n3,4\n"), "'1_5' in line 1, column 1"),
        ("digits.csv", text("1,2\n3,٣\n"), "'٣' in line 2, column 2"),
        ("infinite.csv", text("1,2\n3,1e400\n"), "'1e400' in line 2, column 2"),
        ("blank lines.csv", text('"a\n1",b\n\n1,2\n\n,\n'), "'' in line 6, column 1"),
        ("long.csv", text("a,b\n1,2,3\n4,5,6\n"), "3 fields in line 2, 2 before"),
        ("ends.csv", text("a,b\n1,2,\n4,5,\n"), "3 fields in line 2, 2 before; it ends in a separator, leave that out"),
        ("said.csv", text("# mine\na,b\n1,2\n4,5\n"), "2 fields in line 2, 1 before.*leave out the comment in line 1"),
        ("utf-16.csv", text("a,b\n3,٤\n5,6\n", "utf-16"), "'٤' in line 2, column 2"),
        ("binary.csv", npy_bytes, "not a text file|not a finite number"),
        ("latin.csv", text("größe\n1\n2\n", "latin-1"), "not a text file"),
        ("kind.xlsx", text("PK"), "unknown kind of file '.xlsx'"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, name, write, words):
    path = tmp_path / name
    write(path)
    with pytest.raises(ValueError, match=words) as refusal:
        data.read_samples(path)
    message = str(refusal.value)
    assert message.startswith(str(path)) and ";" in message and "\n" not in message and len(message) < 600


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.csv"])
def test_missing_files_are_named(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="no such file; expected samples in rows"):
        data.read_samples(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match="a folder; name the files in it"):
        data.read_samples(tmp_path / name)


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_damaged_files_give_a_value_error_or_the_data(tmp_path, name):
    """Each byte of the header changed in turn, each length of it: never another kind of error."""
    array(GOOD[:4])(tmp_path / name)
    content, path = (tmp_path / name).read_bytes(), tmp_path / f"damaged{name[1:]}"
    damaged = [content[:length] for length in range(0, len(content), 3)]
    damaged += [
        content[:i] + bytes([content[i] ^ flip]) + content[i + 1 :] for i in range(130) for flip in (1, 64, 255)
    ]
    refused = 0
    for attempt in damaged:
        path.write_bytes(attempt)
        try:
            assert data.read_samples(path).ndim == 2
        except ValueError as refusal:
            refused += 1
            assert str(path) in str(refusal)
    assert refused > len(damaged) / 3


# arguments


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: data.gaussian(KEY, 0, np.eye(2)), "n must be at least 1"),
        (
            lambda: data.gaussian(KEY, 3, np.array([[1.0, 2.0], [2.0, 1.0]])),
            "covariance must be positive semi-definite",
        ),
        (lambda: data.two_moons(KEY, -1), "n must be at least 1"),
        (lambda: data.eight_gaussians(KEY, 1.5), "n must be a whole number"),
        (lambda: data.checkerboard(KEY, 0), "n must be at least 1"),
        (lambda: data.photo_patches(size=428), "size must be from 1 to 427; got 428"),
        (lambda: data.photo_patches(stride=0), "stride must be at least 1"),
        (lambda: data.digits().pixels(np.ones((2, 63))), "rows must have d = 64 columns; got 63"),
        (lambda: next(data.sample_chunks(__file__, rows=2)), "unknown kind of file '.py'"),
        (lambda: next(data.sample_chunks(__file__, rows=1)), "rows must be at least 2"),
    ],
)
def test_bad_arguments_are_refused(unchecked, call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_draws_can_be_compiled(in_float64):
    covariance = np.diag([3.0, 1.0, 0.5])
    compiled = jax.jit(lambda key: data.gaussian(key, 5, covariance))(KEY)
    np.testing.assert_allclose(compiled, data.gaussian(KEY, 5, covariance), rtol=1e-12)


# names


def test_every_name_of_the_help_is_found(tmp_path):
    for name in ("eight_gaussians", "two_moons", "checkerboard", "gaussian:4,0.25"):
        assert name in data.DATA_HELP and data.find(name).draw(KEY, 3).shape == (3, 2)
    np.testing.assert_array_equal(data.find("gaussian:4,0.25").variances, [4, 0.25])
    for name in ("digits", "fashion", "photos", "photos32"):
        assert name in data.DATA_HELP and data.find(name).images is not None
    assert data.find("digits").images().shape == (8, 8)
    pixels = byte_images(1, 2, 4, 4)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(pixels))
    assert data.find(f"mnist:{tmp_path}").images().shape == (4, 4)
    cifar_file(tmp_path / "data_batch_1.bin", byte_images(0, 2, 32, 32, 3), [3, 9])
    assert data.find(f"cifar:{tmp_path}").images().shape == (32, 32, 3)
    for name in ("x.npy", "no folder/x.NPZ", "x.csv", "x.tsv", "x.csv.GZ", "x.npz:images", "x.parquet"):
        assert data.find(name).path.name == name.split("/")[-1]


@pytest.mark.parametrize("name", ["", "digit", "mnist:", "cifar", "gaussian:", "gaussian", "x.doc", "x.npy:a"])
def test_other_names_are_refused_with_all_that_is_understood(name):
    with pytest.raises(ValueError, match=r"data must be digits, .*gaussian:.*mnist:FOLDER.*\.csv.*NAME"):
        data.find(name)


@pytest.mark.parametrize("name", ["gaussian:a", "gaussian:1,,2", "gaussian:-1", "gaussian:nan"])
def test_bad_variances_are_refused(name):
    with pytest.raises(ValueError, match="data must be gaussian:VARIANCES, numbers ≥ 0"):
        data.find(name)
