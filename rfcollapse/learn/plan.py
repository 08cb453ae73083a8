"""The plan of a training run: every setting declared once, with its default, its range and what it is.

The string under a field is its help on the command line, too (`rfcollapse.runs.plan`).
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field

import optax

from .. import check
from ..schemes import OWN_KINDS, REAL_KINDS, SCHEMES, STOCHASTIC, Scheme
from ..settings import Checked, choice, grid, number, whole
from . import integrate
from .integrate import Integrator, Steps
from .velocity import NETS, PARAMETRISATIONS

MIXING = ("batch", "offline")
OPTIMIZERS = {"adam": optax.adam, "adamw": optax.adamw, "lion": optax.lion}


@dataclass(frozen=True)
class Training(Checked):
    """How the net of one round is trained; whatever is changed here is compiled anew.

    Example:
        >>> from rfcollapse.learn.plan import Training
        >>> Training.usual("unet", steps=1000).learning_rate
        0.002
    """

    steps: int = whole(1, 2000)
    """of training in a round, a multiple of chunk"""
    batch: int = whole(1, 128)
    """pairs in a step of training"""
    learning_rate: float = number(check.positive, 5e-3)
    """at its peak, reached after a twentieth of the steps; from there a cosine to 0"""
    average: float = number(check.fraction, 0.999)
    """decay of the moving average of the weights, which training returns; at step k min(average, (1+k)/(10+k))"""
    chunk: int = whole(1, 200)
    """steps between two looks at the losses, and two refreshments of ora"""
    precision: str = choice(("float32", "bfloat16"), "float32")
    """of the net and its gradients in training; weights, optimizer and loss are float32, whose products a GPU makes
    in TF32 unless JAX_DEFAULT_MATMUL_PRECISION=highest"""
    shards: int = whole(1, 1)
    """devices that share the batches of a seed, in equal parts, and its samples"""
    optimizer: str = choice(OPTIMIZERS, "adam")
    """optax's of that name"""
    weight_decay: float = number(check.nonnegative, 0.0)
    """part of the weights taken off in a step, times the learning rate; adam has none"""

    def __post_init__(self):
        super().__post_init__()
        if self.batch % self.shards:
            raise ValueError(f"batch must be a multiple of shards = {self.shards}; got {self.batch}")
        if self.steps % self.chunk:
            raise ValueError(f"steps must be a multiple of chunk = {self.chunk}; got {self.steps}")
        if self.weight_decay and self.optimizer == "adam":
            raise ValueError(f"weight_decay must be 0 for 'adam', unlike 'adamw'; got {self.weight_decay}")

    @classmethod
    def usual(cls, model: str, **changed) -> "Training":
        """As a kind of model, "linear", "mlp" or "unet", needs it, but for what is changed.

        A chunk has no more steps than there are.
        """
        settings = {"steps": cls.steps, "chunk": cls.chunk} | TRAINING[model]
        settings |= {"chunk": min(settings["chunk"], changed.get("steps", settings["steps"]))}
        return cls(**settings | changed)


TRAINING = {
    "linear": {"steps": 1000, "batch": 1024, "learning_rate": 0.01, "chunk": 100},
    "mlp": {},
    "unet": {"learning_rate": 2e-3},
}


@dataclass(frozen=True, kw_only=True)
class Plan(Checked):
    """What the rounds of a run are; from here its settings go as one to the pairs, the training and the record."""

    scheme: str = choice(SCHEMES)
    """which noise belongs to which sample"""
    rounds: int = whole(0)
    """rounds after the first model"""
    real_fraction: float = number(check.fraction, 0.0)
    """part of the pairs that is real data, from 0 to 1; of no effect on schemes without"""
    ridge: float = number(check.nonnegative, 0.0)
    """variance of the noise on the input in training, from round 1 on"""
    first_ridge: float = number(check.nonnegative, 0.0)
    """the same in round 0"""
    seeds: int = whole(1, 8)
    """independent runs, side by side, spread over the devices"""
    model: str = choice(NETS, "mlp")
    """network"""
    parametrisation: str = choice(PARAMETRISATIONS, "velocity")
    """what the network returns"""
    warm_start: bool = False
    """start each round from the weights of the last"""
    mixing: str = choice(MIXING, "batch")
    """real pairs replace own ones sample by sample (batch), or in a set put together once a round (offline)"""
    pairs: int = whole(1, 8192)
    """own samples made in a round"""
    diffusion: float = number(check.nonnegative, 0.5)
    """strength of the noise in the reverse SDE of oras, scored_oras and naive_oras"""
    steps: Steps | tuple[float, ...] = grid(40)
    """of sampling and inversion: their number, or in Python a grid of times; of no effect on the method adaptive"""
    method: str = choice(integrate.METHODS, "heun")
    """of sampling and inversion; a denoiser needs euler"""
    at_once: int = whole(1, 2048)
    """samples integrated at once, which bounds the memory"""
    probes: int = whole(1, 2048)
    """generated samples that are measured, at least d"""
    options: Mapping = field(default_factory=dict)
    """of the network's constructor: width, …"""
    training: Training | None = None
    """None: as `Training.usual` says for the model"""

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "options", dict(self.options))
        object.__setattr__(self, "training", self.training or Training.usual(self.model))
        known = inspect.signature(NETS[self.model].__init__).parameters.keys() - {"self", "dimension", "key"}
        if unknown := self.options.keys() - known:
            known, unknown = (", ".join(sorted(names)) for names in (known, unknown))
            raise ValueError(f"options of the model {self.model!r} are {known}; got {unknown}")
        if self.parametrisation == "denoiser" and self.method != "euler":
            raise ValueError(
                f"method must be 'euler' for a denoiser, which has no velocity at t = 1; got {self.method!r}"
            )
        check.one_of(f"own noise of {self.scheme!r}", self.recipe.own, OWN_KINDS)
        check.one_of(f"real noise of {self.scheme!r}", self.recipe.real, (None, *REAL_KINDS))
        if self.recipe.refreshed and self.recipe.real != "inverted":
            raise ValueError(f"only inverted real noise can be refreshed; {self.scheme!r} has {self.recipe.real!r}")
        if self.recipe.real in STOCHASTIC and self.method == "adaptive":
            raise ValueError("method must be 'euler' or 'heun' for the reverse SDE; got 'adaptive'")

    @property
    def recipe(self) -> Scheme:
        """The scheme's row of `rfcollapse.schemes`."""
        return SCHEMES[self.scheme]

    @property
    def integrator(self) -> Integrator:
        """How models are sampled and inverted."""
        return Integrator(self.steps, self.method, self.at_once, self.training.shards)
