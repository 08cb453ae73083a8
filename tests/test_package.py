"""What an import must not do, and what the command line says before any command runs."""

import io
import os
import pkgutil
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import jax
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
    "rfcollapse.measure.coverage", "rfcollapse.data.sources", "rfcollapse.data.images", "rfcollapse.data.tables",
    "rfcollapse.advice", "rfcollapse.advice.rule", "rfcollapse.advice.losses", "rfcollapse.advice.monitor",
    "rfcollapse.own",
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
from rfcollapse.advice import monitor, rule, samples
from rfcollapse.measure import coverage, moments, rates

def watched(seed):
    rows = np.random.default_rng(seed).standard_normal((400, 3))
    moment = moments.moments([rows])
    sums = moments.power_sums([rows], moment.mean, np.eye(3), groups=20)
    verdict = monitor.judge(monitor.add(started, samples.open_samples(rows)))
    rates.variance_ratio_interval(np.array([0.9]), 100, 100)
    rates.half_width(0.1, 5), rates.clopper_pearson(3, 9), check.covariance("c", moment.covariance)
    near, advised = coverage.coverage(rows, rows[::2]), rule.next_fraction(0.9, None)
    return verdict.alarms, moment.count, near.coverage, advised.fraction

started = monitor.start(samples.open_samples(np.random.default_rng(9).standard_normal((800, 3))))
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


@pytest.fixture
def fake(monkeypatch):
    """Makes `rfcollapse budget` do what it is told."""

    def does(command):
        module = SimpleNamespace(add_options=lambda command: None, command=command)
        monkeypatch.setattr(command_line, "_loaded", lambda place: module)
        return lambda: command_line.main(["budget"])

    return does


def failing(error, *, alarm=False):
    def command(options):
        print("the answer")
        if alarm:
            options.exit_code = 2
        raise error

    return command


NO_BACKEND = ModuleNotFoundError("No module named 'no_such'", name="no_such")


@pytest.mark.parametrize("error, said", [
    (ValueError("two\n  lines"), "two lines"),
    (ValueError(), "ValueError"),
    (PermissionError(13, "Permission denied", "x"), "[Errno 13] Permission denied: 'x'"),
    (MemoryError(), "out of memory: take fewer samples"),
    (MemoryError("Unable to allocate 7 TiB"), "out of memory: Unable to allocate 7 TiB"),
    (RuntimeError("RESOURCE_EXHAUSTED: Out of\nmemory"), "out of memory: RESOURCE_EXHAUSTED: Out of memory"),
    (OverflowError("int too large"), "int too large"),
    (NO_BACKEND, "No module named 'no_such' (MPLBACKEND=module://no_such.backend asks for it: unset that)"),
    (ModuleNotFoundError("No module named 'x'", name="x"), "No module named 'x' (is it installed?)"),
    (ImportError("libGL.so.1: cannot open"), "libGL.so.1: cannot open (is it installed?)"),
])  # fmt: skip
def test_what_a_user_can_mend_is_one_line_after_the_answer(fake, capsys, monkeypatch, error, said):
    monkeypatch.setenv("MPLBACKEND", "module://no_such.backend")
    assert fake(failing(error))() == 1
    assert capsys.readouterr() == ("the answer\n", f"rfcollapse budget: {said}\n")
    assert fake(failing(error, alarm=True))() == 2  # which is not lost with what fails after it


@pytest.mark.parametrize("error", [
    KeyError("x"), TypeError("x"), AttributeError("x"), ZeroDivisionError("x"), RuntimeError("x"), AssertionError("x"),
    ImportError("cannot import name", name="rfcollapse.advice"),
])  # fmt: skip
def test_a_fault_of_ours_has_its_traceback(fake, error):
    with pytest.raises(type(error)):
        fake(failing(error))()


