"""Long training runs: any scheme of `rfcollapse.learn.reflow` on named data or a file, kept on disk round by round.

Killed at any moment, a run loses the round in progress and nothing else; resumed on the same device, it gives what it
would have given without the interruption, to the last bit.
"""

import hashlib
import importlib.metadata
import time
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray
from tqdm import tqdm

from .. import __version__, check, data
from ..learn import devices, integrate, reflow
from ..learn.classifier import train_classifier
from ..learn.pairs import MIXING, Sampler
from ..learn.train import Training
from ..learn.velocity import NETS, PARAMETRISATIONS
from ..measure.coverage import coverage
from ..measure.distances import sliced_w2
from ..measure.images import reference
from ..output import plain
from ..schemes import SCHEMES
from . import folder as runfolder
from . import looks as pictures
from .folder import Log, read

IMAGES = {"digits": data.digits, "photos": data.photo_patches, "photos32": partial(data.photo_patches, 32)}
FOLDERS = {"mnist": data.mnist, "cifar": data.cifar10}
OTHERS = "mnist:FOLDER, cifar:FOLDER, or a .npy, .npz or .csv file"
MIXTURES = {
    "eight_gaussians": data.eight_gaussians,
    "two_moons": data.two_moons,
    "checkerboard": data.checkerboard,
}
PACKAGES = ("jax", "jaxlib", "numpy", "equinox", "optax", "diffrax")
FEWEST = 10  # held-out samples, below which nothing is compared with them
NEIGHBOURLY = 64  # the largest d in which nearest neighbours are looked for


