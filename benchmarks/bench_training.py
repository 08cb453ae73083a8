"""Speed of training and sampling networks: `rfcollapse bench training bfloat16 seeds sampling step`.

The net is the MLP of `rfcollapse.learn.velocity` in d = 2, trained on a pool of points and new noise. A step of ours is
all that `rfcollapse.learn.train` does: it draws pairs, stratified times and input noise, follows a schedule and
averages the weights. The peers of benchmarks/torch_flow.py do without the last three, and their times are uniform.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from contenders import Case, Peers, first_turns, race, versions

from rfcollapse.learn import integrate, train, velocity
from rfcollapse.learn.devices import cores
from rfcollapse.learn.pairs import Pairs

DIMENSION, POOL = 2, 8192
OURS = "rfcollapse"
SHARED = "rfcollapse, batch shared"  # by all devices, on CPU one per core; OURS has one, whose matmuls share the cores


class Size(NamedTuple):
    width: int
    batch: int
    dtype: str = "float32"

    @property
    def flops(self) -> int:
        """Of one step's matmuls: each layer's outputs, gradients by weights and, but for the first, by inputs."""
        layers = [layer.weight.size for layer in eqx.filter_eval_shape(model, self).net.layers]
        return 2 * self.batch * (3 * sum(layers) - layers[0])


QUICK = Size(8, 16)


def on_gpu() -> bool:
    return jax.devices()[0].platform != "cpu"


def single(quick: bool, peers: str | None) -> Iterator[Case]:
    """One seed in float32 (on a GPU TF32, ours and theirs): seconds of a step, beside the machine's matmul."""
    if quick:
        sizes = [QUICK]
    elif on_gpu():
        sizes = [Size(width, 512) for width in (64, 512, 2048)] + [Size(2048, 16384)]
    else:
        sizes = [Size(width, 512) for width in (64, 128, 256, 512, 1024)] + [Size(1024, 4096)]
    yield from _each(sizes, quick, peers)


def bfloat16(quick: bool, peers: str | None) -> Iterator[Case]:
    """The same with the net in bfloat16, its weights kept in float32."""
    if quick:
        pairs = [QUICK[:2]]
    else:
        pairs = itertools.product((512, 2048), (512, 16384)) if on_gpu() else [(128, 512), (1024, 512)]
    yield from _each([Size(*pair, "bfloat16") for pair in pairs], quick, peers)


def _each(sizes, quick, python):
    """A case for each size; the processes of the peers serve all of them."""
    with Started(python) as started:
        for size in sizes:
            yield size._asdict(), partial(_one_seed, size, quick, started)


def _one_seed(size, quick, started):
    """A row for ours and one for each peer, at its best number of threads; or why there is none of a peer."""
    steps = steps_of(size, quick)
    peak, peak_flops = matmul(256 if quick else 8192 if on_gpu() else 4096, size.dtype)
    runners = {(OURS, cores()): ours(size, steps), "peak": peak} | started.asked(steps=steps, **size._asdict())
    seconds, rows = beside(runners, repetitions(quick))
    peak_rate = peak_flops / seconds["peak"]
    for row in rows:
        if "seconds" in row:
            value = row.pop("seconds")
            rate = size.flops * steps / value
            row |= {"step_seconds": value / steps, "steps_per_second": steps / value, "gigaflops": rate / 1e9}
            row |= {"peak_gigaflops": peak_rate / 1e9, "peak_share": rate / peak_rate}
    return rows


def beside(runners, count):
    """Seconds of all runners, and a row for each loop at its best number of threads, or why there is none.

    A loop's runners have names (loop, threads); what is measured beside them has others.
    """
    first, failed = first_turns(runners)
    seconds = race({name: runners[name] for name in first}, count, warm=True)
    loops, rows = [name for name in seconds if isinstance(name, tuple)], []
    for loop in dict.fromkeys(loop for loop, _ in loops):
        value, threads = min((seconds[name], name[1]) for name in loops if name[0] == loop)
        spent = max(0.0, first[loop, threads] - value)
        rows.append({"loop": loop, "threads": threads, "compile_seconds": spent, "seconds": value})
    if theirs := [row["seconds"] for row in rows if row["loop"] != OURS]:
        rows = [row | {"against_best_peer": min(theirs) / row["seconds"]} for row in rows]
    measured = {row["loop"] for row in rows}
    return seconds, rows + [{"loop": loop, "failed": why} for (loop, _), why in failed.items() if loop not in measured]


def repetitions(quick):
    return 1 if quick else 3 if on_gpu() else 5


