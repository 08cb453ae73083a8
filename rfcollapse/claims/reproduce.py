"""Runs the notebooks from top to bottom, and refreshes what they say: their outputs, the figures and the ledger.

A full run at seed 0 refreshes notebooks/, figures/ and the counts and the table in README.md. A trial (`quick`, or
another seed) leaves those alone and writes to runs/; but the verdicts on a seed that the registry's last commit draws
are kept in benchmarks/results/repeats.json, and counted. The first three functions are for the notebooks themselves.
"""

import asyncio
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import jax
from tqdm import tqdm

from .. import check
from ..learn import devices
from ..output import FIGURES, as_json, replace
from . import LEDGER, QUICK, RECORDINGS, Row, ledger, repeats
from .history import among
from .ledger import ROOT

SEED = "RFCOLLAPSE_SEED"
CELL_TIMEOUT = 900  # seconds
LONGEST_FIRST = ("06", "07", "11", "10", "03", "04", "02")
MERGING = threading.Lock()  # of one ledger by several notebooks
SOLUTION = re.compile(r"```python\n(.*?)```", re.DOTALL)


def key() -> jax.Array:
    """The random key of this run: of seed 0, or of the seed that `reproduce --seed` gave.

    Example:
        >>> from rfcollapse.claims import reproduce
        >>> reproduce.key().shape
        ()
    """
    return devices.key(int(os.environ.get(SEED, "0")))


def size(full: int, quick: int) -> int:
    """How many (samples, seeds, steps) to take: `full`, or `quick` under `reproduce --quick`.

    Example:
        >>> from rfcollapse.claims import reproduce
        >>> reproduce.size(1000, quick=10)
        1000
    """
    return quick if os.environ.get(QUICK) else full


def recording(name: str) -> dict:
    """The parts of a file in benchmarks/results: as this run's seed has repeated them, the others as committed.

    `record` knows which claims are read from others (their `recording` in the registry), and leaves those out.

    Example:
        >>> from rfcollapse.claims import reproduce
        >>> "result" in reproduce.recording("reflow_cpu.json")["dimension"]
        True
    """
    committed = repeats.results(ROOT, 0)
    return json.loads((committed / name).read_text()) | repeats.read(Path(os.environ.get(RECORDINGS, committed), name))


class Outcome(NamedTuple):
    """What became of one notebook."""

    notebook: str
    """Its name."""
    rows: list[Row]
    """What it has recorded."""
    error: str | None
    """Why it failed; None where it did not."""
    seconds: float
    """That it took."""
    unrepeated: Sequence[str] = ()
    """The claims of which a run with another seed says nothing, for their numbers are those of seed 0."""
    kept: bool = False
    """Whether its verdicts were added to repeats.json."""


def names() -> list[str]:
    """The notebooks of this checkout, in order; ValueError where there is none (the package was installed alone)."""
    found = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    if not found:
        raise ValueError(f"no notebooks beside the package in {ROOT}: run from a clone of the repository")
    return found


def chosen(wanted: list[str]) -> list[str]:
    """The notebooks meant by names, numbers (`02`) or paths; all of them where none is named."""
    known, picked = names(), set()
    for word in wanted:
        stem = Path(word).stem
        fits = [name for name in known if name == stem or name.split("_")[0] == stem.zfill(2)]
        if not fits:
            raise ValueError(f"no notebook {word!r}; there are {', '.join(known)}")
        picked.update(fits)
    return [name for name in known if name in picked] if wanted else known


def duration(name: str) -> int:
    """The place of a notebook in the order of running: the longest first, for one that starts last is waited for."""
    number = name.split("_")[0]
    return LONGEST_FIRST.index(number) if number in LONGEST_FIRST else len(LONGEST_FIRST)


def run(wanted: list[str], *, quick: bool = False, seed: int = 0, jobs: int = 2) -> tuple[list[Outcome], Path]:
    """Executes notebooks, several at once; a failure in one does not stop the others.

    Args:
        wanted: as `chosen` takes them.
        quick: smaller sizes; a trial.
        seed: of all random keys, from 0 to 2⁶³ − 1; other than 0, a trial.
        jobs: notebooks at once, ≥ 1. Their numbers do not depend on it.

    Returns:
        An outcome per notebook, and the folder that holds claims.json.
    """
    picked, jobs = chosen(wanted), check.integer("--jobs", jobs, 1)
    seed = check.integer("--seed", seed, 0, devices.LARGEST_SEED)
    trial = quick or seed != 0
    target = ROOT / "runs" / (f"seed-{seed}" + ("-quick" if quick else "")) if trial else ROOT
    for folder in ("notebooks", "figures"):
        (target / folder).mkdir(parents=True, exist_ok=True)
    bar = tqdm(total=len(picked), desc="notebooks", unit="notebook", position=0)
    with bar, ThreadPoolExecutor(jobs) as pool:
        running = {name: pool.submit(_one, name, target, quick, seed) for name in sorted(picked, key=duration)}
        try:
            for _ in as_completed(running.values()):
                bar.update()
        except KeyboardInterrupt:  # the kernels hear of it themselves
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    outcomes = [_result(name, running[name]) for name in picked]
    if not trial or any(outcome.kept for outcome in outcomes):
        _refresh_readme()
    return outcomes, target / "figures"