def _option(default=MISSING, help="", **more):
    return field(default=default, metadata={"help": help, **more})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run is; each field is an option of the command line. Further: `rfcollapse.learn.reflow.run`."""

    data: str = _option(help=f"{', '.join([*IMAGES, *MIXTURES])}, gaussian:4,0.25 (variances), {OTHERS}")
    scheme: str = _option(help="which noise belongs to which sample", choices=tuple(SCHEMES))
    rounds: int = _option(help="rounds after the first model")
    real_fraction: float = _option(0.0, "part of the pairs that is real data, 0 to 1")
    ridge: float = _option(0.0, "variance of the noise on the input in training, from round 1 on")
    first_ridge: float = _option(0.0, "the same in round 0")
    seeds: int = _option(8, "independent runs, side by side")
    seed: int = _option(0, "of all random numbers")
    samples: int = _option(8192, "real samples a seed, where they are drawn")
    model: str = _option("mlp", "network", choices=tuple(NETS))
    width: int | None = _option(None, "of the hidden layers of an MLP (its own)")
    channels: int | None = _option(None, "of a U-Net at its finest, a multiple of 8 (its own)")
    parametrisation: str = _option("velocity", "what the network returns", choices=tuple(PARAMETRISATIONS))
    training_steps: int | None = _option(None, "of Adam in a round (by model)")
    batch: int | None = _option(None, "pairs in a training step (by model)")
    learning_rate: float | None = _option(None, "at its peak (by model)")
    average: float | None = _option(None, "decay of the moving average of the weights (by model)")
    chunk: int | None = _option(None, "steps between two looks at the loss, and two refreshments of ora (by model)")
    shards: int = _option(1, "devices that share the batches of a seed")
    precision: str | None = _option(None, "of the network in training (by model)", choices=("float32", "bfloat16"))
    warm_start: bool = _option(False, "start each round from the weights of the last")
    mixing: str = _option("batch", "how real pairs come in", choices=MIXING)
    pairs: int = _option(8192, "own samples made in a round")
    diffusion: float = _option(0.5, "of the reverse SDE of oras")
    steps: int = _option(40, "of sampling and inversion")
    method: str = _option("heun", "of sampling and inversion", choices=integrate.METHODS)
    probes: int = _option(2048, "generated samples that are measured, at least d")

    def __post_init__(self):
        for one in fields(self):
            if "choices" in one.metadata and getattr(self, one.name) is not None:
                check.one_of(one.name, getattr(self, one.name), one.metadata["choices"])

    @property
    def training(self) -> Training:
        default = Training(**reflow.TRAINING[self.model])
        steps = default.steps if self.training_steps is None else self.training_steps
        given = {
            "batch": self.batch,
            "learning_rate": self.learning_rate,
            "average": self.average,
            "chunk": min(default.chunk, steps) if self.chunk is None else self.chunk,
            "compute_dtype": self.precision,
            "shards": self.shards,
        }
        return replace(default, steps=steps, **{name: value for name, value in given.items() if value is not None})

    def options(self, shape: tuple[int, ...] | None) -> dict:
        """Of the network. shape: of the images, None where the data are none."""
        given = {}
        for name, model in (("width", "mlp"), ("channels", "unet")):
            value = getattr(self, name)
            if value is not None and self.model != model:
                raise ValueError(f"{name} must be left out for the model {self.model!r}, which has none; got {value}")
            given |= {} if value is None else {name: value}
        if self.model == "unet" and shape is None:
            raise ValueError(f"model must not be 'unet' for data that are no images; got data {self.data!r}")
        return given | ({"shape": shape} if self.model == "unet" else {})

    def describe(self) -> dict:
        """All settings, those of training filled in."""
        training = self.training
        chosen = {"training_steps": training.steps, "precision": training.compute_dtype}
        chosen |= {name: getattr(training, name) for name in ("batch", "learning_rate", "average", "chunk")}
        return asdict(self) | chosen


def arguments() -> dict[str, dict]:
    """The settings as arguments of argparse, by name."""
    found = {}
    for one in fields(Settings):
        details = dict(one.metadata)
        if one.type is bool:
            details["action"] = "store_true"
        else:
            details["type"] = (get_args(one.type) or (one.type,))[0]
            details["required"] = one.default is MISSING
        if one.default is not MISSING:
            details["default"] = one.default
            details["help"] += "" if one.default in (None, False) else f" ({one.default})"
        found[one.name] = details
    return found


class Images(NamedTuple):
    """What makes rows images: see `rfcollapse.data.Images`; the labels are those of the rows trained on."""

    shape: tuple[int, ...]
    scale: float
    mean: Float[np.ndarray, " d"]
    labels: Int[np.ndarray, " n"] | None


class Samples(NamedTuple):
    """Real data: what is trained on, one table for all seeds or one for each, and what is held out to compare with."""

    train: Float[np.ndarray, "*seeds n d"]
    held: Float[np.ndarray, "seeds m d"] | None
    images: Images | None = None


def load(key: PRNGKeyArray, settings: Settings) -> Samples:
    """The real data that the settings name.

    Gaussians are drawn for each seed and whitened, so that their second moment is exactly the diagonal of variances;
    second moments say all of them, and none are held out. Mixtures are drawn for each seed, held-out samples too. Of
    images and files a random tenth is held out, at most `probes` rows, unless that is fewer than 10. Raises ValueError,
    or the errors of `rfcollapse.data.read_samples`.
    """
    name, count, seeds = settings.data, settings.samples, check.integer("seeds", settings.seeds, 1)
    key_train, key_held = jax.random.split(key)
    if name.startswith("gaussian:"):
        return Samples(_gaussian(key_train, name, seeds, count), None)
    if name in MIXTURES:
        train, held = (
            np.stack([MIXTURES[name](one, n) for one in jax.random.split(key, seeds)])
            for key, n in ((key_train, count), (key_held, settings.probes))
        )
        return Samples(train, held if settings.probes >= FEWEST else None)
    found = _images(name)
    if found is None and not Path(name).exists():
        raise ValueError(f"data must be {', '.join([*IMAGES, *MIXTURES])}, gaussian:VARIANCES, {OTHERS}; got {name!r}")
    rows = np.asarray(data.read_samples(name) if found is None else found.samples)
    held = min(len(rows) // 10, settings.probes)
    held = held if held >= FEWEST else 0
    order = np.asarray(jax.random.permutation(key_held, len(rows))) if held else np.arange(len(rows))
    images = None
    if found is not None:
        labels = None if found.labels is None else np.asarray(found.labels)[order[held:]]
        images = Images(found.shape, found.scale, np.asarray(found.mean), labels)
    apart = np.broadcast_to(rows[order[:held]], (seeds, held, rows.shape[1])) if held else None
    return Samples(rows[order[held:]], apart, images)


def _images(name):
    """The images of that name, or None."""
    kind, _, folder = name.partition(":")
    return IMAGES[name]() if name in IMAGES else FOLDERS[kind](folder) if kind in FOLDERS and folder else None


def _gaussian(key, name, seeds, count):
    try:
        variances = check.nonnegative("variances", [float(one) for one in name.split(":")[1].split(",")])
    except ValueError as error:
        raise ValueError(f"data must be gaussian:VARIANCES, numbers ≥ 0 parted by commas; got {name!r}") from error
    return data.exact_gaussians(key, seeds, check.integer("samples", count, len(variances)), variances)


PASSED_ON = (
    *("scheme", "rounds", "real_fraction", "ridge", "first_ridge", "seeds", "model", "parametrisation", "warm_start"),
    *("mixing", "pairs", "diffusion", "steps", "method"),
)


def run(settings: Settings, folder: str | Path, *, resume: bool = False) -> Log:
    """Trains every round that the folder does not hold yet, and keeps each as soon as it is done.

    Round 0 is the first model. Each line of metrics has, per seed: the diagonal of the second moment E xxᵀ of generated
    samples and its eigenvalues, the diagonal again for one Euler step, straightness, the loss of the last chunk of
    steps; where real data are held out the sliced W2 to them, in many steps and one, and for d ≤ 64 precision, recall
    and coverage; and the seconds it took. What is not finite is null. Of images there is more, see
    `rfcollapse.runs.looks.looked_at`; 8 of them, from the same noise in every round, are kept in pictures-NNN.npy.

    settings: see `Settings`. folder: empty or not there, unless resume, which goes on after the last round that is
    whole; all settings but `rounds` must then be what they were, and data, versions and device too.

    Raises ValueError for bad settings, a folder with something else in it or a damaged checkpoint, OSError where files
    cannot be read or written, and `rfcollapse.learn.train.Diverged`; the rounds before are kept.
    """
    folder = Path(folder)
    key_data, key_run, key_held = jax.random.split(jax.random.key(check.integer("seed", settings.seed, 0)), 3)
    real = load(key_data, settings)
    config = {
        "settings": settings.describe(),
        "data": {"shape": list(real.train.shape), "sha256": hashlib.sha256(real.train.tobytes()).hexdigest()},
        "versions": {"rfcollapse": __version__} | {name: importlib.metadata.version(name) for name in PACKAGES},
        "device": devices.this_machine()[1],
    }
    d, options = real.train.shape[-1], settings.options(real.images and real.images.shape)
    finished = runfolder.start(folder, config, _like(settings, d, options), resume=resume)
    looked = _looker(settings, real) if real.images and real.held is not None else lambda *_: {}
    total = settings.rounds + 1
    with tqdm(total=total, initial=len(finished), desc=f"{settings.scheme} on {settings.data}", unit="round") as bar:
        since = time.monotonic()

        def keep(one):
            nonlocal since
            row = _row(one) | ({} if real.held is None else _compared(key_held, one.models, real.held, settings))
            row |= looked(one, folder, key_held)
            now = time.monotonic()
            runfolder.save(folder, config, one, row | {"seconds": round(now - since, 3)})
            since = now
            bar.set_postfix(loss=f"{one.loss[:, -1].mean():.3g}", refresh=False)
            bar.update()

        reflow.run(
            key_run,
            real.train,
            training=settings.training,
            options=options,
            finished=finished,
            on_round=keep,
            history=False,
            probes=max(settings.probes, d),
            **{name: getattr(settings, name) for name in PASSED_ON},
        )
    return read(folder)


def _looker(settings, real):
    """What is measured on images in a round; the pictures go to the folder."""
    labels, rows = real.images.labels, real.train
    features = None if labels is None else train_classifier(jax.random.key(settings.seed), rows, labels).features
    axes = reference(rows, real.held[0], features)
    sampler = Sampler(settings.steps, settings.method, 2048)

    def looked(one, folder, key):
        found = pictures.looked_at(key, one.models, axes, sampler, samples=max(len(axes.held), FEWEST))
        levels = pictures.levels(found.pop("shown"), real.images.scale, real.images.mean)
        np.save(folder / f"pictures-{one.index:03d}.npy", levels.reshape(-1, *real.images.shape))
        return {name: plain(values) for name, values in found.items()}

    return looked


def _like(settings, d, options):
    """A round without its numbers."""
    seeds, training = settings.seeds, settings.training

    def models():
        return reflow.new_models(jax.random.key(0), d, seeds, settings.model, settings.parametrisation, **options)

    kept = d if d <= reflow.WIDEST else 0
    moment, each = np.empty((seeds, kept, kept)), np.empty(seeds)
    loss = np.empty((seeds, training.steps // training.chunk), np.float32)
    return reflow.Round(0, eqx.filter_eval_shape(models), moment, np.empty((seeds, d)), moment, each, loss)


def _row(one):
    return {
        "round": one.index,
        "second_moment_diagonal": plain(np.diagonal(one.second_moment, axis1=1, axis2=2)),
        "eigenvalues": plain(one.eigenvalues),
        "one_step_moment_diagonal": plain(np.diagonal(one.one_step_moment, axis1=1, axis2=2)),
        "straightness": plain(one.straightness),
        "loss": plain(one.loss[:, -1]),
    }


def _compared(key, models, held, settings):
    """How far the models' samples are from the real ones held out, of each seed; from the same noise in every round."""
    models, found = jax.device_get(models), []
    for seed, real in enumerate(held):
        key_noise, key_directions = jax.random.split(jax.random.fold_in(key, seed))
        model = jax.tree.map(lambda leaf, seed=seed: jnp.asarray(leaf[seed]), models)
        noise = jax.random.normal(key_noise, real.shape, dtype=jnp.float32)
        many = integrate.generate(model, noise, steps=settings.steps, method=settings.method, batch=2048)
        one = integrate.generate(model, noise, steps=1, method="euler", batch=2048)
        measured = [_if_finite(partial(sliced_w2, key_directions, real), samples) for samples in (many, one)]
        if real.shape[1] <= NEIGHBOURLY:
            measured += _if_finite(partial(coverage, real), many, otherwise=[np.nan] * 3)
        found.append(measured)
    names = ("sliced_w2", "one_step_sliced_w2", "precision", "recall", "coverage")
    return {name: plain(column) for name, column in zip(names, np.transpose(np.array(found, dtype=np.float64)))}


def _if_finite(function, samples, otherwise=np.nan):
    return function(samples) if jnp.all(jnp.isfinite(samples)) else otherwise
