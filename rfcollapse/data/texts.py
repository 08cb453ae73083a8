"""Tables in text files: how one is written is found out from its first lines, and said; pandas reads the numbers."""

import bz2
import codecs
import csv
import gzip
import io
import itertools
import lzma
import math
import re
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .arrays import brief
from .columns import CHOOSE, EXPECTED, UNNAMED, Table, chosen, counts_rows, listed

TOP = 1 << 16  # characters looked into; more, if that is less than 20 lines
NUMBERS = {
    ".": re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE),
    ",": re.compile(r"\s*[+-]?(\d+,?\d*|,\d+)(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE),
}
WHOLE = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
MISSING = {"", "na", "n/a", "nan", "null", "none"}
SEPARATORS = "\t;|, "  # of those that do equally well the first; a blank stands for any white space
ENCODINGS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, csv.Error)


TRUTH = ("true", "false")
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+")


class Form(NamedTuple):
    """How a text is written, and what of it is samples."""

    separator: str
    """One of `SEPARATORS`."""
    decimal: str
    """Point or comma."""
    names: tuple[str, ...] | None
    """Of all columns, where the first line has them."""
    width: int
    """Fields in a line."""
    kept: list[int]
    """Columns of samples, in order."""
    index: dict[int, float]
    """Columns that count the rows, and where they begin."""


def open_text(path: Path, columns: Sequence | None = None) -> Table:
    """Looks into a .csv, .tsv or .txt file, packed or not; errors as of `data.sample_chunks`.

    Args:
        path: of the file.
        columns: names, or numbers from 0 where there are none; None: all but one that counts the rows.

    Example:
        >>> import pathlib, tempfile
        >>> from rfcollapse.data import texts
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "x.csv")
        ...     _ = path.write_text("b;a\\n1,5;2\\n2,5;3\\n")
        ...     table = texts.open_text(path, ["a", "b"])
        ...     table.notes, next(table.chunks(2)).tolist()
        (("separator ';', decimal comma",), [[2.0, 1.5], [3.0, 2.5]])
    """
    with _refusing(path), _opened(path) as file:
        top, size = [], 0
        while (size < TOP or len(top) < 20) and (line := file.readline()):
            top.append(line)
            size += len(line)
        ended = not file.readline()
        separator, decimal = _marks(top)
        rows = [row for _, row in _fields(top, separator, strict=ended)][: None if ended else -1]
    if not rows:
        raise ValueError(f"{path}: too few rows of numbers, 0; {EXPECTED}")
    is_number, width = NUMBERS[decimal].fullmatch, len(rows[0])
    body = [row for row in rows[1:] if len(row) == width]
    names, clear = _names([" ".join(field.split()) for field in rows[0]], body, is_number)
    notes = [f"separator {separator!r}" + ", decimal comma" * (decimal == ",")] if separator != "," else []
    if names and any(map(WHOLE.fullmatch, names)):
        notes.append(f"first line ({listed(names)}) taken for column names")
    if ended and (count := len(rows) - bool(names)) < 2:
        raise ValueError(f"{path}: too few rows of numbers, {count}; {EXPECTED}")
    kept, index = chosen(str(path), names, width, columns), {}
    if not clear:
        unclear = f"line 1 ({listed(rows[0])}) may be column names or a row of numbers"
        fault = _fault(path, Form(separator, decimal, tuple(rows[0]), width, kept, {}))
        raise ValueError(f"{path}: {fault or f'{unclear}; name the columns by words, or write numbers like 1.0'}")
    body = body if names else [rows[0], *body]
    for i in kept:
        fields = [row[i].strip() for row in body]
        if any(field.lower() in TRUTH for field in fields):  # pandas would make numbers of them
            raise ValueError(f"{path}: {_fault(path, Form(separator, decimal, names, width, kept, {}))}")
        parted = [field for field in fields if "," in field]
        if 0 < len(parted) < len(fields) and all(map(THOUSANDS.fullmatch, parted)):
            said = f"{parted[0]!r} in column {i + 1} may have a decimal comma or a mark of thousands"
            raise ValueError(f"{path}: {said}; write it without the mark, or like 1,0")
    for i in kept if columns is None and width > 1 and body else ():
        if all(is_number(row[i]) for row in body):
            values = np.array([float(row[i].replace(",", ".")) for row in body])
            if counts_rows(str(path), names and names[i], i, values):
                index[i] = values[0] if (np.diff(values) == 1).all() else np.nan
                notes.append(f"index column {names[i] if names else i!r} left out")
    kept = [i for i in kept if i not in index]
    if not kept:
        raise ValueError(f"{path}: no column but those that count the rows ({listed(names)}); choose some (--columns)")
    if columns is not None and len(kept) < width:
        notes.append(f"left out: {listed([names[i] if names else i for i in range(width) if i not in kept])}")
    form = Form(separator, decimal, names, width, kept, index)
    count = round(path.stat().st_size * len(top) / size) if _opener(path) is open else None
    return Table(names and tuple(names[i] for i in kept), tuple(notes), count, partial(_chunks, path, form))


