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
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert len(names) > 30 and done.stdout == "3\n"


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
