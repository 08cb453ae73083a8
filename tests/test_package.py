"""What an import must not do."""

import pkgutil
import subprocess
import sys

import rfcollapse


def test_an_import_leaves_the_choice_of_devices_open():
    names = [module.name for module in pkgutil.walk_packages(rfcollapse.__path__, "rfcollapse.")]
    names = [name for name in names if not name.endswith("__main__")]
    program = "\n".join([f"import {name}" for name in names])
    program += "\nimport jax\njax.config.update('jax_num_cpu_devices', 3)\nprint(jax.device_count('cpu'))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert len(names) > 30 and done.stdout == "3\n"
