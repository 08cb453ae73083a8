"""Ways in which self-training loses variance, a class each: one round, direction by direction, and its command line.

A round is trained on own data (λ) and a fraction α of real data (λ0), and changes nothing but the variance of each
principal direction. What follows from that one round is in `retention`, and is reached from here, too. A new mechanism
is a frozen dataclass, a `Mechanism` whose fields are made by `option`, entered into `MECHANISMS`.
"""

import abc
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import partial
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from .. import check
from ..schemes import SCHEMES, mixed
from ..theory import dae as dae_law
from ..theory import flow as flow_law
from .retention import required_fraction, retained, share, total_share, trajectory  # noqa: F401
from .samples import Samples, Spectrum
from .shapes import Shapes, shapes

SEVERAL = partial(check.integer, minimum=2)
A_SCHEME = partial(check.one_of, allowed=SCHEMES)


def option(flag: str, metavar: str, help: str, accept: Callable, *, kind: type = float, default=MISSING, shared=False):
    """A field of a mechanism, and its option on the command line.

    Args:
        flag: e.g. "--noise-std".
        metavar, help: as argparse has them.
        accept: (name, value) → the value, or ValueError: a function of `check`.
        kind: type of the value.
        default: none: the option that names the mechanism, which comes first.
        shared: the option has another use as well, and names the mechanism only where no other option names one.
    """
    metadata = {"flag": flag, "metavar": metavar, "help": help, "accept": accept, "type": kind, "shared": shared}
    return field(default=default, metadata=metadata)


class Mechanism(abc.ABC):
    """One way of self-training, its parameters fixed; equal ones are one and the same to what is compiled."""

    name: ClassVar[str]
    """In `MECHANISMS`."""
    assumes: ClassVar[str]
    """What must hold for its law to hold, in a sentence or two, with the names of its fields in braces."""
    end: ClassVar[str]
    """What `lifetime` counts the rounds to."""
    limit: ClassVar[Callable | None] = None
    """(λ0, α) → the variance that is kept in the end, where there is a closed form."""
    loss_law: ClassVar[bool] = False
    """Whether its rounds may lose what a fit's training loss says, see `losses.account`."""

    def __init_subclass__(cls):
        for law in {"one_round", "lifetime", "limit"} & vars(cls).keys():
            setattr(cls, law, check.in_float64(getattr(cls, law)))

    def __post_init__(self):
        for parameter in fields(self):
            accept, kind = parameter.metadata["accept"], parameter.metadata["type"]
            value = accept(_dest(parameter), getattr(self, parameter.name))
            object.__setattr__(self, parameter.name, kind(value))

    @property
    def assumptions(self) -> str:
        """What must hold for its law to hold."""
        return self.assumes.format(**asdict(self))

    def fitted(self, samples: Samples, spectrum: Spectrum) -> "Mechanism":
        """The same for data of the shape of these samples; itself, where shape makes no difference or none is known."""
        return self

    @property
    def shapeless(self) -> "Mechanism":
        """What was `fitted`."""
        return self

    def without(self, spectrum: Spectrum, fraction: float, *, every: int = 1):
        """Variances kept where each of the groups of rows is left out, and those groups' real ones, (groups, d)."""
        return retained(self, spectrum.without, fraction, every=every), spectrum.without

    @property
    def beyond(self) -> str:
        """What its answer means where the assumptions do not hold; empty where nothing is known."""
        return ""

    @abc.abstractmethod
    def one_round(self, variance, fraction, real):
        """(λ, α, λ0) → the variance of the next round."""

    @abc.abstractmethod
    def lifetime(self, real):
        """λ0 → rounds without real data until the end."""