def _result(name, running):
    """A notebook that cannot be read, or a full disk, takes nothing from the others either."""
    try:
        return running.result()
    except (OSError, ValueError) as error:
        return Outcome(name, [], " ".join(str(error).split()), 0.0)


def _one(name: str, target: Path, quick: bool, seed: int) -> Outcome:
    try:
        import ipykernel  # noqa: F401
        import nbformat
        from jupyter_client import AsyncKernelManager
        from jupyter_client.kernelspec import KernelSpecManager
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    except ImportError:
        raise ImportError("running notebooks needs Jupyter: pip install rfcollapse[notebooks]") from None
    source = ROOT / "notebooks" / f"{name}.ipynb"
    notebook = nbformat.read(source, as_version=4)
    visible = len(notebook.cells)
    notebook.cells += [nbformat.v4.new_code_cell(solution) for solution in solutions(notebook)]
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    commit, started = None if quick else repeats.repeated(ROOT, seed), time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, tqdm(total=cells, desc=name, unit="cell", leave=False) as progress:
        # Figures and rows of a notebook that fails half-way must not replace good ones.
        environment = {LEDGER: scratch, FIGURES: scratch, SEED: str(seed), QUICK: "1" if quick else ""}
        environment[RECORDINGS] = str(repeats.results(ROOT, seed))
        # The kernel is this Python's, whatever kernels, start-up files and backends somebody has installed or named.
        environment |= {"IPYTHONDIR": scratch, "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
        client = NotebookClient(
            notebook,
            km=AsyncKernelManager(kernel_spec_manager=KernelSpecManager(kernel_dirs=[])),
            timeout=CELL_TIMEOUT,
            # The kernel's own warnings (of its transport, say) would run into the progress bar.
            extra_arguments=["--IPKernelApp.log_level=40"],
            resources={"metadata": {"path": str(source.parent)}},
            record_timing=False,
            coalesce_streams=True,  # where the kernel happens to part its lines means nothing
            on_cell_executed=lambda cell, **_: progress.update(),
        )
        error = None
        try:
            asyncio.run(client.async_execute(env=os.environ | environment, cleanup_kc=True))
        except CellExecutionError as failure:
            error = f"{failure.ename}: {failure.evalue}"
        except CellTimeoutError:
            error = f"a cell took more than {CELL_TIMEOUT} s"
        except (DeadKernelError, AssertionError):  # nbclient's clean-up asserts that there still is a kernel
            error = "its kernel died (out of memory?)"
        except (RuntimeError, OSError) as failure:
            error = f"its kernel did not start ({sys.executable} -m ipykernel_launcher: {failure})"
        seconds = time.monotonic() - started
        if error:
            outputs = ((i, output) for i, cell in enumerate(notebook.cells) for output in cell.get("outputs", []))
            failed = next((i for i, output in outputs if output.output_type == "error"), None)
            return Outcome(name, [], error if failed is None else f"cell {failed}: {error}", seconds)
        notebook.cells = notebook.cells[:visible]
        # The interpreter's version would differ between machines without meaning anything.
        notebook.metadata["language_info"] = {"name": "python"}
        nbformat.write(notebook, target / "notebooks" / f"{name}.ipynb")
        for picture in Path(scratch).glob("*.png"):
            shutil.copyfile(picture, target / "figures" / picture.name)
        with MERGING:
            rows = ledger.merge(target / "figures", name, Path(scratch) / f"{name}.jsonl")
            unrepeated = _unrepeated(name, rows, seed) if seed else ()
            if kept := commit is not None and commit == repeats.repeated(ROOT, seed):
                repeats.keep(ROOT, seed, commit, name, [row for row in rows if row.id not in unrepeated])
    return Outcome(name, rows, None, seconds, unrepeated, kept)


def _committed() -> dict[str, Row]:
    path = ROOT / "figures" / "claims.json"
    return {row.id: row for row in ledger.read(path)} if path.exists() else {}


def _unrepeated(name: str, rows: list[Row], seed: int) -> list[str]:
    """As in `Outcome`: the recording is not there, nothing was random, or a cell did not ask for the seed."""
    before, own = _committed(), [claim for claim in ledger.REGISTRY.values() if claim.notebook == name]
    lacking = [claim.id for claim in own if repeats.lacks(claim, repeats.results(ROOT, seed))]
    known = (row for row in rows if row.id in before and row.form != "hits")  # chance may hit as often
    return lacking + [row.id for row in known if among(row._asdict(), [before[row.id]._asdict()], ("measurement",))]


def solutions(notebook) -> list[str]:
    """The folded solutions of the exercises: code that asserts, run after the notebook and not kept in it."""
    return SOLUTION.findall(notebook.cells[-1].source)


def problems(outcomes: list[Outcome], before: dict[str, str], *, quick: bool = False) -> list[str]:
    """What must not pass: failed notebooks, other verdicts than before, and what `ledger.problems` finds.

    `before` has the committed verdicts by id, of claims that were judged as they are registered now. Under `quick` an
    inconclusive one passes: fewer runs may not be able to decide.
    """
    found = [f"{outcome.notebook} failed, {outcome.error}" for outcome in outcomes if outcome.error]
    rows = [row for outcome in outcomes for row in outcome.rows]
    for row in rows:
        if row.verdict not in (before.get(row.id, row.verdict), "inconclusive" if quick else None):
            found.append(f"{row.id}: {row.verdict}, committed as {before[row.id]}")
    notebooks = {outcome.notebook for outcome in outcomes if not outcome.error}
    excused = [id for outcome in outcomes for id in outcome.unrepeated]
    return found + ledger.problems(rows, notebooks, quick=quick, excused=excused)


def _refresh_readme():
    readme, path = ROOT / "README.md", ROOT / "figures" / "claims.json"
    if not path.exists():  # every notebook so far has failed
        return
    rows, text = ledger.tell(path.parent), readme.read_text(encoding="utf-8")
    for name, fresh in (("ledger", ledger.counts(rows) + "\n"), ("verdicts", ledger.summary(rows))):
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = marked.sub(lambda match, fresh=fresh: match[1] + fresh + match[2], text)
    replace(readme, text)


def add_options(command):
    """The options of `rfcollapse reproduce`."""
    command.add_argument("notebook", nargs="*", help="a name, number (02) or path; all where none is given")
    command.add_argument("--quick", action="store_true", help="smaller sizes, written to runs/ (nothing is refreshed)")
    words = "another seed, written to runs/; later:1 and later:2, which the registry's last commit draws, are kept, too"
    command.add_argument("--seed", default="0", help=words)
    command.add_argument("--jobs", type=int, default=2, metavar="N", help="notebooks at once (%(default)s)")
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, and nothing else")


def command(options) -> int:
    """`rfcollapse reproduce`: runs notebooks and prints their verdicts; returns the exit code."""
    seed, before = repeats.seed(options.seed, ROOT), {}
    for id, row in _committed().items():
        if id in ledger.REGISTRY and not ledger.differences(row):
            before[id] = row.verdict
    if not options.quick and seed in repeats.later(ROOT) and not repeats.repeated(ROOT, seed):
        print("not kept in repeats.json: package, registry or notebooks are not as committed", file=sys.stderr)
    outcomes, folder = run(options.notebook, quick=options.quick, seed=seed, jobs=options.jobs)
    rows = [row for outcome in outcomes for row in outcome.rows]
    found = problems(outcomes, before, quick=options.quick)
    wrong = problems(outcomes, {}, quick=options.quick) if seed else found  # another verdict is then no fault
    differ = [line for line in found if line not in wrong]
    unrepeated = [id for outcome in outcomes for id in outcome.unrepeated]
    if options.json:
        times = {outcome.notebook: round(outcome.seconds, 1) for outcome in outcomes}
        claims = {"claims": [row._asdict() for row in rows], "differ": differ, "unrepeated": unrepeated}
        print(as_json(claims | {"seconds": times, "problems": wrong}))
    else:
        print(ledger.verdicts(rows))
        for outcome in outcomes:
            state = "failed" if outcome.error else "kept in repeats.json, done" if outcome.kept else "done"
            print(f"{outcome.notebook}: {state} in {outcome.seconds:.0f} s")
        print(f"written to {folder}")
        print(f"not repeated, for their numbers are those of seed 0: {', '.join(unrepeated) or 'none'}" if seed else "")
        print("\n".join(wrong + differ) or "every verdict is the committed one")
    return 1 if wrong else 0
