"""Files of every odd kind: each is read with the right numbers, or refused in one line; nothing else ever happens."""

import bz2
import csv
import gzip
import io
import lzma
import struct
import zipfile

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcollapse import data
from rfcollapse.advice import samples

X = np.random.default_rng(5).normal(size=(12, 3)) * [1, 1e-3, 1e4]
BODY = "\n".join(",".join(map(repr, row)) for row in X.tolist()) + "\n"
NAMED = "a,b,c\n" + BODY
INDEXED = "".join(f"{i},{line}\n" for i, line in enumerate(BODY.splitlines()))
SEMICOLONS = BODY.replace(",", ";").replace(".", ",")


def npy(array, **kept):
    file = io.BytesIO()
    np.save(file, array, **kept)
    return file.getvalue()


def npz(compressed=False, **arrays):
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file.getvalue()


def header(shape, descr="<f8", order=False, body=b""):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": order, "shape": shape})
    return file.getvalue() + body


def zipped(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def edited(row, column, field, text=NAMED):
    lines = [line.split(",") for line in text.splitlines()]
    lines[row][column] = field
    return "\n".join(map(",".join, lines)) + "\n"


# kind of file, content → the numbers X come back
GOOD = {
    "plain.csv": BODY,
    "names.csv": NAMED,
    "tabs.tsv": BODY.replace(",", "\t"),
    "tabs, names.txt": NAMED.replace(",", "\t"),
    "tabs, decimal commas.tsv": BODY.replace(",", "\t").replace(".", ","),
    "semicolons.csv": NAMED.replace(",", ";"),
    "decimal commas.csv": "a;b;c\n" + SEMICOLONS,
    "decimal commas, no names.csv": SEMICOLONS,
    "bars.txt": BODY.replace(",", "|"),
    "blanks.txt": BODY.replace(",", " "),
    "blanks, names.txt": NAMED.replace(",", "  "),
    "blanks, decimal commas.txt": BODY.replace(",", " ").replace(".", ","),
    "aligned.txt": BODY.replace(",", "   ").replace("\n", "  \n  "),
    "comma and blank.csv": NAMED.replace(",", ", "),
    "savetxt.csv": "# a,b,c\n" + BODY,
    "savetxt.txt": ("# a,b,c\n" + BODY).replace(",", " "),
    "numbers from 0.csv": "0,1,2\n" + BODY,
    "numbers from 1.csv": "1,2,3\n" + BODY,
    "index.csv": ",a,b,c\n" + INDEXED,
    "index, numbers.csv": ",0,1,2\n" + INDEXED,
    "named index.csv": "id,a,b,c\n" + INDEXED,
    "named index, numbers.csv": "id,0,1,2\n" + INDEXED,
    "index alone.csv": INDEXED,
    "R.csv": '"","a","b","c"\n' + "".join(f'"{i}",{line}\n' for i, line in enumerate(BODY.splitlines(), 1)),
    "index twice.csv": "Unnamed: 0,id,a,b,c\n" + "".join(f"{i},{x}\n" for i, x in enumerate(INDEXED.splitlines())),
    "shuffled index.csv": ",a,b,c\n" + "".join(f"{i * 5 % 12},{line}\n" for i, line in enumerate(BODY.splitlines())),
    "floating index.csv": "index,a,b,c\n" + "".join(f"{i}.0,{x}\n" for i, x in enumerate(BODY.splitlines())),
    "mark.csv": "\ufeff" + NAMED,
    "mark, no names.csv": "\ufeff" + BODY,
    "utf-16.csv": NAMED.encode("utf-16"),
    "utf-16 be.csv": b"\xfe\xff" + NAMED.encode("utf-16-be"),
    "utf-32.csv": NAMED.encode("utf-32"),
    "utf-16 tabs.txt": NAMED.replace(",", "\t").encode("utf-16"),
    "windows.csv": NAMED.replace("\n", "\r\n"),
    "mac.csv": NAMED.replace("\n", "\r"),
    "no end.csv": NAMED.rstrip(),
    "blank lines.csv": "\n\n" + NAMED.replace("\n", "\n\n"),
    "lines of blanks.csv": NAMED.replace("\n", "\n   \n"),
    "quoted names.csv": '"a, b","b ""c""",c\n' + BODY,
    "line in a name.csv": '"a\nb",b,c\n' + BODY,
    "all quoted.csv": "\n".join(",".join(f'"{x}"' for x in line.split(",")) for line in NAMED.splitlines()),
    "greek.csv": NAMED.replace("a,b,c", "α,β,σ²"),
    "dates.csv": NAMED.replace("a,b,c", "2020-01,2020-02,2020-03"),
    "blanks in names.csv": NAMED.replace("a,b,c", "first one,second one,third one"),
    "capital.CSV": NAMED.replace("e", "E"),
    "plus.csv": "\n".join(",".join(x if x[0] == "-" else f"+{x}" for x in y.split(",")) for y in BODY.splitlines()),
    "gzip.csv.gz": gzip.compress(NAMED.encode()),
    "bz2.csv.bz2": bz2.compress(NAMED.encode()),
    "xz.csv.xz": lzma.compress(NAMED.encode()),
    "zip.csv.zip": zipped({"x.csv": NAMED}),
    "mac.zip": zipped({"x.csv": NAMED, "__MACOSX/._x.csv": "junk"}),
    "gzip.tsv.gz": gzip.compress(BODY.replace(",", "\t").encode("utf-16")),
    "not gzip.csv.gz": NAMED,
    "gzip unsaid.csv": gzip.compress(NAMED.encode()),
    "f8.npy": npy(X),
    "big-endian.npy": npy(X.astype(">f8")),
    "fortran.npy": npy(np.asfortranarray(X)),
    "one.npz": npz(x=X),
    "packed.npz": npz(compressed=True, x=X),
    "several.npz:x": npz(x=X, labels=np.arange(12), y=np.ones(3)),
    "images.npy": npy(X.reshape(12, 3, 1, 1)),
    "grey images.npy": npy(X.reshape(12, 1, 3)),
    "fortran images.npz:x": npz(x=np.asfortranarray(X.reshape(12, 1, 3))),
}

BAD_FIELDS = (
    *("", " ", "NA", "nan", "NaN", "null", "None", "inf", "-inf", "Infinity", "1e400", "true", "False", "1_5", "٣"),
    *("３", "0x1A", "1,5", "1;5", "1 5", "1.2.3", "--1", "1e", "e5", ".", "-", "+", "1-2", "$1", "1%", "−1", "1d5"),
    *("\u00a01", "1\0", "1\x002", "\0", "#N/A", "#5", "1'000", "(1)", "abc", "1j", "[1]", "=1+1", '1"', '"1"2', '"1'),
    "2020-01-01",
)  # fmt: skip
FIELDS = [field for field in BAD_FIELDS if field[:1] not in tuple('#"')]  # these mean nothing bad at some places

# kind of file, content: refused in one line
BAD = {
    **{f"field {i}, named.csv": edited(5, 1, field) for i, field in enumerate(BAD_FIELDS)},
    **{f"field {i}, first.csv": edited(0, 2, field, BODY) for i, field in enumerate(FIELDS)},
    **{f"field {i}, last.tsv": edited(-1, 0, field).replace(",", "\t") for i, field in enumerate(FIELDS)},
    "nothing.csv": "",
    "mark alone.csv": "\ufeff",
    "blank.csv": "\n \n\n",
    "commas.csv": ",,\n,,\n",
    "names alone.csv": "a,b,c\n",
    "one row.csv": "a,b,c\n1,2,3\n",
    "names twice.csv": NAMED + NAMED,
    "two lines of names.csv": "m,s,kg\n" + NAMED,
    "title.csv": "My table\n" + NAMED,
    "one name twice.csv": NAMED.replace("a,b,c", "a,b,a"),
    "no name.csv": NAMED.replace("a,b,c", "a,,c"),
    "mangled.csv": "1.5,2.5,1.5.1\n" + BODY,
    "years.csv": "2019,2020,2021\n" + BODY,
    "numbers over numbers.csv": "0,1\n1,0\n0,0\n1,1\n0,1\n",
    "numbers from 0, whole.csv": "0,1,2\n5,3,7\n2,6,9\n",
    "wavelengths.csv": "400.5,401.0,401.5,402.0\n" + "0.1,0.2,0.7,0.4\n" * 5,
    "labels and numbers.csv": "label,0,1\n" + "cat,0.5,0.25\n" * 5,
    "short line.csv": NAMED + "1,2\n",
    "long line.csv": NAMED + "1,2,3,4\n",
    "short first.csv": "1,2\n" + BODY,
    "long first.csv": "1,2,3,4\n" + BODY,
    "fewer names.csv": "a,b\n" + BODY,
    "more names.csv": "a,b,c,d\n" + BODY,
    "ends with commas.csv": NAMED.replace("\n", ",\n"),
    "cut.csv": NAMED[:-30],
    "mixed.csv": NAMED + "1;2;3\n",
    "mixed, half.csv": BODY + BODY.replace(",", ";"),
    "point and comma.csv": SEMICOLONS + "1.5;2.5;3.5\n",
    "thousands.csv": SEMICOLONS + "1.234,5;2,5;3,5\n",
    "one column, decimal commas.csv": "a\n1,5\n2,5\n",
    "text column.csv": "".join(f"{line},cat\n" for line in BODY.splitlines()),
    "text column, named.csv": "a,b,c,d\n" + "".join(f"{line},cat\n" for line in BODY.splitlines()),
    "key.csv": "a,b,user_id\n" + "".join(f"0.5,{i},{i * i + 3}\n" for i in range(12)),
    "index alone.csv": "id,row_id\n" + "".join(f"{i},{i + 5}\n" for i in range(12)),
    "index begins again.csv": "id,a,b\n" + "0,0.5,1.5\n1,0.5,2.5\n" * 2,
    "index breaks late.csv": "".join(f"{i},{i % 7 / 8}\n" for i in [*range(20_000), 5]),
    "number breaks late.csv": "a,b\n" + "0.5,1.5\n" * 20_000 + "0.5,1_5\n",
    "separator breaks late.csv": "a;b\n" + "0.5;1.5\n" * 20_000 + "0.5;1,5\n",
    "width breaks late.csv": "a,b\n" + "0.5,1.5\n" * 20_000 + "0.5,1.5,2.5\n",
    "quote open.csv": NAMED + '"1,2,3\n',
    "latin.csv": NAMED.replace("a,", "größe,").encode("latin-1"),
    "utf-16, no mark.csv": NAMED.encode("utf-16-le"),
    "utf-16, cut.csv": NAMED.encode("utf-16")[:-1],
    "bytes.csv": bytes(range(256)) * 4,
    "npy.csv": npy(X),
    "nul.csv": NAMED.replace("\n", "\0\n"),
    "json.txt": '{"a": [1, 2], "b": [3, 4]}',
    "page.csv": "<!DOCTYPE html>\n<html><body>404, not found</body></html>\n",
    "pointer.csv": "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "field too big.csv": NAMED + "1," + "2" * 200_000 + ",x\n",
    "gzip, cut.csv.gz": gzip.compress(NAMED.encode())[:-20],
    "gzip, changed.csv.gz": gzip.compress(NAMED.encode())[:-6] + b"abcdef",
    "bz2, cut.csv.bz2": bz2.compress(NAMED.encode())[:-20],
    "bz2, not.csv.bz2": b"BZh9 is no magic",
    "xz, cut.csv.xz": lzma.compress(NAMED.encode())[:-20],
    "zip, cut.csv.zip": zipped({"x.csv": NAMED})[:-20],
    "zip of two.zip": zipped({"x.csv": NAMED, "y.csv": NAMED}),
    "zip of none.zip": zipped({}),
    "zstd.csv.zst": b"\x28\xb5\x2f\xfd" + bytes(20),
    "npy.gz": gzip.compress(npy(X)),
    "nothing.npy": b"",
    "text.npy": BODY,
    "magic.npy": b"\x93NUMPX" + npy(X)[6:],
    "version.npy": npy(X)[:6] + b"\x09\x00" + npy(X)[8:],
    "cut.npy": npy(X)[:-9],
    "header cut.npy": npy(X)[:50],
    "header length.npy": npy(X)[:8] + struct.pack("<H", 65535) + npy(X)[10:],
    "huge.npy": header((10**9, 100), body=bytes(800)),
    "negative.npy": header((-2, 3), body=bytes(48)),
    "overflow.npy": header((2**62, 2**62), body=bytes(48)),
    "code.npy": npy(X).replace(b"'<f8'", b"f(1) "),
    "objects.npy": npy(np.array([[1, "a"], [2, None]], dtype=object), allow_pickle=True),
    "strings.npy": npy(np.array([["1", "2"], ["3", "4"]])),
    "bytes.npy": npy(np.array([[b"1"], [b"2"]])),
    "complex.npy": npy(X + 1j),
    "bool.npy": npy(X > 0),
    "dates.npy": npy(np.array([["2020-01-01"], ["2020-01-02"]], dtype="M8[D]")),
    "records.npy": npy(np.ones(5, dtype=[(f"column {i}", "<f8") for i in range(50)])),
    "void.npy": npy(np.ones((5, 2), "<u2").view("V2")),
    "scalar.npy": npy(np.float64(1)),
    "line.npy": npy(X[:, 0]),
    "row.npy": npy(X[:1]),
    "no rows.npy": npy(X[:0]),
    "no columns.npy": npy(X[:, :0]),
    "film.npy": npy(np.ones((2, 2, 2, 2, 2))),
    "nan.npy": npy(np.where(X > 1, np.nan, X)),
    "infinite.npy": npy(X * np.where(X == X.max(), np.inf, 1)),
    "infinite half.npy": npy(np.full((3, 2), np.inf, np.float16)),
    "nan image.npz": npz(x=np.full((3, 2, 2), np.nan)),
    "nothing.npz": b"",
    "npy.npz": npy(X),
    "cut.npz": npz(x=X)[:-30],
    "none.npz": npz(),
    "two.npz": npz(a=X, b=X),
    "two.npz:c": npz(a=X, b=X),
    "two.npz:labels": npz(a=X, labels=np.arange(12)),
    "text.npz": zipped({"readme.txt": "hello"}),
    "objects.npz": npz(x=np.array([[1, "a"], [2, None]], dtype=object)),
    "huge.npz": zipped({"x.npy": header((10**9, 100), body=bytes(800))}),
    "some.parquet": b"PAR1" + bytes(30) + b"PAR1",
    "book.xlsx": zipped({"xl/workbook.xml": "<x/>"}),
    "old.xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500),
    "pickle.pkl": b"\x80\x04\x95",
    "unknown": NAMED,
}  # fmt: skip


def written(folder, name, content):
    path = folder / name.partition(":")[0]
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return f"{folder}/{name}"


def attempt(path):
    """The numbers, or the line that refuses them."""
    try:
        return np.concatenate(list(samples.open_samples(path)()))
    except (ValueError, FileNotFoundError) as error:
        message = str(error)
        assert "\n" not in message and len(message) < 600 and path.rpartition("/")[2].partition(":")[0] in message
        return message


@pytest.mark.parametrize("name", GOOD)
def test_good_files_come_back(tmp_path, name):
    path = written(tmp_path, name, GOOD[name])
    np.testing.assert_array_equal(attempt(path), X)
    if name != "index alone.csv":  # there the index is number 0
        turned = [*(samples.open_samples(path).names or range(3))][::-1]
        np.testing.assert_array_equal(np.concatenate([*data.sample_chunks(path, columns=turned)]), X[:, ::-1])


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_one_line(tmp_path, name):
    assert isinstance(attempt(written(tmp_path, name, BAD[name])), str)


def test_there_are_many_kinds():
    assert len({*map(repr, BAD.values())}) > 200 and len({*map(repr, GOOD.values())}) > 60


KINDS = {
    "normal": lambda generator, shape: generator.standard_normal(shape),
    "wide": lambda generator, shape: generator.standard_normal(shape) * 10.0 ** generator.integers(-200, 200, shape),
    "whole": lambda generator, shape: generator.integers(0, 3, shape),
    "short": lambda generator, shape: generator.standard_normal(shape).round(1),
}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.tuples(st.integers(0, 2**32), st.sampled_from([*KINDS]), st.integers(2, 40), st.integers(1, 6)),
    st.sampled_from([",.", ";.", ";,", "\t.", "\t,", "|.", "|,", " .", " ,"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["none", "words", "numbers", "words, index", "numbers, index"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["", ".gz", ".bz2", ".xz", ".zip"]),
)
def test_what_pandas_writes(tmp_path_factory, drawn, marks, end, encoding, names, quoting, packed):
    """Read as it was; or refused where the first line may be numbers, never where it is words.

    One column alone has points, for there commas part fields.
    """
    seed, kind, n, d = drawn
    table = KINDS[kind](np.random.default_rng(seed), (n, d))
    frame = pandas.DataFrame(table, columns=[f"x {i}" for i in range(d)] if "words" in names else None)
    path = tmp_path_factory.mktemp("x") / f"x.csv{'' if encoding == 'utf-16' else packed}"
    names = names.split(",")[0] if marks[0] == " " else names  # between blanks, an index without a name has no place
    mark = marks[1] if d > 1 or "index" in names else "."
    how = {"sep": marks[0], "decimal": mark, "lineterminator": end, "encoding": encoding, "quoting": quoting}
    frame.to_csv(path, header=names != "none", index="index" in names, **how)
    read = attempt(str(path))
    if isinstance(read, str):
        assert "words" not in names and "may be column names or a row" in read
    else:
        np.testing.assert_array_equal(read, table)


SPOILS = [*'0,;\t .-+e"\n\r\0x_#|', "\x1a", "٣", "\u2028", "\ufeff", "\x0b", "nan", ""]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 2), st.sampled_from(SPOILS)), min_size=1, max_size=2))
def test_spoiled_text_is_read_as_anybody_would_or_refused(tmp_path_factory, spoils):
    text = BODY
    for place, cut, inserted in spoils:
        place %= len(text)
        text = text[:place] + inserted + text[place + cut :]
    read = attempt(written(tmp_path_factory.mktemp("x"), "x.csv", text))
    if not isinstance(read, str):
        lines = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        rows = [row for row in csv.reader(lines, strict=True) if "".join(row).strip()]
        assert all(field.isascii() and "_" not in field for row in rows for field in row)
        np.testing.assert_array_equal(read, [[float(field) for field in row] for row in rows])
