"""The plan of a run on disk, and the command line's options, which are its fields."""

import argparse
import ast
import hashlib
import inspect
import re
from dataclasses import MISSING, dataclass, field, fields
from itertools import pairwise
from typing import get_args

from ..data import DATA_HELP
from ..learn.devices import LARGEST_SEED
from ..learn.plan import Plan, Training
from ..settings import whole

NETWORK = {
    "width": "of the hidden layers of an MLP (its own)",
    "channels": "of a U-Net at its finest, a multiple of 8 (its own)",
}
LONGEST, NAMED = 120, ("data", "scheme", "seed", "rounds")  # bytes of a folder's name, and what is no setting in it


@dataclass(frozen=True, kw_only=True)
class RunPlan(Plan):
    """What a run on disk is: a plan of training, and what it is trained on.

    Example:
        >>> from rfcollapse.runs.plan import RunPlan
        >>> RunPlan(data="digits", scheme="ra", rounds=3, real_fraction=0.3).training.steps
        2000
    """

    data: str = field(metadata={"help": DATA_HELP})
    """what `rfcollapse.data.find` understands"""
    seed: int = whole(0, 0, LARGEST_SEED)
    """of all random numbers"""
    samples: int = whole(1, 8192)
    """real samples a seed, where they are drawn"""


OWN = {one.name: one for one in fields(RunPlan) if one.name not in ("options", "training")}
TRAINING = {f"training_{one.name}" if one.name in OWN else one.name: one for one in fields(Training)}


def add_options(command: argparse.ArgumentParser):
    """An option for each field of the plan and of its training, and for what is most often asked of a network."""
    words = _strings(Plan) | _strings(RunPlan)
    for name, one in OWN.items():
        default = {"required": True} if one.default is MISSING else {"default": one.default}
        shown = "" if one.default is MISSING or one.type is bool else f" ({one.default})"
        _add(command, name, one, one.metadata.get("help", words[name]) + shown, **default)
    words = _strings(Training)
    for name, one in TRAINING.items():
        _add(command, name, one, f"{words[one.name]} (by model)")
    for name, text in NETWORK.items():
        command.add_argument(f"--{name}", type=int, help=text)


def read_options(options: argparse.Namespace) -> RunPlan:
    """The plan that the options of the command line make."""
    training = {one.name: getattr(options, name) for name, one in TRAINING.items()}
    network = {name: getattr(options, name) for name in NETWORK}
    training, network = ({k: v for k, v in part.items() if v is not None} for part in (training, network))
    own = {name: getattr(options, name) for name in OWN}
    return RunPlan(**own, options=network, training=Training.usual(options.model, **training))


def folder_name(plan: RunPlan) -> str:
    """Data, scheme and seed, and what is not as it usually is; the rounds aside, for more of them may be added.

    Example:
        >>> from rfcollapse.runs.plan import RunPlan, folder_name
        >>> folder_name(RunPlan(data="digits", scheme="ra", rounds=3, real_fraction=0.3, options={"width": 64}))
        'reflow-digits-ra-0-real_fraction=0.3-width=64'
    """
    own = {name: (getattr(plan, name), one.default) for name, one in OWN.items() if name not in NAMED}
    usual, used = Training.usual(plan.model), plan.training
    own |= {name: (getattr(used, one.name), getattr(usual, one.name)) for name, one in TRAINING.items()}
    changed = {name: value for name, (value, default) in own.items() if value != default} | plan.options
    settings = (f"{name}={value}" for name, value in changed.items())
    said = "-".join(["reflow", plan.data, plan.scheme, str(plan.seed), *settings])
    name = re.sub(r"[^\w.,=+-]+", "_", said).encode(errors="replace")
    digest = hashlib.sha256(said.encode(errors="backslashreplace")).hexdigest()[:10]
    return name.decode() if len(name) <= LONGEST else f"{name[:80].decode(errors='ignore')}-{digest}"


def _add(command, name, one, text, **default):
    kind = {"type": (get_args(one.type) or (one.type,))[0], "choices": one.metadata.get("choices")} | default
    kind = {"action": "store_true"} if one.type is bool else kind
    command.add_argument(f"--{name.replace('_', '-')}", help=text.replace("%", "%%"), **kind)


def _strings(settings):
    """The string under each field of a dataclass."""
    statements = ast.parse(inspect.getsource(settings)).body[0].body
    return {
        one.target.id: " ".join(text.value.value.split())
        for one, text in pairwise(statements)
        if isinstance(one, ast.AnnAssign)
    }
