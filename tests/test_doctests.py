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
    """In an empty namespace, so that an example imports what it uses; without the type checker, as users run it."""
    text, path = EXAMPLES[name]
    example = doctest.DocTestParser().get_doctest(text, {}, name, str(path), 0)
    said = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append)
    assert result.failed == 0, "".join(said)


COMMAND_LINE = {"add_options", "from_options", "flags", "option", "command"}


def doors():
    """The functions that users call, by dotted name: all public ones of these modules, command lines excepted."""
    modules = ["theory.dae", "theory.flow", "theory.resampling", "theory.regression", "data", "claims", "own"]
    for room in ("measure", "advice"):
        package = importlib.import_module(f"rfcollapse.{room}")
        modules += [f"{room}.{module.name}" for module in pkgutil.iter_modules(package.__path__)]
    for name in modules:
        module = importlib.import_module(f"rfcollapse.{name}")
        lazy = {each: getattr(module, each) for each in getattr(module, "__all__", ())}
        for function, value in (vars(module) | lazy).items():
            if not callable(value) or isinstance(value, type) or function.startswith("_") or function in COMMAND_LINE:
                continue
            if function in getattr(module, "__all__", ()) or value.__module__ == module.__name__:
                yield f"{name}.{function}", value
    for name in ("simulate.dae", "simulate.flow", "simulate.resampling", "simulate.regression", "learn.reflow"):
        yield f"{name}.run", importlib.import_module(f"rfcollapse.{name}").run


def test_every_door_has_an_example():
    assert [name for name, door in doors() if ">>>" not in (inspect.getdoc(door) or "")] == []
