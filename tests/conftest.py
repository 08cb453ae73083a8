"""Every test runs with strict promotion and jaxtyping checked; `unchecked` switches the type checker off.

XLA spends no time on making its code fast, for most of it runs but once: compiling is most of what the tests cost. Only
what a test marked `computes` compiles is made to be fast; but loops are emitted the old way there, too, which halves
the cost, and in one piece, for the workers have all cores busy. Programs that tests start inherit all of this. (The
notebooks, which are tested too, run what users run. A folder of compiled programs that all processes of a run share
saves nothing, for few are compiled by two of them.)

They run on the CPU unless JAX_PLATFORMS asks for another device: a GPU multiplies float32 as TF32, which is beyond most
tolerances, and its memory is for one process.

JAX's 64-bit mode is off, as users have it; the fixture `in_float64` switches it on for tests that have a program of
their own. The import hook must be installed before rfcollapse is imported. Tests of bad input use the fixture
`unchecked`, so that they meet the words of `rfcollapse.check` as a user without beartype does.
"""

import importlib.metadata
import importlib.util
import os
from pathlib import Path

import jaxtyping

FLAGS = "--xla_backend_optimization_level=1"
if importlib.metadata.version("jaxlib").startswith("0.10."):  # a flag that jaxlib does not know ends the process
    FLAGS += " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FLAGS}"
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
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


@pytest.fixture
def in_float64():
    with jax.enable_x64(True):
        yield


# Whole modules that compile, train, draw many runs or start other programs, the longest first, for a long one that
# starts last is waited for; `make test-fast` leaves them out.
SLOW = (
    "advice/test_shapes", "benchmarks/test_gpu", "simulate/test_reduced", "learn/test_reflow", "learn/test_train",
    "runs/test_run", "runs/test_processes", "theory/anydata/test_flow_rounds", "own/test_rounds",
    "simulate/test_resampling", "benchmarks/test_bench", "simulate/test_dae", "test_doctests", "learn/test_unet",
    "theory/anydata/test_euler", "theory/anydata/test_densities", "learn/test_denoise", "theory/anydata/test_points",
    "simulate/test_flow", "advice/test_budget", "proofs/test_proofs", "book/test_page", "advice/test_rule",
    "claims/test_reproduce", "learn/test_integrate", "claims/test_notebooks", "runs/test_looks",
    "simulate/test_regression", "learn/test_velocity", "theory/anydata/test_heat", "test_float64",
    "measure/test_euler", "measure/test_transport",
    "learn/test_density", "theory/flow/test_mixed", "advice/test_monitor", "theory/test_resampling", "learn/test_pairs",
    "advice/test_mechanisms", "theory/flow/test_schemes",
    "advice/test_field", "test_package", "test_fuzz_arguments", "advice/test_fuzz_tables", "advice/test_samples",
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
