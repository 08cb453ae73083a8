"""What an import must not do, and what the command line says before any command runs."""

import pkgutil
import subprocess
import sys

import pytest

import rfcollapse
from rfcollapse import __main__ as command_line


def test_an_import_leaves_the_choice_of_devices_open():
    names = [module.name for module in pkgutil.walk_packages(rfcollapse.__path__, "rfcollapse.")]
    names = [name for name in names if not name.endswith("__main__")]
    program = "\n".join([f"import {name}" for name in names])
    program += "\nimport jax\njax.config.update('jax_num_cpu_devices', 3)\nprint(jax.device_count('cpu'))"
    assert len(names) > 30 and run(program) == "3\n"


def run(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100)
    assert not done.returncode, done.stderr
    return done.stdout


HEAVY = "jax", "jaxlib", "equinox", "optax", "diffrax", "sklearn", "matplotlib", "pandas"


@pytest.mark.parametrize("imported", [
    "rfcollapse", "rfcollapse.check", "rfcollapse.measure.rates", "rfcollapse.measure.moments",
    "rfcollapse.measure.coverage", "rfcollapse.data", "rfcollapse.advice", "rfcollapse.advice.rule",
])  # fmt: skip
def test_what_is_numpy_costs_no_heavy_import(imported):
    assert run(f"import sys, {imported}; print(*({set(HEAVY)} & sys.modules.keys()))") == "\n"


def test_the_advice_is_imported_in_no_time():
    timed = "import time; start = time.process_time(); import rfcollapse.advice; print(time.process_time() - start)"
    assert float(run(timed)) < 0.5


def test_an_import_leaves_the_64_bit_mode_as_it_is():
    program = "import jax.numpy as jnp; before = jnp.zeros(1).dtype\n"
    program += "import rfcollapse.advice.budget, rfcollapse.simulate.dae, rfcollapse.learn.denoise\n"
    program += "rfcollapse.advice.mechanisms.required_fraction(rfcollapse.advice.mechanisms.Rate(0.1), [1.0], 0.5)\n"
    assert run(program + "print(before, jnp.zeros(1).dtype)") == "float32 float32\n"


WATCH = """
import multiprocessing, sys
import numpy as np
from rfcollapse import check
from rfcollapse.advice import rule
from rfcollapse.measure import coverage, moments, rates

def watched(seed):
    rows = np.random.default_rng(seed).standard_normal((400, 3))
    moment = moments.moments([rows])
    sums = moments.power_sums([rows], moment.mean, np.eye(3), groups=20)
    share = rates.variance_ratio_interval(np.array([0.9]), 100, 100).low
    rates.half_width(0.1, 5), rates.clopper_pearson(3, 9), check.covariance("c", moment.covariance)
    return moment.count, coverage.coverage(rows, rows[::2]).coverage, rule.next_fraction(0.9, None).fraction

before = watched(0)
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map_async(watched, [0, 1, 2, 3]).get(timeout=60)[0] == before
print("jax" in sys.modules)
"""


def test_forked_workers_go_on_with_what_the_parent_began():
    assert run(WATCH) == "False\n"


@pytest.mark.parametrize("arguments, code, said", [
    ([], 1, "the following arguments are required: COMMAND"),
    (["bogus"], 1, "invalid choice: 'bogus' (choose from"),
    (["claims", "--bogus"], 1, "unrecognized arguments: --bogus"),
    (["--help"], 0, "watch rounds of your own self-training"),
    (["budget", "--help"], 0, "--real-fraction"),
    (["--", "page", "--help"], 1, "rfcollapse: "),
])  # fmt: skip
def test_usage(capsys, arguments, code, said):
    with pytest.raises(SystemExit) as stopped:
        command_line.main(arguments)
    shown = capsys.readouterr()
    assert stopped.value.code == code and said in (shown.err if code else shown.out)


@pytest.mark.parametrize("program", ["bench", "page"])
def test_programs_of_a_checkout_are_missed_in_one_line(tmp_path, monkeypatch, capsys, program):
    monkeypatch.setattr(command_line, "ROOT", tmp_path)
    assert command_line.main([program]) == 1
    said = capsys.readouterr()
    place = command_line.COMMANDS[program][0]
    assert not said.out
    assert said.err == (
        f"rfcollapse {program}: {place} is no part of the installed package: run this from a clone of the repository\n"
    )
