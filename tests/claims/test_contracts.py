"""Each claim's contract with its notebook, by the syntax tree: one cell records it, and calls the law that predicts."""

import ast
import importlib
import json
import re
from pathlib import Path

import pytest

from rfcollapse.claims import ledger
from rfcollapse.claims.registry import REGISTRY

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def trees(path):
    cells = json.loads(path.read_text())["cells"]
    return [ast.parse("".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"]


def nodes(cells, *kinds):
    return [node for cell in cells for node in ast.walk(cell) if isinstance(node, kinds)]


def constants(cells):
    return {str(node.value) for node in nodes(cells, ast.Constant)}


def called(call):
    return getattr(call.func, "id", None)


def recorders(cells):
    """`record`, and the notebook's own functions that hand an id on to it: those whose argument it is."""
    own = {"record"}
    for function in nodes(cells, ast.FunctionDef):
        arguments = {argument.arg for argument in function.args.args}
        for call in nodes([function], ast.Call):
            if called(call) == "record" and getattr(call.args[0], "id", None) in arguments:
                own.add(function.name)
    return own


def pattern(text):
    """An f-string as a pattern: what it computes may be anything."""
    return "".join(re.escape(part.value) if isinstance(part, ast.Constant) else "(.+)" for part in text.values)


def where(cells, ids):
    """The cells that record each id: by the id itself, by a variable (then it stands in the cell), or by an f-string.

    What an f-string computes is a constant of that cell; where no cell has it, of any.
    """
    found, loose = ({id: set() for id in ids} for _ in range(2))
    everywhere, names = constants(cells), recorders(cells)
    for number, cell in enumerate(cells):
        here = constants([cell])
        for call in nodes([cell], ast.Call):
            if called(call) not in names:
                continue
            for id in ids:
                first = call.args[0]
                if isinstance(first, ast.Constant):
                    found[id] |= {number} if first.value == id else set()
                elif isinstance(first, ast.JoinedStr):
                    if holes := re.fullmatch(pattern(first), id):
                        found[id] |= {number} if set(holes.groups()) <= here else set()
                        loose[id] |= {number} if set(holes.groups()) <= everywhere else set()
                elif id in here:
                    found[id].add(number)
    return {id: found[id] or loose[id] for id in ids}


def imported(cells):
    """What names mean in a notebook: the modules, and what it takes out of modules."""
    meaning = {}
    for node in nodes(cells, ast.ImportFrom):
        for alias in node.names:
            module = importlib.import_module(node.module)
            meaning[alias.asname or alias.name] = getattr(module, alias.name, None) or importlib.import_module(
                f"{node.module}.{alias.name}"
            )
    return meaning


def calls(cell, meaning):
    """The functions that a cell calls, as far as they are imported: `lifetime(…)`, or `dae.lifetime(…)`."""
    for call in nodes([cell], ast.Call):
        names = ast.unparse(call.func).split(".")
        thing = meaning.get(names[0])
        for name in names[1:]:
            thing = getattr(thing, name, None)
        if thing is not None:
            yield thing


def law_of(claim):
    """The function that a claim names; ValueError where it does not exist."""
    module, _, function = claim.law.partition(":")
    try:
        found = getattr(importlib.import_module(f"rfcollapse.{module}"), function)
    except (ImportError, AttributeError):
        raise ValueError(f"{claim.id}: there is no law {claim.law!r}") from None
    if not callable(found):
        raise ValueError(f"{claim.id}: {claim.law!r} is no function")
    return found


def broken(cells, claims):
    """What is wrong between a notebook and the claims that the registry says are its own."""
    found, meaning = [], imported(cells)
    recorded = where(cells, [claim.id for claim in claims])
    for id, places in recorded.items():
        if len(places) != 1:
            found.append(f"{id}: recorded in {len(places)} cells")
    for claim in claims:
        places = recorded[claim.id] if claim.law else ()
        for place in places:
            if law_of(claim) not in calls(cells[place], meaning):
                found.append(f"{claim.id}: its cell does not call {claim.law}")
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_one_cell_records_each_claim_and_calls_its_law(path):
    late = ledger.waiting()
    own = [claim for claim in REGISTRY.values() if claim.notebook == path.stem and claim.id not in late]
    assert broken(trees(path), own) == []


def test_laws_exist():
    for claim in REGISTRY.values():
        assert not claim.law or law_of(claim)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_claims_name_the_recordings_that_their_notebook_reads(path):
    """What is read must not pass for repeated on another seed; see `rfcollapse.claims.repeats.lacks`."""
    read = {Path(word).name for word in constants(trees(path)) if word.endswith(".json")}
    late = ledger.waiting()
    own = [claim for claim in REGISTRY.values() if claim.notebook == path.stem and claim.id not in late]
    assert read == {claim.recording[0] for claim in own if claim.recording}


def test_a_recording_that_is_not_made_yet_can_be_made():
    """Its claims wait, without a row and without a cell; the program that makes it knows the parts."""
    rows = {row.id for row in ledger.read(ROOT / "figures" / "claims.json")}
    for id in ledger.waiting():
        file, *parts = REGISTRY[id].recording
        program = (ROOT / "benchmarks" / f"record_{file.partition('_')[0]}.py").read_text()
        assert id not in rows and all(f'"{part}"' in program for part in parts), id


CLAIM = REGISTRY["lifetime"]._replace(id="a-4", law="theory.dae:lifetime")
HEAD = "from rfcollapse.theory import dae\nfrom rfcollapse.theory.dae import lifetime as life, trajectory"


@pytest.mark.parametrize(
    "code, faults",
    [
        (["record('a-4', dae.lifetime(64.0, 1.0), value=67)"], []),
        (["print(record('a-4', float(life(64.0, 1.0)), value=67))"], []),
        (["for u0 in (4, 9):\n    record(f'a-{u0}', dae.lifetime(u0, 1.0), value=67)"], []),
        (["for name, u0 in [('a-4', 4)]:\n    record(name, dae.lifetime(u0, 1.0), value=67)"], []),
        (["starts = (4, 9)", "for u0 in starts:\n    record(f'a-{u0}', life(u0, 1.0), value=67)"], []),
        (["def say(id, p):\n    print(record(id, p, value=67))", "say('a-4', life(64.0, 1.0))"], []),
        (["p = life(64.0, 1.0)", "record('a-4', p, value=67)"], ["a-4: its cell does not call theory.dae:lifetime"]),
        (["record('a-4', trajectory(64.0, 1.0, 3)[0], value=67)"], ["a-4: its cell does not call theory.dae:lifetime"]),
        (["record('a-4', lifetime(64.0, 1.0), value=67)"], ["a-4: its cell does not call theory.dae:lifetime"]),
        (["life(64.0, 1.0)\nrecord('b-4', 67, value=67)"], ["a-4: recorded in 0 cells"]),
        (["life(64.0, 1.0)\nprint('a-4')"], ["a-4: recorded in 0 cells"]),
        (["record('a-4', life(1.0, 1.0), value=67)"] * 2, ["a-4: recorded in 2 cells"]),
        (["for k in (5, 9):\n    record(f'a-{k}', life(k, 1.0), value=67)"], ["a-4: recorded in 0 cells"]),
    ],
)
def test_a_broken_contract_is_seen(code, faults):
    assert broken([ast.parse(source) for source in [HEAD, *code]], [CLAIM]) == faults


@pytest.mark.parametrize(
    "law", ["theory.dae:lifetimes", "theory.dead:lifetime", "theory.dae", "claims:KINDS", "lifetime"]
)
def test_a_law_that_does_not_exist_is_refused(law):
    with pytest.raises(ValueError, match=re.escape(f"{law!r}")):
        law_of(CLAIM._replace(law=law))