def _marks(top):
    """Separator and decimal mark that make most fields numbers, and then all lines equally wide."""
    found = []
    for separator in SEPARATORS:
        rows = [row for _, row in _fields(top, separator)]
        widths = {len(row) for row in rows}
        if separator != "," and (max(widths, default=1) == 1 or (separator == " " and len(widths) > 1)):
            continue
        body = [field for row in rows[1:] or rows for field in row]
        for decimal in "." if separator == "," else ".,":
            share = sum(bool(NUMBERS[decimal].fullmatch(field)) for field in body) / max(len(body), 1)
            found.append((share, len(widths) == 1, separator, decimal))
    return max(found, key=lambda one: one[:2])[2:]


def _fields(lines, separator, *, strict=False):
    """(line number from 1, fields) of lines with something in them; a # before the first name is no part of it."""
    lines = (re.sub(r"^#\s*", "", line) for line in lines)
    if separator == " ":
        lines = (" ".join(line.split()) for line in lines)
    reader = csv.reader(lines, delimiter=separator, strict=strict)
    return ((reader.line_num, row) for row in reader if row[1:] or "".join(row).strip())


def _names(first, body, is_number):
    """Column names from the first line, None where it is a row; and whether that is clear."""
    numbers, words = ([i for i, field in enumerate(first) if is_one(field)] for is_one in (is_number, _is_word))
    if len(numbers) + len(words) < len(first) - (not first[0]):
        return None, True
    names = tuple(field or UNNAMED for field in first)
    if not (numbers and body):
        return (names if words and not numbers else None), True
    counted = [first[i] for i in numbers] in ([str(i + start) for i in range(len(numbers))] for start in (0, 1))
    values = [first[i] for i in numbers], *([row[i] for i in numbers] for row in body)
    whole = [all(map(WHOLE.fullmatch, values[0])), *(any(map(WHOLE.fullmatch, row)) for row in values[1:])]
    odd = whole[0] and not any(whole[1:]) and (counted or len(numbers) > 1)
    grid = len(numbers) > 3 and _is_grid(values[0]) and not any(map(_is_grid, values[1:]))
    above = any(all(is_number(row[i]) for row in body) for i in words)  # a word above numbers
    several = len(numbers) > 1 or not first[0]
    if counted and (above or (not words and several and (odd or (grid and len(numbers) > 7)))):
        return names, True
    return None, not (counted or odd or grid)


def _is_word(field):
    """Whether a field can be a name: it is not missing, nor a number, nor several."""
    for part in re.split(r"[\s;,|]+", field):
        try:
            float(part or 0)
        except ValueError:
            return field.lower() not in MISSING
    return False


def _is_grid(fields):
    """Whether numbers rise by equal steps."""
    try:
        steps = np.diff([float(field.replace(",", ".")) for field in fields])
    except ValueError:
        return False
    return bool(steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-6))


