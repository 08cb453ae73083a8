"""Every test runs with strict promotion and jaxtyping checked; `unchecked` switches the type checker off.

XLA spends no time on making its code fast, for most of it runs but once: compiling is most of what the tests cost. A
test marked `computes` runs its programs for so long that they are worth optimising; there XLA emits its loops the old
way all the same, which is compiled in half the time. Programs that tests start inherit all of this. (The notebooks,
which are tested too, run what users run. A folder of compiled programs that all processes of a run share saves nothing,
for few programs are compiled by two of them.)

The import hook must be installed before rfcollapse is imported. Tests of bad input use the fixture `unchecked`, so that
they meet the words of `rfcollapse.check` as a user without beartype does.
"""

import importlib.util
import os
from pathlib import Path

import jaxtyping

FLAGS = "--xla_backend_optimization_level=1 --xla_cpu_use_fusion_emitters=false"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FLAGS}"
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
jaxtyping.install_import_hook("rfcollapse", "beartype.beartype" if importlib.util.find_spec("beartype") else None)

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def unchecked():
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


# Whole modules that compile, train, draw many runs or start other programs, the longest first, for a long one that
# starts last is waited for; `make test-fast` leaves them out.
SLOW = (
    "claims/test_notebooks", "claims/test_reproduce", "learn/test_reflow", "runs/test_run", "learn/test_train",
    "benchmarks/test_gpu", "learn/test_unet", "benchmarks/test_bench", "simulate/test_reduced", "learn/test_integrate",
    "proofs/test_proofs", "simulate/test_resampling", "simulate/test_flow", "book/test_page", "advice/test_budget",
    "theory/anydata/test_euler", "theory/anydata/test_densities", "advice/test_rule", "learn/test_denoise",
    "learn/test_velocity", "runs/test_looks", "benchmarks/test_bench_images", "test_doctests",
    "theory/anydata/test_points", "theory/anydata/test_heat", "simulate/test_dae", "simulate/test_regression",
)  # fmt: skip


def pytest_configure(config):
    config.option.loadscopereorder = False  # pytest-xdist's own order, by the number of tests


def pytest_collection_modifyitems(items):
    for item in items:
        if module(item) in SLOW:
            item.add_marker(pytest.mark.slow)
    places = {name: place for place, name in enumerate(SLOW)}
    items.sort(key=lambda item: places.get(module(item), len(SLOW) + (item.get_closest_marker("slow") is None)))


def pytest_runtest_setup(item):
    jax.config.update("jax_disable_most_optimizations", item.get_closest_marker("computes") is None)


def module(item):
    return item.path.with_suffix("").relative_to(Path(__file__).parent).as_posix()