@pytest.mark.parametrize("error", [AssertionError(), RuntimeError("Unable to initialize backend 'tpu': no\nlibtpu.so")])
def test_a_platform_that_is_not_there_is_one_line(fake, capsys, monkeypatch, error):
    def devices():
        raise error

    monkeypatch.setenv("JAX_PLATFORMS", "tpu")
    monkeypatch.setattr(jax, "devices", devices)
    assert fake(lambda options: devices())() == 1
    said = capsys.readouterr().err
    assert said.startswith("rfcollapse budget: JAX finds no device for JAX_PLATFORMS='tpu': unset that, or install")
    assert said.count("\n") == 1 and " ".join(str(error).split()) in said


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["cuda", "tpu", "bogus"])
def test_such_a_platform_in_earnest(platform, tmp_path):
    words = ["reflow", "--data", "two_moons", "--scheme", "ra", "--rounds", "0", "--out", str(tmp_path / "x")]
    environment = os.environ | {"JAX_PLATFORMS": platform}
    if platform == "cuda" and any(Path("/dev").glob("nvidia*")):
        pytest.skip("here is one")
    done = subprocess.run([sys.executable, "-m", "rfcollapse", *words], env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and not done.stdout and "Traceback" not in done.stderr
    assert f"rfcollapse reflow: JAX finds no device for JAX_PLATFORMS='{platform}'" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", command_line.COMMANDS)
@pytest.mark.parametrize("when", ["_loaded", "add_options", "command"])
def test_an_interrupt_is_130_on_every_command(monkeypatch, capsys, name, when):
    def interrupted(*_):
        raise KeyboardInterrupt

    module = SimpleNamespace(**{"add_options": lambda command: None, "command": lambda options: 0, when: interrupted})
    monkeypatch.setattr(command_line, "_loaded", interrupted if when == "_loaded" else lambda place: module)
    assert command_line.main([name]) == 130
    assert capsys.readouterr() == ("", f"rfcollapse {name}: interrupted\n")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "cp437", "utf-8"])
def test_what_a_terminal_cannot_show_is_replaced(fake, monkeypatch, encoding):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))

    def command(options):
        print("needs α = 0.5 ± 0.1, λ → 3, file \udce4.npy")
        return 2

    assert fake(command)() == 2
    shown = written.getvalue().decode(encoding)
    assert shown.startswith("needs ") and "= 0.5 " in shown and shown.endswith("?.npy\n")
    assert ("α" in shown) == (encoding in ("utf-8", "cp437"))


@pytest.mark.slow
@pytest.mark.parametrize("command", [["claims"], ["monitor", "--help"]])
def test_a_locale_without_unicode(command):
    """As of a bare container: files are UTF-8 all the same."""
    environment = os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-m", "rfcollapse", *command], env=environment, capture_output=True)
    assert done.returncode == 0 and done.stdout.isascii() and len(done.stdout) > 500 and not done.stderr


@pytest.mark.parametrize("place, code, said", [
    ("pipe", 0, ""), ("pipe", 2, ""), ("/dev/full", 1, "No space left"), ("/dev/full", 2, "No space left"),
])  # fmt: skip
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_stdout_that_takes_nothing(place, code, said):
    """A closed pipe is no error, a full disk is one; neither takes an alarm away, nor is complained of twice."""
    program = f"""
import sys
from types import SimpleNamespace
sys.modules["jax"] = SimpleNamespace(config=SimpleNamespace(update=lambda *_: None))
from rfcollapse import __main__ as command_line
def command(options):
    if {code} == 2:
        options.exit_code = 2
    print("x" * 100000)
    return {code}
command_line._loaded = lambda place: SimpleNamespace(add_options=lambda _: None, command=command)
sys.exit(command_line.main(["budget"]))
"""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe, open("/dev/full", "w") as full:
        stdout = pipe if place == "pipe" else full
        done = subprocess.run([sys.executable, "-c", program], stdout=stdout, stderr=subprocess.PIPE, text=True)
    assert done.returncode == code and said in done.stderr and done.stderr.count("\n") == bool(said), done.stderr


def test_a_warning_is_one_line(fake, capsys):
    def command(options):
        warnings.warn("odd\ndata", stacklevel=1)
        return 0

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert fake(command)() == 0
    assert capsys.readouterr().err == "rfcollapse budget: warning: odd data\n"
