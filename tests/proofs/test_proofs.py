"""Every certificate holds, and rejects every mutation of every constant: the table has no survivor."""

import ast
import inspect
from pathlib import Path

import pytest

from . import METHODS, TABLE

FILES = sorted(Path(__file__).parent.glob("*.py"))
MUTATIONS = {
    f"{name}-{constant}-{wrong}": (name, {constant: wrong})
    for name, entry in TABLE.items()
    for constant, values in entry.mutations.items()
    for wrong in values
}


@pytest.mark.parametrize("name", TABLE)
def test_certificate_holds(name):
    assert TABLE[name].holds()


@pytest.mark.parametrize("name, mutation", MUTATIONS.values(), ids=MUTATIONS)
def test_mutation_is_rejected(name, mutation):
    assert not TABLE[name].holds(**mutation)


def test_every_constant_is_mutated():
    assert len(TABLE) > 120
    for name, entry in TABLE.items():
        constants = {key: value.default for key, value in inspect.signature(entry.holds).parameters.items()}
        assert entry.method in METHODS and set(entry.mutations) == set(constants) and constants, name
        assert all(wrong != constants[key] for key, values in entry.mutations.items() for wrong in values), name


def test_certificates_share_no_code_with_the_package():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.level != 1 else []  # 1: from here
            roots = {name.partition(".")[0] for name in names}
            assert roots <= {"ast", "collections", "functools", "inspect", "itertools", "math", "mpmath", "pathlib",
                             "pytest", "sympy", "typing"}, path.name  # fmt: skip