def steps_of(size: Size, quick: bool) -> int:
    """Of one turn: about a second's work, and at least ten; a multiple of the chunk of `training`."""
    if quick:
        return 10
    work, most = (2e14, 400) if on_gpu() else (1.5e11, 1000)
    steps = int(min(most, max(10, work // size.flops)))
    return steps if steps < 200 else steps // 200 * 200


def seeds(quick: bool, peers: str | None) -> Iterator[Case]:
    """Many seeds at once: seconds of a step of one seed. The peers train one seed in a process, or one on each core.

    One seed of ours is trained on one device, and also with its batches shared by all of them.
    """
    size, steps = (QUICK, 10) if quick else (Size(128, 512), 400)
    counts = (1, 2) if quick else (1, 4, 16, 64, 256) if on_gpu() else (1, 2, 4, 8, 16)

    def measure():
        runners = {(OURS, count, 1, cores()): ours(size, steps, count) for count in counts}
        shards = max(count for count in range(1, jax.device_count() + 1) if size.batch % count == 0)
        if shards > 1:
            runners[SHARED, 1, 1, cores()] = ours(size, steps, shards=shards)
        with Started(peers) as started:
            for processes in (1,) if on_gpu() else (1, cores()):
                for (loop, threads), runner in started.asked(processes, steps=steps, **size._asdict()).items():
                    runners[loop, processes, processes, threads] = runner
            first, failed = first_turns(runners)
            return race({name: runners[name] for name in first}, repetitions(quick), warm=True), failed

    def rows():
        measured, failed = measure()
        rows, names = [], ("loop", "seeds", "processes", "threads")
        for name, value in measured.items():
            count, row = name[1], dict(zip(names, name))
            rows.append(row | {"step_seconds": value / steps / count, "steps_per_second": steps * count / value})
        theirs = [row for row in rows if row["loop"] not in (OURS, SHARED)]
        if alone := [row["step_seconds"] for row in theirs if row["processes"] == 1]:
            best = min(row["step_seconds"] for row in theirs)
            for row in rows:
                row["against_one_process"] = min(alone) / row["step_seconds"]
                row["against_all_cores"] = best / row["step_seconds"]
        return rows + [dict(zip(names, name), failed=why) for name, why in failed.items()]

    yield {}, rows


class Started(contextlib.ExitStack):
    """The peers that a Python has, none where it is None; each is started when it is first wanted."""

    def __init__(self, python: str | None):
        super().__init__()
        self.python = python
        found = versions(python, "torch_flow") if python else {}
        self.libraries = [name for name in ("torch", "torchcfm") if name in found]
        self.peers = cache(self._start)

    def _start(self, library, processes, threads):
        options = "--threads", str(threads), "--device", "cuda" if on_gpu() else "cpu", "--keep-going"
        return self.enter_context(Peers(processes, self.python, "torch_flow", *options))

    def asked(self, processes: int = 1, *, plain: bool = False, **request) -> dict[tuple[str, int], Callable]:
        """Every loop of the peers with every number of threads worth a try, by both, for a request.

        A library that is alone in its process finds nothing that another has compiled. plain: PyTorch's loops alone,
        without CUDA graphs, for what torch_nets.py has.
        """
        modes = ("eager", "compiled", "graphs") if on_gpu() and not plain else ("eager", "compiled")
        found = {}
        for library, threads, mode in itertools.product(self.libraries, _threads(processes), modes):
            if library == "torch" or not plain:
                named = {"mode": mode} if "samples" in request else {"mode": mode, "library": library}
                found[f"{library} {mode}", threads] = partial(
                    self.peers(library, processes, threads).ask, **named, **request
                )
        return found


def _threads(processes):
    """Numbers of threads for one of so many processes."""
    return (1,) if on_gpu() or processes > 1 else sorted({1, min(2, cores()), cores()})


def ours(size: Size, steps: int, seeds: int = 1, shards: int = 1) -> Callable:
    """Training from start to end, all seeds at once."""
    key = jax.random.key(0)
    models = jax.vmap(lambda key: model(size, key))(jax.random.split(key, seeds))
    data = pool(seeds)
    uniform = jnp.ones(data.shape[:2])
    pairs = Pairs(jnp.zeros_like(data), data, uniform, uniform > 0)
    settings = dataclasses.replace(training(size, steps), shards=shards)
    return lambda: train.train(key, models, pairs, training=settings, ridge=0.01)


def training(size: Size, steps: int) -> train.Training:
    return train.Training(
        steps=steps, batch=size.batch, learning_rate=1e-3, chunk=min(steps, 200), precision=size.dtype
    )


def model(size: Size, key=None) -> velocity.Velocity:
    return velocity.Velocity(velocity.MLP(DIMENSION, width=size.width, key=jax.random.key(0) if key is None else key))


def pool(seeds: int) -> jax.Array:
    return 2 * jax.random.normal(jax.random.key(1), (seeds, POOL, DIMENSION), dtype=jnp.float32)


@cache
def matmul(n: int, dtype: str) -> tuple[Callable, float]:
    """Products of n × n matrices, one after another, and their FLOPs: the most this device does, as JAX uses it."""
    repeats = 20 if on_gpu() else 1  # a launch costs more than nothing
    factor = (jax.random.normal(jax.random.key(0), (n, n)) / n**0.5).astype(dtype)
    power = jax.jit(lambda x: jax.lax.scan(lambda product, _: (product @ x, None), x, length=repeats)[0])
    return partial(power, factor), 2.0 * n**3 * repeats


def sampling(quick: bool, peers: str | None) -> Iterator[Case]:
    """Samples generated and inverted per second, Heun with 40 steps, one model in float32; the peers generate."""
    samples, steps = 16 if quick else 65536 if on_gpu() else 2048, 40

    def measure(width, started):
        flow = model(Size(width, samples))
        x = jax.random.normal(jax.random.key(0), (samples, DIMENSION), dtype=jnp.float32)
        runners = {(OURS, cores()): partial(integrate.generate, flow, x), "invert": partial(integrate.invert, flow, x)}
        runners |= started.asked(plain=True, width=width, samples=samples, steps=steps, method="heun")
        seconds, rows = beside(runners, repetitions(quick))
        for row in rows:
            if "seconds" in row:
                row["generate_per_second"] = samples / row.pop("seconds")
        rows[0]["invert_per_second"] = samples / seconds["invert"]
        return rows

    with Started(peers) as started:
        for width in (8,) if quick else (64, 128, 512, 2048) if on_gpu() else (64, 128, 256, 512, 1024):
            yield {"width": width, "samples": samples}, partial(measure, width, started)


def step(quick: bool) -> Iterator[Case]:
    """What a step is made of, each part repeated alone; shares of the whole step, which need not add up to 1."""

    def measure(size):
        repeats = steps_of(size, quick)
        seconds = race(_parts(size, repeats) | {"whole": ours(size, repeats)}, repetitions(quick))
        return [
            {"part": part, "step_seconds": value / repeats, "share": value / seconds["whole"]}
            for part, value in seconds.items()
        ]

    for size in (QUICK,) if quick else (Size(128, 512), Size(1024, 16384 if on_gpu() else 4096)):
        yield size._asdict(), partial(measure, size)


def _parts(size, repeats):
    """Scans whose every turn depends on the one before, so that none of it is done once for all."""
    params, static = eqx.partition(model(size), eqx.is_array)
    data, key = pool(1)[0], jax.random.key(2)
    pairs = Pairs(jnp.zeros_like(data), data, jnp.ones(POOL), jnp.ones(POOL, dtype=bool))
    cumulative = jnp.cumsum(pairs.weight)
    once = dataclasses.replace(training(size, repeats), chunk=repeats)
    x0, x1, t, _ = train._draw(key, pairs, jnp.arange(size.batch))
    features = jax.random.normal(key, (size.batch, params.net.layers[0].weight.shape[1]), dtype=jnp.float32)
    optimizer = train._optimizer(training(size, repeats))

    def products(weights):
        hidden = features
        for weight in weights:
            hidden = hidden @ weight.T
        return jnp.mean(hidden**2)

    def loss(params):
        return jnp.mean((jax.vmap(eqx.combine(params, static).net)(t, x0) - (x1 - x0)) ** 2)

    def descend(function):
        def turn(params, _):
            return jax.tree.map(lambda p, slope: p - 1e-6 * slope, params, jax.grad(function)(params)), None

        return turn

    def adam(state, _):
        params, inner, average = state
        with jax.numpy_dtype_promotion("standard"):  # inside optax
            change, inner = optimizer.update(params, inner, params)  # the weights in place of their gradient
        params = optax.apply_updates(params, change)
        return (params, inner, jax.tree.map(lambda old, new: old + 0.001 * (new - old), average, params)), None

    def draw(total, at):
        index, chosen = at
        drawn = train._draw(jax.random.fold_in(key, index), pairs, chosen)
        return total + sum(jnp.sum(part) for part in drawn), None

    def draws(start):
        chosen = train._chosen(cumulative, key, 0, training=once)
        return jax.lax.scan(draw, start, (jnp.arange(repeats), chosen))[0]

    def scanned(turn, start):
        return partial(jax.jit(lambda start: jax.lax.scan(turn, start, length=repeats)[0]), start)

    return {
        "matmuls": scanned(descend(products), [layer.weight for layer in params.net.layers]),
        "forward and backward": scanned(descend(loss), params),
        "Adam and average": scanned(adam, (params, optimizer.init(params), params)),
        "draws": partial(jax.jit(draws), jnp.float32(0)),
    }


SECTIONS = {"training": single, "bfloat16": bfloat16, "seeds": seeds, "sampling": sampling, "step": step}
WITH_PEERS = ("training", "bfloat16", "seeds", "sampling", "unet")