@dataclass(frozen=True)
class Dae(Mechanism):
    """λ' = w²(m + s²), w = m/(m + σ²): a linear denoising autoencoder that passes its pool on (`theory.dae`).

    Example:
        >>> from rfcollapse.advice import mechanisms
        >>> print(mechanisms.Dae(1.0).one_round(1.0, 0.0, 1.0))
        0.5
    """

    noise_std: float = option("--noise-std", "S", "training noise σ, in units of the data", check.positive)
    """σ > 0, in the units of the data."""
    resample_std: float | None = option("--resample-std", "S", "generating noise (σ)", check.nonnegative, default=None)
    """s ≥ 0, likewise; None is σ."""

    name = "dae"
    assumes = (
        "a linear denoising autoencoder, fitted to its optimum on many samples with noise σ = {noise_std:g}; each "
        "round passes its training pool through it with noise s = {resample_std:g} (both in units of the data)"
    )
    end = "the noise outweighs the direction (λ ≤ σ²)"

    def __post_init__(self):
        if self.resample_std is None:
            object.__setattr__(self, "resample_std", self.noise_std)
        super().__post_init__()

    @property
    def loss_law(self):
        return self.resample_std == self.noise_std

    @property
    def beyond(self):
        if not self.loss_law:
            return ""
        return (
            "For the best denoiser of any data (the conditional mean) that passes its pool on so, what is kept here is "
            "a floor, by theorem: the less Gaussian the data, the less real data it may need"
        )

    def one_round(self, variance, fraction, real):
        law = {"resample_std": self.resample_std, "real_fraction": fraction, "real_variance": real}
        return dae_law.next_variance(variance, self.noise_std, **law)

    def lifetime(self, real):
        return dae_law.lifetime(real, self.noise_std, resample_std=self.resample_std)

    def limit(self, real, fraction):
        return dae_law.retained_variance(real, self.noise_std, fraction, resample_std=self.resample_std)


@dataclass(frozen=True)
class Flow(Mechanism):
    """λ' = g_N(m)²: a rectified flow trained on its own samples and sampled with N Euler steps (`theory.flow`).

    Example:
        >>> from rfcollapse.advice import mechanisms
        >>> print(mechanisms.Flow(2).one_round(1.0, 0.0, 1.0))  # two steps: g = ½
        0.25
    """

    steps: int = option("--steps", "N", "Euler steps", SEVERAL, kind=int)
    """N ≥ 2, uniform."""

    name = "flow"
    assumes = (
        "a rectified flow from N(0, 1), trained to its optimum on pairs of fresh noise and its own samples, sampled "
        "with {steps} uniform Euler steps; Gaussian directions, data in units of the flow's noise"
    )
    end = "its variance reaches zero, by the leading law in the number of steps"

    def one_round(self, variance, fraction, real):
        return flow_law.self_consuming_trajectory(mixed(variance, real, fraction), self.steps, 1)[1]

    def lifetime(self, real):
        return flow_law.self_consuming_lifetime(real, float(self.steps))

    def fitted(self, samples, spectrum):
        return ShapedFlow(self.steps, shapes(samples, spectrum, self))


