"""Every test runs with strict promotion and jaxtyping checked; `unchecked` switches the type checker off.

XLA spends no time on making its code fast, for most of it runs but once: compiling is half of what the tests cost. (The
notebooks, which are tested too, run what users run.)

The import hook must be installed before rfcollapse is imported. Tests of bad input use the fixture `unchecked`, so that
they meet the words of `rfcollapse.check` as a user without beartype does.
"""

import os
from pathlib import Path

import jaxtyping

os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=1"
jaxtyping.install_import_hook("rfcollapse", "beartype.beartype")

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def unchecked():
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


# Whole modules that compile, train, draw many runs or start other programs; `make test-fast` leaves them out as well.
SLOW = {
    "learn/test_integrate", "learn/test_reflow", "learn/test_train", "learn/test_unet", "learn/test_velocity",
    "simulate/test_flow", "simulate/test_reduced", "simulate/test_resampling", "benchmarks/test_bench",
    "benchmarks/test_bench_images", "advice/test_budget", "advice/test_rule", "runs/test_run", "runs/test_looks",
    "claims/test_notebooks", "claims/test_reproduce", "book/test_page",
}  # fmt: skip


def pytest_collection_modifyitems(items):
    root = Path(__file__).parent
    for item in items:
        if item.path.with_suffix("").relative_to(root).as_posix() in SLOW:
            item.add_marker(pytest.mark.slow)
