"""What the suite claims, written down before it is run: the tables of registry.toml, one claim each."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Claim(NamedTuple):
    """One table of the registry."""

    id: str
    """Its name, for good."""
    statement: str
    """One sentence with its quantifiers: which data, which sizes, which rounds."""
    source: str
    """"paper" (Zhu et al., arXiv 2412.08175), a neighbour paper by name, or "ours"."""
    kind: str
    """"exact", "law", "bound" or "observation"; see `rfcollapse.claims.judge`."""
    margin: float | str
    """How far from the prediction a measurement may lie: a number in the unit, or "2 %" of the prediction."""
    unit: str
    """Of prediction, measurement and margin."""
    notebook: str
    """The one that records it, without suffix."""
    expected: str = "confirmed"
    """The verdict expected: as `judge` gives it."""
    runs: int = 1
    """The fewest independent runs that may stand behind a measurement."""
    law: str = ""
    """What predicts: "theory.dae:lifetime", module below rfcollapse and function, which the recording cell calls."""
    rival: str = ""
    """The alternative, by name ("no collapse", "geometric decay"), that the same measurement must refute."""
    evidence: str = ""
    """What does not count as evidence, where that matters."""
    recording: Sequence[str] = ()
    """What it is read from, where that is not measured in the notebook: a file of benchmarks/results, and its parts."""


def parse(text: str) -> dict[str, Claim]:
    """The claims of a registry.toml by id, in the order of the file; as of any commit, nothing is executed.

    Raises:
        ValueError: no TOML, or two claims of one id.
        TypeError: a claim that lacks a field, or has one too many.

    Example:
        >>> from rfcollapse.claims.registry import REGISTRY
        >>> REGISTRY["retained-golden"].notebook
        '03_real_data'
    """
    claims = {}
    for notebook, tables in tomllib.loads(text).items():
        for id, table in tables.items():
            if id in claims:
                raise ValueError(f"two claims are called {id!r}: in {claims[id].notebook} and in {notebook}")
            implied = {"margin": 0.0, "expected": "observed"} if table.get("kind") == "observation" else {}
            claims[id] = Claim(id=id, notebook=notebook, **implied | table)
    return claims


REGISTRY = parse(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
