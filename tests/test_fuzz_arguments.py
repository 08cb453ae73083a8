"""Bad arguments of every command: exit code 1 and one line that names what is wrong; none accepted, no traceback."""

import os
import re

import numpy as np
import pytest

from rfcollapse.__main__ import COMMANDS, main
from rfcollapse.runs import command as reflow_command

ROWS = np.random.default_rng(0).standard_normal((60, 3))
REFLOW = "reflow --data two_moons --scheme ra --rounds 0 --out new"
LONG = "9" * 40

# What is given (words parted by blanks, "\0" for an empty one), and what the line must have.
USAGE = [
    ("bogus", "bogus"), ("BUDGET x.npy", "BUDGET"), ("ｂudget", "ｂudget"), ("\0", "''"), ("rm -rf /", "'rm'"),
    *((f"{name} --nonsense", "--nonsense") for name in ("reproduce", "claims", "bench", "page")),
    (f"{REFLOW} --nonsense", "--nonsense"), ("budget x.npy --nonsense", "--nonsense"), ("claims --json=1", "'1'"),
    ("monitor x.npy --nonsense", "--nonsense"), ("page --json", "--json"), ("bench --quick=2", "'2'"),
    ("claims x.json", "x.json"), ("claims --check --history", "--history"), ("claims --check=yes", "yes"),
    ("page --out", "--out"), ("page --out folder", "folder"), ("page --out x.npy/page.html", "x.npy"),
    ("bench nosection", "nosection"), ("bench gpu nosection", "nosection"), ("bench \0", "no section named"),
    ("bench --peers", "--peers"),
]  # fmt: skip
REPRODUCE = [
    ("reproduce 99", "'99'"), ("reproduce seven", "'seven'"), ("reproduce notebooks", "'notebooks'"),
    ("reproduce \0", "''"),
    ("reproduce 01 ünï", "'ünï'"), ("reproduce 01 x.npy", "'x.npy'"), ("reproduce --seed", "--seed"),
    *((f"reproduce --seed={seed}", seed) for seed in ("x", "-1", "1.5", "nan", "1e3", "later:3", "later:", LONG)),
    ("reproduce --seed 9223372036854775808", "9223372036854775808"), ("reproduce --seed=", "''"),
    *((f"reproduce 01 --quick --jobs={jobs}", jobs) for jobs in ("0", "-2", "many", "1.5")),
]  # fmt: skip
LONG_RUNS = [
    ("reflow", "--data"), ("reflow --data two_moons", "--scheme"),
    ("reflow --data two_moons --scheme ra", "--rounds"),
    *((f"reflow --data {data} --scheme ra --rounds 0 --out new", shown) for data, shown in (
        ("nodata", "'nodata'"), ("missing.npy", "missing.npy"), ("folder", "folder: a folder"),
        ("folder.npy", "folder.npy"), ("\0", "''"), ("gaussian:", "'gaussian:'"), ("gaussian:1,x", "'gaussian:1,x'"),
        ("gaussian:nan", "'gaussian:nan'"), ("gaussian:1,-inf", "'gaussian:1,-inf'"),
        ("gaussian:-1", "'gaussian:-1'"), ("mnist:missing", "missing"),
        ("cifar:x.npy", "x.npy"), ("mnist:", "'mnist:'"), ("text.npy", "text.npy"), ("empty.npy", "empty.npy"),
        ("empty.csv", "empty.csv"), ("日本.csv", "日本.csv"), ("nan.npy", "nan"),
    )),
    *((f"{REFLOW} --{option}={value}", value) for option, value in (
        ("rounds", "-1"), ("rounds", "1.5"), ("rounds", "nan"), ("rounds", LONG), ("seed", "-1"), ("seed", LONG),
        ("seed", "9223372036854775808"), ("seed", "0x10"), ("seeds", "0"), ("seeds", "-3"), ("seeds", LONG),
        ("samples", "0"), ("samples", "900000000000"), ("samples", "1e3"), ("pairs", "0"),
        ("pairs", "1000000000000000"), ("probes", "0"), ("probes", "-5"), ("at-once", "0"), ("steps", "0"),
        ("steps", "-1"), ("steps", "nan"),
        ("real-fraction", "1.5"), ("real-fraction", "-0.1"), ("real-fraction", "nan"), ("real-fraction", "half"),
        ("ridge", "-1"), ("ridge", "inf"), ("first-ridge", "nan"), ("diffusion", "-inf"), ("scheme", "rca"),
        ("model", "resnet"), ("method", "rk45"), ("parametrisation", "score"), ("mixing", "never"), ("width", "0"),
        ("width", "-4"), ("width", "wide"), ("batch", "0"), ("batch", "1000000000000"), ("chunk", "0"),
        ("chunk", "7"),
        ("training-steps", "0"), ("training-steps", "-1"), ("learning-rate", "0"), ("learning-rate", "nan"),
        ("average", "2"), ("average", "-1"), ("precision", "float16"), ("shards", "0"), ("shards", "3"),
        ("optimizer", "sgd"), ("weight-decay", "-1"), ("weight-decay", "0.1"),
    )),
    (f"{REFLOW} --out x.npy", "x.npy"), (f"{REFLOW} --out x.npy/run", "x.npy"),
    (f"{REFLOW} --out {'n' * 300}", "nnn"),
    (f"{REFLOW} --out full", "full"), (f"{REFLOW} --out half --resume", "config.json"),
    (f"{REFLOW} --resume=yes", "yes"), (f"{REFLOW} --model unet", "unet"), (f"{REFLOW} --channels 8", "channels"),
    (f"{REFLOW} --model linear --width 5", "width"), (f"{REFLOW} extra", "extra"),
    (f"{REFLOW} --parametrisation denoiser", "euler"), (f"{REFLOW} --scheme oras --method adaptive", "adaptive"),
    ("reflow --data gaussian:1,2,3 --scheme ra --rounds 0 --samples 2 --out new", "2"),
]  # fmt: skip
ADVICE = [
    ("budget", "DATA"), ("budget x.npy", "--noise-std"), ("budget missing.npy --rate 0.1", "missing.npy"),
    ("budget folder --rate 0.1", "folder"), ("budget text.npy --rate 0.1", "text.npy"),
    ("budget \0 --rate 0.1", "''"),
    *((f"budget x.npy {option}", option.split("=")[-1].split()[-1]) for option in (
        "--rate nan", "--rate=-1", "--rate inf", "--rate fast", "--noise-std=-1", "--noise-std nan", "--steps 0",
        "--rate 0.1 --real-fraction 2", "--rate 0.1 --real-fraction nan", "--rate 0.1 --retain 1.5",
        "--rate 0.1 --retain=-0.5", "--rate 0.1 --every 0", "--rate 0.1 --every=-1", "--rate 0.1 --rounds=-1",
        "--rate 0.1 --rounds many",
    )),
    ("budget x.npy --rate 0.1 --value 3", "--cost-per-sample"), ("budget x.npy --rate 0.1 --steps 5", "--"),
    ("monitor", "SAMPLES"), ("monitor x.npy", "--reference"),
    ("monitor missing.npy --reference x.npy", "missing.npy"),
    ("monitor x.npy --reference missing.npy", "missing.npy"), ("monitor x.npy --reference folder", "folder"),
    ("monitor two.npy --reference x.npy", "2"), ("monitor nan.npy --reference x.npy", "nan"),
    ("monitor x.npy --reference x.npy --retain 2", "2"), ("monitor x.npy --reference x.npy --retain nan", "nan"),
    ("monitor x.npy --reference x.npy --real-fraction=-1", "-1"), ("monitor x.npy --state text.npy", "text.npy"),
    ("monitor x.npy --reference x.npy --loss-mean", "--loss"),
    ("monitor x.npy --reference x.npy --loss much", "much"),
    ("monitor x.npy --reference x.npy --state folder", "folder"), ("monitor x.npy --state none.json", "none.json"),
    ("monitor \0 --reference x.npy", "''"),
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arguments")
    np.save(folder / "x.npy", ROWS)
    np.save(folder / "two.npy", ROWS[:, :2])
    np.save(folder / "nan.npy", np.where(ROWS > 2, np.nan, ROWS))
    np.save(folder / "empty.npy", ROWS[:0])
    (folder / "text.npy").write_text("no numbers\n")
    for name in ("empty.csv", "full/config.json", "half/round-000.eqx", "folder/a.txt", "folder.npy/a.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / "日本.csv").write_text("a,b\n1,zwei\n", encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setattr(reflow_command, "use_all_cores", lambda: None)


@pytest.mark.parametrize("given, shown", USAGE + REPRODUCE + LONG_RUNS + ADVICE)
def test_bad_arguments_are_one_line_that_names_them(given, shown, capsys, unchecked):
    before = sorted(os.listdir())
    try:
        code = main([word.replace("\0", "") for word in given.split(" ")])
    except SystemExit as stopped:  # argparse's, after its lines of usage
        code = stopped.code
    said = capsys.readouterr()
    message = re.sub(r"^usage: (.*\n)( .*\n)*", "", said.err)
    assert code == 1 and not said.out, said
    assert re.fullmatch(r"rfcollapse.*: .*\S.*\n", message), message
    assert shown in message and "Traceback" not in message
    assert sorted(os.listdir()) == before


def test_they_are_many():
    given = {given for given, _ in USAGE + REPRODUCE + LONG_RUNS + ADVICE}
    assert len(given) >= 160 and {words.split(" ")[0] for words in given} > set(COMMANDS)
