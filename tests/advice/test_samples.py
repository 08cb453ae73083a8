"""Samples of one's own: columns by name, what is noted, files in the order of their numbers."""

import os
import subprocess
import sys

import numpy as np
import pandas
import pytest

from rfcollapse.__main__ import ROOT, main
from rfcollapse.advice import samples
from rfcollapse.advice.rows import RowHashes

X = np.random.default_rng(0).standard_normal((30, 3)) * [3, 1, 2]
FRAME = pandas.DataFrame(X, columns=["a", "b", "c"])


def read(source, **options):
    return np.concatenate(list(samples.open_samples(source, **options)()))


def test_columns_of_another_order_are_matched_by_name(tmp_path):
    turned = FRAME[["c", "a", "b"]]
    for name, frame, how in [
        ("turned.csv", turned, {"index": False}),
        ("index.csv.gz", turned, {}),
        ("wider.tsv", turned.assign(d=1.5, kind="text"), {"sep": "\t", "index": False}),
        ("german.csv", turned, {"sep": ";", "decimal": ","}),
    ]:
        frame.to_csv(tmp_path / name, **how)
        opened = samples.open_samples(tmp_path / name, columns=("a", "b", "c"))
        assert opened.names == ("a", "b", "c")
        np.testing.assert_array_equal(read(tmp_path / name, columns=("a", "b", "c")), X)
        np.testing.assert_array_equal(np.concatenate(list(opened())), np.concatenate(list(opened())))
    assert "left out: d, kind" in samples.open_samples(tmp_path / "wider.tsv", columns=("a", "b", "c")).notes
    np.testing.assert_array_equal(read(turned, columns=["a", "b", "c"]), X)
    assert samples.open_samples(turned).names == ("c", "a", "b")
    keyed = FRAME.assign(id=range(90, 0, -3))
    with pytest.raises(ValueError, match="column 'id' looks like a key"):
        samples.open_samples(keyed)
    assert samples.open_samples(keyed, columns=["id", "a"]).notes == ("left out: b, c",)
    np.testing.assert_array_equal(read(X, columns=["2", 0]), X[:, [2, 0]])


@pytest.mark.parametrize(
    "columns, words",
    [
        (["a", "d"], "no column 'd'; asked for a, d, it has a, b, c"),
        (["A", "b", "c"], "no column 'A'"),
        ([0, 1], "no column '0'"),
        (["a", "a"], "once each"),
        ([], "at least one"),
        ([f"z{i}" for i in range(900)], "asked for z0, z1, z2, z3, z4, …, z899, it has a, b, c"),
    ],
)
def test_columns_that_are_not_there_are_named_with_both_lists(tmp_path, columns, words):
    FRAME.to_csv(tmp_path / "x.csv", index=False)
    for source in (tmp_path / "x.csv", FRAME):
        with pytest.raises(ValueError, match=words) as refusal:
            samples.open_samples(source, columns=columns)
        assert "\n" not in str(refusal.value)