class ShapedFlow(Flow):
    """λ' = λ0 h(g_N(m)²/λ0): `Flow` for samples that need not be Gaussian, h of their `shapes`; made by `Flow.fitted`.

    A law is known here by the variance that the Gaussian law would have in its place, m, h(λ/λ0) being its own. That is
    exact, as far as `shapes` is, in the first round and where rounds with real data in each of them settle. On the way
    without real data, and where they come now and then, shapes are others: there it is an estimate, mostly too low.

    Example:
        >>> from rfcollapse.advice import mechanisms, samples
        >>> table = samples.open_samples("gaussian:4")
        >>> spectrum = samples.spectrum(table)
        >>> law = mechanisms.Flow(3).fitted(table, spectrum)
        >>> law.shapeless == mechanisms.Flow(3)
        True
    """

    def __init__(self, steps: int, shapes: Shapes):
        super().__init__(steps)
        object.__setattr__(self, "shapes", shapes)

    __eq__, __hash__ = object.__eq__, object.__hash__  # samples are not compared

    @property
    def shapeless(self):
        return Flow(self.steps)

    @property
    def assumptions(self):
        k, d = len(self.shapes.law.mean), len(self.shapes.log_kept)
        said = self.assumes.replace("Gaussian directions, ", "").format(steps=self.steps)
        rest = f", Gaussian in the {d - k} others" if d > k else ""
        shape = f"shape: the marginals of {k} principal directions, smoothed and as if independent{rest}"
        return f"{said}; {shape}; an estimate where rounds go without real data"

    def one_round(self, variance, fraction, real):
        known = self.shapes
        there = real * known.gaussian(variance / real)
        return real * known.kept(super().one_round(there, fraction, real) / real)

    def limit(self, real, fraction):
        return real * self.shapes.kept(retained(self.shapeless, real, fraction) / real)

    @check.in_float64
    def without(self, spectrum, fraction, *, every=1):
        kept, real = super().without(spectrum, fraction, every=every)
        known, k = self.shapes, len(self.shapes.law.mean)
        level = retained(self, spectrum.variances, fraction, every=every) / spectrum.variances
        shaped = known.real_without * np.asarray(known.shares_without(known.gaussian(level)))
        return tuple(np.concatenate([x, y[:, k:]], axis=1) for x, y in ((shaped, kept), (known.real_without, real)))


@dataclass(frozen=True)
class Reflow(Mechanism):
    """λ' = (Q1 + τ)/(Q0 + τ): Reflow fitted with ridge τ to the pairs of a scheme (`theory.flow`).

    Example:
        >>> from rfcollapse.advice import mechanisms
        >>> print(f"{mechanisms.Reflow(0.25, 'reflow').one_round(2.0, 0.0, 2.0):.2f}")  # (2 + ¼)/(1 + ¼)
        1.80
    """

    ridge: float = option("--ridge", "T", "ridge τ", check.positive)
    """τ > 0, variance of the noise on the model's input in training, where the flow's own noise has 1."""
    scheme: str = option("--scheme", "NAME", f"{', '.join(SCHEMES)} (fresh)", A_SCHEME, kind=str, default="fresh")
    """A row of `schemes.SCHEMES`."""
    diffusion: float = option("--diffusion", "E", "ε of the kinds of oras (.5)", check.nonnegative, default=0.5)
    """ε ≥ 0 of the reverse SDE, in schemes that have one."""

    name = "reflow"
    assumes = (
        "Reflow of a linear velocity model with ridge {ridge:g}, real pairs by the scheme {scheme!r}; variances drift "
        "towards the noise's, 1, from above and from below; data in units of that noise, Gaussian directions (of "
        "heavier tails less is kept, of bounded data more: `theory.anydata.reflow_variances`)"
    )
    end = "nine tenths of its distance from the noise's variance are gone"

    def one_round(self, variance, fraction, real):
        law = self._law(real, fraction)
        return flow_law.scheme_trajectory(self.scheme, real, 1, initial_variance=variance, **law)[1]

    def lifetime(self, real):
        return jnp.full_like(real, np.log(10) / np.log1p(self.ridge))

    def limit(self, real, fraction):
        return flow_law.scheme_limit(self.scheme, real, **self._law(real, fraction))

    def _law(self, real, fraction):
        own = {"ridge": self.ridge, "diffusion": self.diffusion}
        return own | {"real_fraction": fraction, "anchor_variance": real}


