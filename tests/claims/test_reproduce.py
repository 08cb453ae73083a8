"""The runner of notebooks, on small notebooks that the tests write."""

import json
import subprocess
import sys

import pytest

from rfcollapse import __main__, claims
from rfcollapse.claims import ledger, reproduce
from rfcollapse.claims.registry import Claim

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

GOOD = "from rfcollapse.claims import record\nprint(record('training-curve-balanced', 0.0, value=0.001))"
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
    write("01_good", GOOD, FIGURE)
    path = tmp_path / "notebooks" / "01_good.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells.append(nbformat.v4.new_markdown_cell("Exercises\n```python\nassert axes.figure is figure\n```"))
    nbformat.write(notebook, path)
    write("02_bad", "x = 1", "raise RuntimeError('the reason')")
    (tmp_path / "README.md").write_text(
        "# x\n<!-- ledger -->\nold\n<!-- /ledger -->\n<!-- verdicts -->\nold\n<!-- /verdicts -->\n"
    )
    for module in (reproduce, ledger):
        monkeypatch.setattr(module, "ROOT", tmp_path)
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
    # The claim recorded by 01_good belongs to 01_linear_dae by its registry, so rows land there.
    code = __main__.main(["reproduce"])
    said = capsys.readouterr()
    assert code == 1
    assert "02_bad failed, cell 1: RuntimeError: the reason" in said.out
    executed = nbformat.read(checkout / "notebooks" / "01_good.ipynb", 4)
    assert executed.cells[0].outputs[0]["text"].startswith("training-curve-balanced: confirmed (")
    assert executed.metadata.language_info == {"name": "python"}
    assert (checkout / "figures" / "small.png").exists()
    assert len(executed.cells) == 3, "solutions are run, not kept"
    bad = nbformat.read(checkout / "notebooks" / "02_bad.ipynb", 4)
    assert not bad.cells[0].outputs, "a failed notebook must stay as it was"


@pytest.mark.parametrize("reason", [RuntimeError("Kernel died before replying"), FileNotFoundError("/old/python")])
def test_a_kernel_that_does_not_start_fails_its_notebook_alone(checkout, capsys, monkeypatch, reason):
    async def execute(client, **_):
        raise reason

    monkeypatch.setattr(nbclient.NotebookClient, "async_execute", execute)
    assert __main__.main(["reproduce", "--json"]) == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [line for line in problems if "did not start" in line] == [
        f"{name} failed, its kernel did not start ({sys.executable} -m ipykernel_launcher: {reason})"
        for name in ("01_good", "02_bad")
    ]


@pytest.mark.slow
def test_the_kernel_is_this_pythons_whatever_is_installed_or_named(checkout, tmp_path, monkeypatch, capsys):
    """Another's kernel of that name, a start-up file that fails, another profile, a backend that is not there."""
    kernel, startup = tmp_path / "jp/kernels/python3", tmp_path / "ip/profile_default/startup"
    for folder in (kernel, startup):
        folder.mkdir(parents=True)
    argv = ["/old/venv/bin/python", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "x", "language": "python"}))
    (startup / "00.py").write_text("record = None\nimport os; os._exit(1)")
    for name, value in {"JUPYTER_PATH": "jp", "IPYTHONDIR": "ip", "MPLBACKEND": "module://no_such.backend"}.items():
        monkeypatch.setenv(name, value if ":" in value else str(tmp_path / value))
    (outcome,), _ = reproduce.run(["01"])
    executed = nbformat.read(checkout / "notebooks" / "01_good.ipynb", 4)
    assert outcome.error is None and "training-curve-balanced: confirmed" in executed.cells[0].outputs[0]["text"]


def test_a_full_disk_or_a_damaged_notebook_fails_its_notebook_alone(checkout, capsys, monkeypatch):
    async def execute(client, **_):
        pass

    def full(*_):
        raise OSError(28, "No space left on device")

    (checkout / "notebooks" / "02_bad.ipynb").write_text("{not JSON\n")
    (checkout / "notebooks" / "03_gone.ipynb").symlink_to("nowhere")
    monkeypatch.setattr(nbclient.NotebookClient, "async_execute", execute)
    monkeypatch.setattr(nbformat, "write", full)
    assert __main__.main(["reproduce", "--quick"]) == 1
    shown = capsys.readouterr()
    for line in (
        "01_good failed, [Errno 28] No space",
        "02_bad failed, Notebook does not",
        "03_gone failed, [Errno 2] No",
    ):
        assert line in shown.out
    assert "Traceback" not in shown.err


@pytest.mark.parametrize("seed", ["9223372036854775808", "18446744073709551616", "1" + "0" * 40])
def test_a_seed_out_of_range_is_refused_before_a_kernel_starts(checkout, capsys, seed):
    assert __main__.main(["reproduce", "--seed", seed]) == 1
    shown = capsys.readouterr()
    assert (
        shown.err == f"rfcollapse reproduce: --seed must be from 0 to 9223372036854775807; got {seed}\n"
        and not shown.out
    )
    assert not (checkout / "runs").exists()


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
    assert set(json.loads(capsys.readouterr().out)) == {"claims", "differ", "unrepeated", "seconds", "problems"}
    assert {path: path.read_bytes() for path in before} == before
    assert (checkout / "runs" / "seed-3" / "notebooks" / "01_good.ipynb").exists()


