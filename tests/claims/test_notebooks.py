"""What nbval cannot see: that outputs are there at all, that they are clean, and that the ledger is the notebooks'."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rfcollapse.claims import ledger, reproduce
from rfcollapse.claims.registry import REGISTRY
from rfcollapse.claims.row import said

nbformat = pytest.importorskip("nbformat")
ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SANITIZE = ROOT / "tests" / "nbval.cfg"
LEDGER = {row.id: row for row in ledger.read(ROOT / "figures" / "claims.json")}

assert NOTEBOOKS, "no notebooks found"


def cells(path, kind):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def text(cell):
    return "".join(cell["source"])


def outputs(cell):
    return "".join("".join(output.get("text", "")) for output in cell["outputs"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestNotebook:
    def test_was_run_from_top_to_bottom_without_errors_or_warnings(self, path):
        code = cells(path, "code")
        assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
        for cell in code:
            assert not [o for o in cell["outputs"] if o["output_type"] == "error" or o.get("name") == "stderr"]

    def test_shows_every_claim_as_the_ledger_has_it(self, path):
        said_here = "\n".join(outputs(cell) for cell in cells(path, "code"))
        shown = re.findall(r"^[\w-]+: (?:confirmed|refuted|inconclusive|observed).*$", said_here, re.MULTILINE)
        late = ledger.waiting()
        claims = [id for id, claim in REGISTRY.items() if claim.notebook == path.stem and id not in late]
        assert sorted(shown) == sorted(said(LEDGER[id]) for id in claims)

    def test_says_nothing_of_the_machine(self, path):
        said = path.read_text()
        assert not re.search(r"/(home|root|tmp|work|Users)/|0x[0-9a-f]{8}|site-packages", said)

    def test_rhythm(self, path):
        code = "\n".join(text(cell) for cell in cells(path, "code"))
        words = len(re.findall(r"\w+", "\n".join(text(cell) for cell in cells(path, "markdown"))))
        lines = [line for line in code.splitlines() if line.strip() and not line.strip().startswith("#")]
        assert len(lines) <= 240 and 400 <= words <= 2200
        assert "Exercises" in text(cells(path, "markdown")[-1])
        assert "enable_x64" not in code  # what needs float64 sees to it
        for name in re.findall(r'figures\.save\(.+, "([^"]+)"\)', code):
            assert (ROOT / "figures" / f"{name}.png").exists(), f"figure {name} is not committed"

    def test_links_lead_somewhere(self, path):
        for target in re.findall(r"\]\((?!http|#)([^)\s]+\.\w+)\)", "\n".join(map(text, cells(path, "markdown")))):
            assert (path.parent / target).exists(), target

    def test_solutions_assert_something(self, path):
        """They are run by `reproduce` and under nbval (notebooks/conftest.py), after the last cell."""
        solutions = reproduce.solutions(nbformat.read(path, 4))
        assert len(solutions) >= 3
        assert all(any(isinstance(n, ast.Assert) for n in ast.walk(ast.parse(code))) for code in solutions)


def test_nbval_sees_verdicts_and_solutions_but_not_the_numbers_behind_a_verdict(tmp_path):
    pytest.importorskip("nbval")

    def cell(now, then):
        code, said = f"x = 2\nprint('x: {now}')", nbformat.v4.new_output("stream", text=f"x: {then}\n")
        return nbformat.v4.new_code_cell(code, execution_count=1, outputs=[said])

    ran = [
        cell("confirmed (predicted 1, measured 1.02)", "confirmed (predicted 1, measured 1.0199 ± 0.0003)"),
        cell("refuted (measured 3 of 4, 0.1 to 0.9), expected observed", "refuted (measured 2), expected observed"),
        cell("refuted (predicted 1, measured 1.02)", "confirmed (predicted 1, measured 1.02)"),
        cell("refuted (measured 2), expected confirmed", "refuted (measured 2)"),
    ]
    exercises = "```python\nprint(x)\nassert x == {}\n```"
    text = nbformat.v4.new_markdown_cell(exercises.format(2) + "\n" + exercises.format(3))
    nbformat.write(nbformat.v4.new_notebook(cells=[*ran, text]), tmp_path / "small.ipynb")
    shutil.copy(ROOT / "notebooks" / "conftest.py", tmp_path)
    options = ["-rA", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env", f"--nbval-sanitize-with={SANITIZE}"]
    command = [sys.executable, "-m", "pytest", *options, tmp_path]
    said = subprocess.run(command, capture_output=True, text=True).stdout
    ended = re.findall(r"^(PASSED|FAILED) .*::(Cell|Solution) (\d)", said, re.MULTILINE)
    assert sorted(ended, key=lambda end: end[1:]) == [
        ("PASSED", "Cell", "0"), ("PASSED", "Cell", "1"), ("FAILED", "Cell", "2"), ("FAILED", "Cell", "3"),
        ("PASSED", "Solution", "1"), ("FAILED", "Solution", "2"),
    ], said  # fmt: skip


def test_nbval_reads_the_rule_that_drops_numbers():
    """It takes a file that it cannot parse for one without rules."""
    plugin = pytest.importorskip("nbval.plugin")
    ((regex, replacement),) = plugin.get_sanitize_patterns(SANITIZE.read_text())
    for row in LEDGER.values():
        surprise = "" if row.verdict == row.expected else f", expected {row.expected}"
        assert re.sub(regex, replacement, f"a\n{said(row)}\nb") == f"a\n{row.id}: {row.verdict} (numbers){surprise}\nb"
    assert "--nbval-sanitize-with=tests/nbval.cfg notebooks" in (ROOT / "Makefile").read_text()


def test_every_figure_belongs_to_a_notebook():
    code = "\n".join(text(cell) for path in NOTEBOOKS for cell in cells(path, "code"))
    saved = set(re.findall(r'figures\.save\(.+, "([^"]+)"\)', code))
    assert {path.stem for path in (ROOT / "figures").glob("*.png")} == saved


def test_committed_ledger_can_stand():
    rows = list(LEDGER.values())
    assert ledger.problems(rows, {path.stem for path in NOTEBOOKS}) == []
    assert (ROOT / "figures" / "claims.md").read_text() == ledger.table(rows)


def test_readme_shows_the_ledger_and_links_to_what_exists():
    readme, rows = (ROOT / "README.md").read_text(), list(LEDGER.values())
    assert ledger.summary(rows) in readme
    assert f"<!-- ledger -->\n{ledger.counts(rows)}\n<!-- /ledger -->\n" in readme[:3000]
    for target in re.findall(r"\]\((?!http|#)([^)\s]+)\)", readme):
        assert (ROOT / target).exists(), target
    assert all(alt for alt in re.findall(r"!\[([^\]]*)\]", readme)), "a figure without alt text"