@dataclass(frozen=True)
class Refit(Mechanism):
    """λ' = m(1 − δ): a Gaussian refitted by maximum likelihood to n samples, αn of them real and new each round. Ours.

    The fitted mean is estimated, too: δ = 1/n without real data; with them δ = 1/(n(2−α)), since the fitted mean then
    wanders about the real one, by m/(nα(2−α)) in variance, and the mixture's spread takes that in. That is the law of
    the mean over runs, exact in the end; on its way there the wander is still smaller.

    Example:
        >>> from rfcollapse.advice import mechanisms
        >>> print(mechanisms.Refit(4).one_round(1.0, 0.0, 1.0))
        0.75
    """

    samples: int = option("--samples", "N", "samples a round; with --value the pool's", SEVERAL, kind=int, shared=True)
    """n ≥ 2."""

    name = "refit"
    assumes = (
        "a Gaussian refitted by maximum likelihood to {samples} samples a round, real ones among them new each time; "
        "variances are means over runs, single runs scatter around them and die sooner"
    )
    end = "a tenth of the mean variance is left"

    def one_round(self, variance, fraction, real):
        loss = jnp.where(fraction > 0, 1 / (2 - fraction), 1.0) / self.samples
        return mixed(variance, real, fraction) * (1 - loss)

    def lifetime(self, real):
        return jnp.full_like(real, -np.log(10) / np.log1p(-1 / self.samples))

    def limit(self, real, fraction):
        kept = 1 - 1 / (self.samples * (2 - fraction))
        return jnp.where(fraction > 0, kept * fraction * real / (1 - (1 - fraction) * kept), 0.0 * real)


@dataclass(frozen=True)
class Rate(Mechanism):
    """λ' = e^(−r) m: nothing is known but the log-variance lost in a round.

    Example:
        >>> from rfcollapse.advice import mechanisms
        >>> print(f"{mechanisms.Rate(0.1).one_round(1.0, 0.0, 1.0):.3f}")
        0.905
    """

    log_decay: float = option("--rate", "R", "log-variance lost in a round, all that is known", check.positive)
    """r > 0."""

    name = "rate"
    loss_law = True  # it may be a denoiser's
    assumes = (
        "every round multiplies every variance by exp(-{log_decay:g}), at whatever level. A rate belongs to the level "
        "it was measured at: where it grows as the variance falls, this promises too much; measure again near the "
        "level to be kept"
    )
    end = "a tenth of its variance is left"

    def one_round(self, variance, fraction, real):
        return jnp.exp(-self.log_decay) * mixed(variance, real, fraction)

    def lifetime(self, real):
        return jnp.full_like(real, np.log(10) / self.log_decay)

    def limit(self, real, fraction):
        return real * flow_law.retention_rule(self.log_decay, fraction)


MECHANISMS: dict[str, type[Mechanism]] = {kind.name: kind for kind in (Dae, Flow, Reflow, Refit, Rate)}
"""By name; read when a command is called, so that what is entered here is an option there."""


def flags() -> list[str]:
    """The options that name the mechanisms."""
    return [fields(kind)[0].metadata["flag"] for kind in MECHANISMS.values()]


def add_options(command: ArgumentParser):
    """The options that name a mechanism, for `budget` and `monitor`."""
    command.add_argument("--mechanism", choices=MECHANISMS, help="default: by the option given below")
    for name, kind in MECHANISMS.items():
        for about in (parameter.metadata for parameter in fields(kind)):
            text = f"{name}: {about['help']}"
            command.add_argument(about["flag"], type=about["type"], metavar=about["metavar"], help=text)


def from_options(options: Namespace) -> Mechanism | None:
    """The mechanism that the options name, or None."""
    named = {name: fields(kind)[0] for name, kind in MECHANISMS.items()}
    given = [name for name, first in named.items() if getattr(options, _dest(first)) is not None]
    if len(given) > 1:
        given = [name for name in given if not named[name].metadata["shared"]]
    if options.mechanism is None and len(given) > 1:
        raise ValueError(f"the options fit several mechanisms ({', '.join(sorted(given))}); choose one by --mechanism")
    if options.mechanism is None and not given:
        return None
    name = options.mechanism or given[0]
    values = {x.name: getattr(options, _dest(x)) for x in fields(MECHANISMS[name])}
    if values[named[name].name] is None:
        raise ValueError(f"--mechanism {name} needs {named[name].metadata['flag']}")
    return MECHANISMS[name](**{parameter: value for parameter, value in values.items() if value is not None})


def _dest(parameter):
    """Where argparse keeps it."""
    return parameter.metadata["flag"].lstrip("-").replace("-", "_")