def row(id, notebook, measurement, **more):
    fields = dict(
        id=id, statement="", source="ours", law="", kind="law", unit="", margin=0.1, expected="confirmed", rival=""
    )
    numbers = dict(prediction=1.0, measurement=measurement, standard_error=0.0, n=8, form="runs")
    return claims.judged(claims.Row(**fields | numbers | more, notebook=notebook))


def test_problems(monkeypatch):
    registry = {name: Claim(name, "", "ours", "law", 0.1, "", "01_x") for name in ("a", "b")}
    registry["c"] = registry["a"]._replace(id="c", notebook="03_z", rival="no collapse")
    monkeypatch.setattr(ledger, "REGISTRY", registry)
    between = row("a", "01_x", 1.1, standard_error=0.05)
    undecided = row(
        "c", "03_z", 1.0, standard_error=0.02, rival="no collapse", rival_prediction=1.15, rival_measurement=1.0
    )
    outcomes = [
        reproduce.Outcome("01_x", [between], None, 1.0),
        reproduce.Outcome("02_y", [], "cell 3: ValueError: no", 1.0),
        reproduce.Outcome("03_z", [undecided], None, 1.0),
    ]
    failed, missing = "02_y failed, cell 3: ValueError: no", "b: not recorded by 01_x"
    survivor = "c: its rival survives (no collapse: inconclusive)"
    assert (between.verdict, undecided.verdict) == ("inconclusive", "confirmed")
    assert reproduce.problems(outcomes, {}) == [failed, survivor, missing], "nothing is committed yet"
    assert reproduce.problems(outcomes, {"a": "inconclusive", "c": "confirmed"}) == [failed, survivor, missing]
    assert reproduce.problems(outcomes, {"a": "confirmed"}) == [
        failed, "a: inconclusive, committed as confirmed", survivor, missing]  # fmt: skip
    assert reproduce.problems(outcomes, {"a": "confirmed"}, quick=True) == [failed, missing]
    outcomes = [reproduce.Outcome("01_x", [row("a", "01_x", 2.0), row("b", "01_x", 1.0)], None, 1.0)]
    for quick in (False, True):
        found = reproduce.problems(outcomes, {"a": "confirmed", "b": "refuted"}, quick=quick)
        assert found == ["a: refuted, committed as confirmed", "b: confirmed, committed as refuted"]


def test_verdicts_are_compared_with_the_ledger_as_it_stood_before(checkout, monkeypatch, capsys):
    """A run that refreshes the ledger is held against the old one."""
    (checkout / "figures").mkdir()
    registry = {"a": Claim("a", "", "ours", "law", 0.1, "", "01_good")}
    monkeypatch.setattr(ledger, "REGISTRY", registry)
    ledger.write(checkout / "figures", [row("a", "01_good", 1.0)])

    def run(*_, **__):
        rows = [row("a", "01_good", 2.0)]
        ledger.write(checkout / "figures", rows)
        return [reproduce.Outcome("01_good", rows, None, 1.0)], checkout / "figures"

    monkeypatch.setattr(reproduce, "run", run)
    assert __main__.main(["reproduce", "01"]) == 1
    assert "a: refuted, committed as confirmed" in capsys.readouterr().out
    assert __main__.main(["reproduce", "01"]) == 0
    assert "every verdict is the committed one" in capsys.readouterr().out
    registry["a"] = registry["a"]._replace(margin=3.0)  # another contract, which the old verdict says nothing of
    outcome = reproduce.Outcome("01_good", [row("a", "01_good", 2.0, margin=3.0)], None, 1.0)
    monkeypatch.setattr(reproduce, "run", lambda *_, **__: ([outcome], checkout))
    assert __main__.main(["reproduce", "01"]) == 0


def test_readme_is_refreshed(checkout):
    (checkout / "figures").mkdir()
    rows = [row("a", "01_x", 1.0)]
    ledger.write(checkout / "figures", rows)
    reproduce._refresh_readme()
    assert (checkout / "README.md").read_text() == (
        f"# x\n<!-- ledger -->\n{ledger.counts(rows)}\n<!-- /ledger -->\n"
        f"<!-- verdicts -->\n{ledger.summary(rows)}<!-- /verdicts -->\n"
    )


@pytest.mark.parametrize(
    "arguments, words, code",
    [
        (["reproduce", "99"], "no notebook '99'", 1),
        (["nonsense"], "invalid choice", 1),
        (["reproduce", "--seed", "x"], "--seed must be a number, or later:1", 1),
        ([], "required", 1),
    ],
)
def test_bad_usage_is_one_line_without_a_traceback(arguments, words, code):
    result = subprocess.run([sys.executable, "-m", "rfcollapse", *arguments], capture_output=True, text=True)
    assert result.returncode == code
    assert words in result.stderr and "Traceback" not in result.stderr and not result.stdout
