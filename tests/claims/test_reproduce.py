"""The runner of notebooks, on small notebooks that the tests write."""

import json
import re
import subprocess
import sys

import pytest

from rfcollapse import __main__, claims
from rfcollapse.claims import reproduce
from rfcollapse.claims.registry import Claim

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

GOOD = "from rfcollapse.claims import record\nprint(record('small', 1.0, {value}))"
FIGURE = """
import matplotlib
matplotlib.use("Agg")
from rfcollapse import figures
figure, axes = figures.panels()
figures.save(figure, "small")
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with one good notebook, one that fails, and a registry for them."""

    def write(name, *sources):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
        (tmp_path / "notebooks").mkdir(exist_ok=True)
        nbformat.write(notebook, tmp_path / "notebooks" / f"{name}.ipynb")

    # The kernel is another process and knows the real registry only; so a claim of that is used.
    write(
        "01_good", GOOD.format(value=1.01).replace("small", "retained-golden").replace("1.01)", "1.0, 0.0, 8)"), FIGURE
    )
    path = tmp_path / "notebooks" / "01_good.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells.append(nbformat.v4.new_markdown_cell("Exercises\n```python\nassert axes.figure is figure\n```"))
    nbformat.write(notebook, path)
    write("02_bad", "x = 1", "raise RuntimeError('the reason')")
    (tmp_path / "README.md").write_text("# x\n<!-- verdicts -->\nold\n<!-- /verdicts -->\n")
    monkeypatch.setattr(reproduce, "ROOT", tmp_path)
    return tmp_path


def test_seed_and_size_come_from_the_environment(monkeypatch):
    monkeypatch.delenv(claims.QUICK, raising=False)
    assert reproduce.size(100, quick=3) == 100
    monkeypatch.setenv(claims.QUICK, "1")
    assert reproduce.size(100, quick=3) == 3
    first = reproduce.key()
    monkeypatch.setenv(reproduce.SEED, "5")
    assert reproduce.key() != first


def test_chosen_by_name_number_or_path(checkout):
    assert reproduce.chosen([]) == ["01_good", "02_bad"]
    assert reproduce.chosen(["2"]) == reproduce.chosen(["02_bad"]) == reproduce.chosen(["notebooks/02_bad.ipynb"])
    with pytest.raises(ValueError, match="no notebook 'seven'; there are 01_good, 02_bad"):
        reproduce.chosen(["seven"])


@pytest.mark.slow
def test_a_failure_does_not_stop_or_spoil_the_others(checkout, capsys, monkeypatch):
    # The claim recorded by 01_good belongs to 03_real_data by its registry, so rows land there.
    code = __main__.main(["reproduce"])
    said = capsys.readouterr()
    assert code == 1
    assert "02_bad failed, cell 1: RuntimeError: the reason" in said.out
    executed = nbformat.read(checkout / "notebooks" / "01_good.ipynb", 4)
    assert executed.cells[0].outputs[0]["text"].startswith("retained-golden: confirmed")
    assert executed.metadata.language_info == {"name": "python"}
    assert (checkout / "figures" / "small.png").exists()
    assert len(executed.cells) == 3, "solutions are run, not kept"
    bad = nbformat.read(checkout / "notebooks" / "02_bad.ipynb", 4)
    assert not bad.cells[0].outputs, "a failed notebook must stay as it was"


def test_a_kernel_that_does_not_start_fails_its_notebook_alone(checkout, capsys, monkeypatch):
    async def execute(client, **_):
        raise RuntimeError("Kernel died before replying to kernel_info")

    monkeypatch.setattr(nbclient.NotebookClient, "async_execute", execute)
    assert __main__.main(["reproduce", "--json"]) == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [line for line in problems if "did not start" in line] == [
        f"{name} failed, its kernel died, or did not start (out of memory?)" for name in ("01_good", "02_bad")
    ]


@pytest.mark.slow
def test_a_wrong_solution_fails_its_notebook(checkout, capsys):
    path = checkout / "notebooks" / "01_good.ipynb"
    path.write_text(path.read_text().replace("axes.figure is figure", "axes is figure"))
    assert __main__.main(["reproduce", "01"]) == 1
    assert "01_good failed, cell 3: AssertionError" in capsys.readouterr().out


@pytest.mark.slow
def test_a_trial_leaves_the_checkout_alone(checkout, capsys):
    before = {path: path.read_bytes() for path in checkout.rglob("*") if path.is_file()}
    __main__.main(["reproduce", "01", "--seed", "3", "--json"])
    assert set(json.loads(capsys.readouterr().out)) == {"claims", "seconds", "problems"}
    assert {path: path.read_bytes() for path in before} == before
    assert (checkout / "runs" / "seed-3" / "notebooks" / "01_good.ipynb").exists()


def row(id, notebook, verdict):
    return claims.Row(id, "", "ours", "law", "", 0.1, "confirmed", 1.0, 1.0, 0.0, 8, verdict, notebook)


def test_problems(monkeypatch):
    registry = {name: Claim(name, "", "ours", "law", 0.1, "", "01_x") for name in ("a", "b")}
    monkeypatch.setattr(reproduce, "REGISTRY", registry)
    outcomes = [
        reproduce.Outcome("01_x", [row("a", "01_x", "inconclusive")], None, 1.0),
        reproduce.Outcome("02_y", [], "cell 3: ValueError: no", 1.0),
    ]
    found = reproduce.problems(outcomes)
    assert found == [
        "b: not recorded by 01_x",
        "a: inconclusive, expected confirmed",
        "02_y failed, cell 3: ValueError: no",
    ]
    assert "a: inconclusive, expected confirmed" not in reproduce.problems(outcomes, quick=True)


def test_readme_table_is_replaced(checkout):
    (checkout / "figures").mkdir()
    (checkout / "figures" / "claims.json").write_text(json.dumps([row("a", "01_x", "confirmed")._asdict()]))
    reproduce._refresh_readme()
    text = (checkout / "README.md").read_text()
    assert "old" not in text and re.search(r"<!-- verdicts -->\n\| claim", text) and "<!-- /verdicts -->" in text


@pytest.mark.parametrize(
    "arguments, words, code",
    [
        (["reproduce", "99"], "no notebook '99'", 1),
        (["nonsense"], "invalid choice", 1),
        (["reproduce", "--seed", "x"], "invalid int value", 1),
        ([], "required", 1),
    ],
)
def test_bad_usage_is_one_line_without_a_traceback(arguments, words, code):
    result = subprocess.run([sys.executable, "-m", "rfcollapse", *arguments], capture_output=True, text=True)
    assert result.returncode == code
    assert words in result.stderr and "Traceback" not in result.stderr and not result.stdout
