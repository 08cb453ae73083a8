"""Every example in a docstring of the package is run, and every door has one."""

import ast
import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import rfcollapse

PACKAGE = Path(rfcollapse.__file__).parent


def docstrings():
    """Those of modules, classes and functions, by dotted name: read from the source, as decorators may hide them."""
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        todo = [(module, ast.parse(path.read_text()))]
        while todo:
            name, node = todo.pop()
            yield name, ast.get_docstring(node) or "", path
            inner = (item for item in node.body if isinstance(item, ast.ClassDef | ast.FunctionDef))
            todo += [(f"{name}.{item.name}", item) for item in inner]


EXAMPLES = {name: (text, path) for name, text, path in docstrings() if ">>>" in text}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name, unchecked):
    """As a user runs it: without the type checker, in an empty namespace, so that it imports what it uses."""
    text, path = EXAMPLES[name]
    example = doctest.DocTestParser().get_doctest(text, {}, name, str(path), 0)
    said = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append)
    assert result.failed == 0, "".join(said)


COMMAND_LINE = {"add_mechanism", "add_options", "command", "flags", "from_options", "mechanism_of", "option"}


def doors():
    """The functions that users call, by dotted name: all public ones of these modules, command lines excepted."""
    modules = ["theory.dae", "theory.flow", "theory.resampling", "data", "claims"]
    for room in ("measure", "advice"):
        package = importlib.import_module(f"rfcollapse.{room}")
        modules += [f"{room}.{module.name}" for module in pkgutil.iter_modules(package.__path__)]
    for name in modules:
        module = importlib.import_module(f"rfcollapse.{name}")
        for function, value in vars(module).items():
            if not callable(value) or isinstance(value, type) or function.startswith("_") or function in COMMAND_LINE:
                continue
            if function in getattr(module, "__all__", ()) or value.__module__ == module.__name__:
                yield f"{name}.{function}", value
    for name in ("simulate.dae", "simulate.flow", "simulate.resampling", "learn.reflow"):
        yield f"{name}.run", importlib.import_module(f"rfcollapse.{name}").run


MISSING = {
    "advice.budget.cheapest_fraction", "advice.budget.needed_fraction", "advice.budget.report",
    "advice.budget.schedules", "advice.mechanisms.dae", "advice.mechanisms.flow", "advice.mechanisms.rate",
    "advice.mechanisms.refit", "advice.mechanisms.reflow", "advice.mechanisms.required_fraction",
    "advice.mechanisms.retained", "advice.mechanisms.share", "advice.mechanisms.total_share",
    "advice.mechanisms.trajectory", "advice.monitor.add", "advice.monitor.judge", "advice.monitor.load",
    "advice.monitor.rate_interval", "advice.monitor.save", "advice.monitor.share_interval", "advice.monitor.start",
    "advice.rule.next_fraction", "advice.samples.jackknife_error", "advice.samples.open_samples",
    "advice.samples.spectrum", "claims.judge", "claims.record", "data.checkerboard", "data.cifar10",
    "data.cifar10_folder", "data.covariance", "data.digits", "data.eight_gaussians", "data.exact_gaussians",
    "data.flat", "data.gaussian", "data.mnist", "data.mnist_folder", "data.photo_patches", "data.power_law",
    "data.read_samples", "data.sample_chunks", "data.spiked", "data.two_moons", "learn.reflow.run",
    "measure.coverage.coverage", "measure.distances.exact_w2", "measure.distances.frechet_distance",
    "measure.distances.gaussian_w2", "measure.distances.moments", "measure.distances.second_moment",
    "measure.distances.sliced_w2", "measure.images.quality", "measure.images.reference",
    "measure.images.variance_ratio", "measure.paths.curvature", "measure.paths.reconstruction_error",
    "measure.paths.step_discrepancy", "measure.paths.straightness", "measure.rates.clopper_pearson",
    "measure.rates.decay_rate", "measure.rates.equivalent", "measure.rates.first_passage", "measure.rates.lifetime",
    "measure.rates.mean_and_error", "measure.rates.regime", "simulate.dae.run", "simulate.flow.run",
    "simulate.resampling.run", "theory.dae.accumulated_lifetime", "theory.dae.accumulated_variance",
    "theory.dae.bistable_fraction", "theory.dae.contraction_factor", "theory.dae.critical_resample_std",
    "theory.dae.lifetime", "theory.dae.next_variance", "theory.dae.norm_bound", "theory.dae.norm_bound_applies",
    "theory.dae.norm_floor", "theory.dae.optimal_gain", "theory.dae.optimal_map",
    "theory.dae.required_real_fraction", "theory.dae.retained_cycle", "theory.dae.retained_variance",
    "theory.dae.training_curve", "theory.dae.trajectory", "theory.dae.unstable_variance",
    "theory.dae.variance_bound", "theory.flow.balance_map", "theory.flow.best_grid", "theory.flow.coupling_angle",
    "theory.flow.coupling_gain", "theory.flow.denoiser_gain", "theory.flow.denoiser_trajectory",
    "theory.flow.euler_gain", "theory.flow.heun_gain", "theory.flow.heun_sink", "theory.flow.midpoint_gain",
    "theory.flow.mixed_pairs_trajectory", "theory.flow.network_trajectory", "theory.flow.network_variance",
    "theory.flow.one_step_gain", "theory.flow.required_fraction_for_rate", "theory.flow.retention_rule",
    "theory.flow.reverse_sde_correlation", "theory.flow.scheme_contraction", "theory.flow.scheme_coupling",
    "theory.flow.scheme_limit", "theory.flow.scheme_trajectory", "theory.flow.self_consuming_lifetime",
    "theory.flow.self_consuming_rate", "theory.flow.self_consuming_rate_asymptotic",
    "theory.flow.self_consuming_trajectory", "theory.flow.transport_map", "theory.flow.velocity_gain",
    "theory.resampling.estimator_variance", "theory.resampling.lyapunov_exponents",
    "theory.resampling.mean_std_factor", "theory.resampling.mean_std_rate", "theory.resampling.mean_variance",
    "theory.resampling.mean_variance_limit", "theory.resampling.optimal_real_weight", "theory.resampling.std_tail",
    "theory.resampling.std_tail_bound", "theory.resampling.typical_drift", "theory.resampling.weighted_variance",
}  # fmt: skip


def test_every_door_has_an_example():
    without = {name for name, door in doors() if ">>>" not in (inspect.getdoc(door) or "")}
    assert without == MISSING, (sorted(without - MISSING), sorted(MISSING - without))
