"""The explorable page: one HTML file that needs nothing else, built from the package's own numbers.

Tables (the digits and their spectrum, the contours of the lifetime, the schemes) are made here and embedded. What must
follow a slider is computed by laws.js, whose functions the tests compare with `rfcollapse.theory` in a browser.
"""

import html
import json
import re
from pathlib import Path

import numpy as np

from rfcollapse import data
from rfcollapse.claims import ledger
from rfcollapse.schemes import SCHEMES
from rfcollapse.theory import dae

TEMPLATES = Path(__file__).parent
LIVES = (1, 3, 10, 30, 100, 300)  # rounds, contours of the phase diagram
BISECTIONS = 45
LARGEST = 1e4  # of u0; no contour drawn rises above it


def build() -> str:
    """The page as HTML: page.html with its style, scripts, claims and tables filled in."""
    page = (TEMPLATES / "page.html").read_text()
    page = re.sub(r"\{\{claims ([\w -]+)\}\}", lambda found: _claims(found[1].split()), page)
    schemes = {name: scheme._asdict() for name, scheme in SCHEMES.items()}
    tables = {"digits": digit_table(), "contours": contour_table(), "schemes": schemes}
    page = page.replace("{{data}}", json.dumps(tables, separators=(",", ":")).replace("</", "<\\/"))
    return re.sub(r"\{\{(\w+\.\w+)\}\}", lambda found: (TEMPLATES / found[1]).read_text().strip(), page)


def write(path: Path) -> int:
    """Writes the page, making its folder; returns the number of bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.write_bytes(build().encode())


def digit_table() -> dict:
    """The digits in their principal directions, the strongest first.

    Returns:
        spectrum: λ_i, those above rounding; directions: unit vectors, (k, 64); mean and scale: an image is
        mean + scale · Σ x_i direction_i; images: x of the first image of each class 0 … 9, (10, k).
    """
    digits = data.digits()
    samples, labels = np.asarray(digits.samples), np.asarray(digits.labels)
    variances, vectors = np.linalg.eigh(samples.T @ samples / len(samples))
    kept = variances[::-1] > 1e-9 * variances[-1]
    spectrum, directions = variances[::-1][kept], vectors.T[::-1][kept]
    # An eigenvector's sign is an accident of the library: the largest entry is made positive.
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    directions = directions * np.sign(largest)
    images = samples[[int(np.argmax(labels == digit)) for digit in range(10)]] @ directions.T
    return {
        "spectrum": [float(f"{value:.12g}") for value in spectrum],
        "directions": np.round(directions, 4).tolist(),
        "mean": np.round(np.asarray(digits.mean), 5).tolist(),
        "scale": round(float(digits.scale), 6),
        "images": np.round(images, 4).tolist(),
    }


def contour_table() -> dict:
    """The largest u0 = λ0/σ² that is at or below the noise after so many rounds without real data, for ρ from 0 to 4.

    Returns:
        rho: ρ = s²/σ²; rounds: see `LIVES`; variance: u0, one row for each number of rounds.
    """
    rho = np.round(np.arange(81) * 0.05, 2)

    def contour(rounds):
        low, high = np.zeros_like(rho), np.full_like(rho, np.log(LARGEST))
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            # A run that grows is above the noise as well: u stays below 1 once it is there, and rises above u* > 1.
            end = dae.trajectory(np.exp(middle), 1.0, rounds, resample_std=rho**0.5)[-1]
            dead = np.asarray(end) <= 1
            low, high = np.where(dead, middle, low), np.where(dead, high, middle)
        return [float(f"{value:.10g}") for value in np.exp(low)]

    return {"rho": rho.tolist(), "rounds": list(LIVES), "variance": [contour(rounds) for rounds in LIVES]}


def _claims(ids):
    """Claims of the ledger as a list: the statement, where it is checked, and the verdict."""
    items, rows = [], {row.id: row for row in ledger.read(ledger.ROOT / "figures" / "claims.json")}
    for id in ids:
        where = f"notebook {rows[id].notebook[:2]}, {rows[id].verdict}"
        statement = re.sub("`(.+?)`", r"<code>\1</code>", html.escape(rows[id].statement))
        items.append(f"<li>{statement} (<code>{id}</code>, {where})</li>")
    return f"<ul>{''.join(items)}</ul>"


def add_options(command):
    """The options of `rfcollapse page`."""
    default = Path("build/page/rfcollapse.html")
    command.add_argument("--out", type=Path, metavar="FILE", default=default, help="where to write it (%(default)s)")


def command(options) -> int:
    """`rfcollapse page`: writes the page; returns the exit code."""
    print(f"written to {options.out} ({write(options.out) / 1000:.0f} kB)")
    return 0
