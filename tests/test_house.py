"""The house stays small and straight: how much code, in how many files, and which way its imports point."""

import ast
import graphlib
import tokenize
from pathlib import Path

import rfcollapse

PACKAGE = Path(rfcollapse.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
NEUTRAL = {"", "check", "schemes", "output", "settings"}  # "" is the package itself, which tells the version
# What a module may import of its own room goes without saying. What is not listed is a service and may import all.
BELOW = {
    "check": set(), "schemes": set(), "output": set(), "settings": {"check"}, "": set(),
    "theory": NEUTRAL, "measure": NEUTRAL, "simulate": NEUTRAL | {"measure"}, "learn": NEUTRAL | {"measure"},
}  # fmt: skip
# The house as it was built; contracts, history and repetitions of claims, neighbouring laws; laws of any data, and
# denoisers trained against them; losses read beside samples, and runs from a lost start; other people's data: their
# tables, a monitor that does not mistake them, runs and states that survive what happens to them, float64 of its own;
# the density of a network's own paths, and the reverse SDE that keeps it; of trained flows, what their steps lose and
# where their transport cost goes; rounds of a flow for data of any shape, and a budget that knows that of its samples;
# how far real pairs slow any network's loss; Reflow around a model of the user's own, in any framework; rounds of
# Reflow with a ridge for data of any shape.
CODE_LINES = 5300 + 350 + 510 + 126 + 1138 + 87 + 139 + 253 + 3 + 445 + 75 + 137


def name(path):
    """`theory.dae.bounds`, and `theory.dae` for its __init__."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


MODULES = {name(path): path for path in FILES}
TREES = {module: ast.parse(path.read_text()) for module, path in MODULES.items()}


def imports(module):
    """The modules of the package that a module imports, wherever in its code."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.ImportFrom) and node.level:
            parts = package.split(".") if package else []
            source = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])
            for alias in node.names:
                inner = f"{source}.{alias.name}".lstrip(".")
                yield inner if inner in MODULES else source


def code_lines(path):
    """Lines that are neither blank, comment nor docstring; the string under a field is one."""
    strings = set()
    for node in ast.walk(ast.parse(path.read_text())):
        for statement in node.body if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) else ():
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                strings.update(range(statement.lineno, statement.end_lineno + 1))
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    with path.open() as file:
        tokens = [token for token in tokenize.generate_tokens(file.readline) if token.type not in layout]
    return len({line for token in tokens for line in range(token.start[0], token.end[0] + 1)} - strings)


def test_is_small():
    assert sum(map(code_lines, FILES)) <= CODE_LINES
    assert len(list(PACKAGE.glob("*.py"))) <= 8
    assert {module: count for module, path in MODULES.items() if (count := path.read_text().count("\n")) > 450} == {}


def test_what_counts_as_code(tmp_path):
    text = '"""One\n\ntwo."""\n\n# no\nx = """a\nb"""  # yes\n\n\nclass A:\n    """No."""\n\n    y: int\n    "no"\n'
    (tmp_path / "some.py").write_text(text)
    assert code_lines(tmp_path / "some.py") == 4


def test_imports_point_one_way():
    for module in MODULES:
        room = module.partition(".")[0]
        rooms = {target.partition(".")[0] for target in imports(module)} - {room}
        assert rooms <= BELOW.get(room, rooms), module


def test_no_import_circle():
    graphlib.TopologicalSorter({module: set(imports(module)) for module in MODULES}).prepare()


def test_imports_are_relative():
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert "rfcollapse" not in [name.partition(".")[0] for name in names], module


def test_no_module_is_named_like_what_its_package_exports():
    packages = {module for module, path in MODULES.items() if path.name == "__init__.py"}
    for package in packages:
        exported = {node.name for node in TREES[package].body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        for node in TREES[package].body:
            if isinstance(node, ast.ImportFrom) and node.module:
                exported |= {alias.asname or alias.name for alias in node.names}
        assert not [item for item in exported if f"{package}.{item}".lstrip(".") in MODULES]