def _chunks(path, form, rows):
    import pandas  # heavy. It reads quotes, blank lines and any line end, at four times the speed of Python's csv

    numbers = dict.fromkeys([*form.kept, *form.index], np.float64)
    kinds = np.float64 if len(numbers) == form.width else dict.fromkeys(range(form.width), str) | numbers
    marks = {"sep": r"\s+" if form.separator == " " else form.separator, "decimal": form.decimal}
    total = 0
    with _refusing(path, form), _opened(path) as file:
        if form.names:
            next(_fields(file, form.separator))
        with pandas.read_csv(file, header=None, chunksize=rows, dtype=kinds, **marks) as chunks:
            for chunk in chunks:
                values = chunk[form.kept].to_numpy() if chunk.shape[1] == form.width else np.full(1, np.nan)
                if not np.isfinite(values).all():
                    raise ValueError("a number that is not finite, or a line of another width")
                for i, first in form.index.items():
                    if np.isfinite(first) and (chunk[i] != first + total + np.arange(len(chunk))).any():
                        raise ValueError(f"column {i + 1} counts the rows at first, but not all of them; {CHOOSE}")
                total += len(chunk)
                yield values
    if total < 2:
        raise ValueError(f"{path}: too few rows of numbers, {total}; {EXPECTED}")


def _fault(path, form):
    """Place and remedy of the first field that is not a finite number, or of a line of another width."""
    with _opened(path) as file, suppress(UnicodeError, *DAMAGED):
        first = file.readline()
        comment = ", and leave out the comment in line 1" if first.startswith("#") else ""
        for number, (line, row) in enumerate(_fields(itertools.chain([first], file), form.separator)):
            if len(row) != form.width:
                ends = row[form.width :] and not "".join(row[form.width :]).strip()
                remedy = "it ends in a separator, leave that out" if ends else "give every row as many"
                return f"{len(row)} fields in line {line}, {form.width} before; {remedy}{comment}"
            for i in form.kept if number or not form.names else ():
                if not (NUMBERS[form.decimal].fullmatch(row[i]) and math.isfinite(float(row[i].replace(",", ".")))):
                    name = f" ({form.names[i]!r})" if form.names else ""
                    place = f"{row[i][:40]!r} in line {line}, column {i + 1}{name}"
                    if row[i].strip().lower() in MISSING:
                        return f"{place}, a missing value; fill it in, or leave out such rows"
                    return f"{place}, not a finite number; write one, or choose columns of numbers (--columns)"
    return None


@contextmanager
def _refusing(path, form=None):
    """Whatever a file that is damaged or no such table may raise becomes a line that names the place."""
    try:
        yield
    except UnicodeError as error:
        raise ValueError(f"{path}: not a text file ({brief(error)}); save the samples as UTF-8") from None
    except DAMAGED as error:
        raise ValueError(f"{path}: cannot be read ({brief(error)}); save or fetch it again") from None
    except ValueError as error:  # pandas does not say where a field is that is no number
        raise ValueError(f"{path}: {_fault(path, form) or brief(error)}" if form else str(error)) from None


@contextmanager
def _opened(path):
    """The text, unpacked, with any line end as one."""
    with _opener(path)(path, "rb") as unpacked, io.BufferedReader(unpacked) as file:
        start = file.peek(4)
        encoding = next((name for mark, name in ENCODINGS.items() if start.startswith(mark)), "utf-8-sig")
        yield io.TextIOWrapper(file, encoding=encoding)


def _opener(path):
    """By the first bytes, whatever the name."""
    with path.open("rb") as file:
        start = file.read(8)
    return next((opener for mark, opener in PACKED.items() if start.startswith(mark)), open)


def _only_member(path, mode):
    archive = zipfile.ZipFile(path)
    names = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
    if len(names) != 1:
        raise ValueError(f"{path}: {len(names)} files packed in it ({listed(names)}); pack one table alone")
    return archive.open(names[0])


def _zstd(path, mode):
    try:
        import zstandard
    except ImportError:
        raise ValueError(f"{path}: packed by zstd; install the package zstandard, or pack it by gzip") from None
    return zstandard.open(path, mode)


PACKED = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"PK\x03\x04": _only_member,
    b"\x28\xb5\x2f\xfd": _zstd,
}
