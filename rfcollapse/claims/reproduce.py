"""Runs the notebooks from top to bottom, and refreshes what they say: their outputs, the figures and the ledger.

A full run at seed 0 refreshes notebooks/, figures/ and the counts and the table in README.md. A trial (`quick`, or
another seed) leaves those alone and writes to runs/. The first two functions are for the notebooks themselves.
"""

import asyncio
import json
import os
import re
import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import jax
from tqdm import tqdm

from .. import check
from ..output import FIGURES
from . import LEDGER, QUICK, Row, ledger
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
    return jax.random.key(int(os.environ.get(SEED, "0")))


def size(full: int, quick: int) -> int:
    """How many (samples, seeds, steps) to take: `full`, or `quick` under `reproduce --quick`.

    Example:
        >>> from rfcollapse.claims import reproduce
        >>> reproduce.size(1000, quick=10)
        1000
    """
    return quick if os.environ.get(QUICK) else full


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
        seed: of all random keys; other than 0, a trial.
        jobs: notebooks at once, ≥ 1. Their numbers do not depend on it.

    Returns:
        An outcome per notebook, and the folder that holds claims.json.
    """
    picked = chosen(wanted)
    trial = quick or seed != 0
    target = ROOT / "runs" / (f"seed-{seed}" + ("-quick" if quick else "")) if trial else ROOT
    for folder in ("notebooks", "figures"):
        (target / folder).mkdir(parents=True, exist_ok=True)
    bar = tqdm(total=len(picked), desc="notebooks", unit="notebook", position=0)
    with bar, ThreadPoolExecutor(check.integer("--jobs", jobs, 1)) as pool:
        running = {name: pool.submit(_one, name, target, quick, seed) for name in sorted(picked, key=duration)}
        try:
            for _ in as_completed(running.values()):
                bar.update()
        except KeyboardInterrupt:  # the kernels hear of it themselves
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if not trial:
        _refresh_readme()
    return [running[name].result() for name in picked], target / "figures"


def _one(name: str, target: Path, quick: bool, seed: int) -> Outcome:
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError, CellTimeoutError
    except ImportError:
        raise ValueError("running notebooks needs Jupyter: pip install rfcollapse[notebooks]") from None
    source = ROOT / "notebooks" / f"{name}.ipynb"
    notebook = nbformat.read(source, as_version=4)
    visible = len(notebook.cells)
    notebook.cells += [nbformat.v4.new_code_cell(solution) for solution in solutions(notebook)]
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, tqdm(total=cells, desc=name, unit="cell", leave=False) as progress:
        # Figures and rows of a notebook that fails half-way must not replace good ones.
        environment = {LEDGER: scratch, FIGURES: scratch, SEED: str(seed), QUICK: "1" if quick else ""}
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT,
            kernel_name="python3",
            # The kernel's own warnings (of its transport, say) would run into the progress bar.
            extra_arguments=["--IPKernelApp.log_level=40"],
            resources={"metadata": {"path": str(source.parent)}},
            record_timing=False,
            coalesce_streams=True,  # where the kernel happens to part its lines means nothing
            on_cell_executed=lambda cell, **_: progress.update(),
        )
        error = None
        try:
            asyncio.run(client.async_execute(env=os.environ | environment))
        except CellExecutionError as failure:
            error = f"{failure.ename}: {failure.evalue}"
        except CellTimeoutError:
            error = f"a cell took more than {CELL_TIMEOUT} s"
        except (RuntimeError, AssertionError):  # nbclient's clean-up asserts that there still is a kernel
            error = "its kernel died, or did not start (out of memory?)"
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
    return Outcome(name, rows, None, seconds)


def solutions(notebook) -> list[str]:
    """The folded solutions of the exercises: code that asserts, run after the notebook and not kept in it."""
    return SOLUTION.findall(notebook.cells[-1].source)


def problems(outcomes: list[Outcome], before: dict[str, str], *, quick: bool = False) -> list[str]:
    """What must not pass: failed notebooks, other verdicts than before, and what `ledger.problems` finds.

    `before` has the committed verdicts by id. Under `quick` an inconclusive one passes: fewer runs may not be able to
    decide.
    """
    found = [f"{outcome.notebook} failed, {outcome.error}" for outcome in outcomes if outcome.error]
    rows = [row for outcome in outcomes for row in outcome.rows]
    for row in rows:
        if row.verdict not in (before.get(row.id, row.verdict), "inconclusive" if quick else None):
            found.append(f"{row.id}: {row.verdict}, committed as {before[row.id]}")
    return found + ledger.problems(rows, {outcome.notebook for outcome in outcomes if not outcome.error}, quick=quick)


def _refresh_readme():
    readme, path = ROOT / "README.md", ROOT / "figures" / "claims.json"
    if not path.exists():  # every notebook so far has failed
        return
    rows, text = ledger.tell(path.parent), readme.read_text()
    for name, fresh in (("ledger", ledger.counts(rows) + "\n"), ("verdicts", ledger.summary(rows))):
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = marked.sub(lambda match, fresh=fresh: match[1] + fresh + match[2], text)
    readme.write_text(text)


def add_options(command):
    """The options of `rfcollapse reproduce`."""
    command.add_argument("notebook", nargs="*", help="a name, number (02) or path; all where none is given")
    command.add_argument("--quick", action="store_true", help="smaller sizes, written to runs/ (nothing is refreshed)")
    command.add_argument("--seed", type=int, default=0, help="another seed, written to runs/ (nothing is refreshed)")
    command.add_argument("--jobs", type=int, default=2, metavar="N", help="notebooks at once (%(default)s)")
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, and nothing else")


def command(options) -> int:
    """`rfcollapse reproduce`: runs notebooks and prints their verdicts; returns the exit code."""
    path = ROOT / "figures" / "claims.json"
    before = {row.id: row.verdict for row in ledger.read(path)} if path.exists() else {}
    outcomes, folder = run(options.notebook, quick=options.quick, seed=options.seed, jobs=options.jobs)
    wrong = problems(outcomes, before, quick=options.quick)
    rows = [row for outcome in outcomes for row in outcome.rows]
    if options.json:
        times = {outcome.notebook: round(outcome.seconds, 1) for outcome in outcomes}
        print(json.dumps({"claims": [row._asdict() for row in rows], "seconds": times, "problems": wrong}))
    else:
        print(ledger.verdicts(rows))
        for outcome in outcomes:
            print(f"{outcome.notebook}: {'failed' if outcome.error else 'done'} in {outcome.seconds:.0f} s")
        print(f"written to {folder}")
        print("\n".join(["", *wrong]) if wrong else "every verdict is the committed one")
    return 1 if wrong else 0