def test_names_are_not_numbers(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.savetxt(tmp_path / "x.csv", X, delimiter=",")
    for source in (tmp_path / "x.npy", tmp_path / "x.csv", X, "two_moons"):
        with pytest.raises(ValueError, match=r"no column 'a'; asked for a, its . columns have no names, only numbers"):
            samples.open_samples(source, columns=["a"])
        with pytest.raises(ValueError, match="no column '-1'"):
            samples.open_samples(source, columns=[-1])
        assert samples.open_samples(source, columns=["1"]).names is None


@pytest.mark.parametrize("name", ["x.csv", "x.npy", "no such data"])
def test_a_file_is_looked_into_at_once(tmp_path, name):
    with pytest.raises((FileNotFoundError, ValueError), match=r"no such file|data must be"):
        samples.open_samples(name if " " in name else tmp_path / name)


def test_copies_are_counted_wherever_they_lie():
    rows = np.random.default_rng(1).standard_normal((9000, 5))
    again = np.concatenate([rows, rows[:1234]])
    whole = np.random.default_rng(1).integers(0, 4, (9000, 2)).astype(float)  # with low bits all 0
    for table, copies in [
        (rows, 0),
        (again, 1234),
        (whole, 9000 - 16),
        (np.concatenate([whole * 0.0, -whole * 0.0]), 17999),
    ]:
        hashes = RowHashes()
        assert sum(map(len, hashes.passing(samples.open_samples(table)()))) == len(table)
        assert len(table) - hashes.multiplicity()[0] == copies
    assert samples.spectrum(samples.open_samples(again)).copies == 1234


# natural order


def globbed(folder, names, locale):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    listed = subprocess.run("echo */*", shell=True, cwd=folder, env={"LC_ALL": locale}, capture_output=True, text=True)
    return listed.stdout.split()


@pytest.mark.parametrize(
    "names",
    [
        [f"x/o_{i}.npy" for i in range(1, 13)],
        [f"x/round-{i}.csv.gz" for i in (8, 9, 10, 99, 100)],
        [f"run_{i}/samples.npz" for i in range(1, 12)],
        [f"x/epoch_{i}_step_{500 * i}.npy" for i in range(1, 12)],
        [*(f"x/a{i}.npy" for i in range(9, 12)), *(f"x/b{i}.npy" for i in range(9, 12))],
        [f"x/noise_{s}.npy" for s in ("0.05", "0.1", "0.25", "1", "10")],
        [f"x/o_{i:03}.npy" for i in range(8, 12)],
    ],
)
def test_files_from_a_glob_come_in_the_order_of_their_numbers(tmp_path, names):
    assert samples.natural_order(globbed(tmp_path, names, "C")) == names
    assert samples.natural_order(names) == names
    loose = sorted(names, key=lambda name: [x for x in name if x.isalnum()])  # as most languages sort: o_10 before o_1
    assert samples.natural_order(loose) == names


@pytest.mark.parametrize(
    "names",
    [["o_3", "o_1", "o_2"], ["o_2", "o_10", "o_1"], ["late", "early"], ["b_1", "a_2"], ["x", "x"], ["digits"], []],
)
def test_an_order_of_ones_own_is_kept(names):
    assert samples.natural_order(names) == names


# budget


def budget(capsys, *arguments):
    code = main(["budget", *map(str, arguments), "--rate", "0.1", "--rounds", "2"])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_numbered_columns_are_no_sample(tmp_path, capsys):
    x = np.random.default_rng(0).standard_normal((1000, 32))
    pandas.DataFrame(x).to_csv(tmp_path / "pandas.csv", index=False)
    pandas.DataFrame(x, columns=range(1, 33)).to_csv(tmp_path / "from 1.csv", index=False)
    pandas.DataFrame(x).to_csv(tmp_path / "index.csv")
    pandas.DataFrame(x).to_csv(tmp_path / "clean.csv", index=False, header=False)
    answers = {path.stem: budget(capsys, path, "--json")[1].split('"mechanism"') for path in tmp_path.glob("*.csv")}
    assert len({body for _, body in answers.values()}) == 1 and '"rows": 1000' in answers["clean"][1]
    for name, words in {
        "pandas": "first line (0, 1, 2",
        "from 1": "first line (1, 2, 3",
        "index": "'Unnamed: 0' left out",
    }.items():
        assert words in answers[name][0] and words in budget(capsys, tmp_path / f"{name}.csv")[1]
    assert '"notes": []' in answers["clean"][0]


def test_columns_are_chosen_on_the_command_line(tmp_path, capsys):
    FRAME.assign(label="text").rename(columns={"a": "weight, kg"}).to_csv(tmp_path / "x.csv", index=False)
    assert "'text' in line 2, column 4 ('label')" in budget(capsys, tmp_path / "x.csv")[2]
    chosen = budget(capsys, tmp_path / "x.csv", "--columns", '"weight, kg", c')[1]
    assert "30 rows, 2 columns" in chosen and "note: left out: b, label" in chosen
    code, out, err = budget(capsys, tmp_path / "x.csv", "--columns", "b,d")
    assert (code, out, err.count("\n")) == (1, "", 1) and "no column 'd'" in err
    np.savez(tmp_path / "s.npz", x=X.reshape(30, 3, 1), y=X)
    assert "note: images of 3 × 1 flattened to 3 columns" in budget(capsys, f"{tmp_path}/s.npz:x")[1]
    assert budget(capsys, f"{tmp_path}/s.npz")[2].endswith("n ≥ 2, d ≥ 1\n")


UNITS = np.random.default_rng(3).standard_normal((400, 5))


@pytest.mark.parametrize(
    "scales, words",
    [
        ([12_000, 1, 1, 1, 1], "column 'a': 100.0% of the variance, the other 4 hardly count"),
        ([1, 1, 900, 1e-9, 700], "columns 'c', 'e': 100.0%"),
        ([30, 1, 1, 1, 1], "column 'a': 99."),
        ([3, 1, 1, 1, 1], None),
        ([12_000, 0, 0, 0, 0], None),
    ],
)
def test_columns_whose_units_drown_the_rest_are_named(tmp_path, capsys, scales, words):
    pandas.DataFrame(UNITS * scales, columns=[*"abcde"]).to_csv(tmp_path / "x.csv", index=False)
    np.save(tmp_path / "x.npy", UNITS * scales)
    named, numbered = (budget(capsys, tmp_path / name)[1] for name in ("x.csv", "x.npy"))
    if words:
        assert f"WARNING {words}" in named and "standardise: x / x.std(axis=0)" in named
        assert f"WARNING {words}".split("'")[0] + "number" in numbered
    else:
        assert "WARNING" not in named + numbered


@pytest.mark.parametrize(
    "rows, copies",
    [
        (np.repeat(UNITS[:50], 20, axis=0), 950),
        (np.tile(UNITS[:50], (20, 1)), 950),
        (np.concatenate([UNITS, UNITS[:50]]), 50),
        (np.concatenate([UNITS, UNITS[:5]]), None),
        (np.concatenate([UNITS, UNITS + 1e-9]), None),
    ],
)
def test_copies_are_said(tmp_path, capsys, rows, copies):
    np.save(tmp_path / "x.npy", rows)
    out = budget(capsys, tmp_path / "x.npy")[1]
    assert f"WARNING {copies} of {len(rows)} rows are exact copies" in out if copies else "WARNING" not in out


@pytest.mark.parametrize("plot, words", [("nodir/p.png", "No such file"), ("p.doc", "'doc' is not supported")])
def test_a_picture_that_fails_costs_a_line_and_not_the_answer(tmp_path, capsys, plot, words):
    np.save(tmp_path / "x.npy", X)
    code, out, err = budget(capsys, tmp_path / "x.npy", "--plot", tmp_path / plot)
    assert code == 1 and "To keep 90% of the total variance" in out
    assert words in err and err.count("\n") == 1 and f"{plot}: not drawn" in err


@pytest.mark.parametrize("backend, words", [("module://no_such.backend", "'no_such'"), ("no", "not a valid value")])
def test_so_does_a_backend_that_is_not_there(tmp_path, backend, words):
    np.save(tmp_path / "x.npy", X)
    command = [sys.executable, "-m", "rfcollapse", "budget", f"{tmp_path}/x.npy", "--rate", "0.1", "--plot", "p.png"]
    environment = os.environ | {"MPLBACKEND": backend}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ran.returncode == 1 and "To keep 90% of the total variance" in ran.stdout
    assert words in ran.stderr and ran.stderr.count("\n") == 1 and "--plot p.png: not drawn" in ran.stderr
