"""Second moments of many seeds at once, as triangular factors: drawn, pooled, and brought to their principal axes.

Matrices are (d, d, seeds). With the seeds last every operation is a loop over contiguous numbers, several times faster
for small d than one LAPACK call per matrix, and there is no LAPACK call that could lock up. Rows may differ in scale
without limit: each keeps its own relative accuracy, so that directions that have all but died are not lost to rounding.
"""

import jax
import jax.numpy as jnp
import numpy as np

ROTATED_ENOUGH = 1e-8  # largest cosine between rows met in a sweep; the next one would meet its square
MOST_SWEEPS = 30  # seven suffice
DEAD = 1e-280  # squared length of rows that are left as they are, for its own square would underflow


def normal(keys, count: int):
    """Standard normals, (count, seeds), from one key per seed."""
    return jax.vmap(lambda key: jax.random.normal(key, (count,), jnp.float64))(keys).T


def chi(keys, freedoms):
    """χ with each of the given whole degrees of freedom ≥ 1, (len(freedoms), seeds), one key per seed.

    By rejection (Marsaglia and Tsang 2000), exact for two degrees and more. χ_1 is χ_3 times a uniform number, as any
    coordinate is on a sphere; one number serves all, so that only one of the degrees should be 1.
    """
    count = len(freedoms)
    single = (freedoms == 1)[:, None]
    scale = jnp.where(single, 3.0, freedoms[:, None]) / 2 - 1 / 3
    slope = 1 / (3 * jnp.sqrt(scale))

    def draw(state):
        attempt, done, chis = state
        uniform_keys, normal_keys = jax.vmap(lambda key: jax.random.split(jax.random.fold_in(key, attempt)))(keys).T
        uniform = jax.vmap(lambda key: jax.random.uniform(key, (count + 1,), jnp.float64))(uniform_keys).T
        x = normal(normal_keys, count)
        base = 1 + slope * x
        cube = jnp.where(base > 0, base, 1.0) ** 3
        accepted = (base > 0) & (jnp.log(uniform[1:]) < x * x / 2 + scale * (1 - cube + jnp.log(cube)))
        drawn = jnp.sqrt(2 * scale * cube) * jnp.where(single, uniform[:1], 1.0)
        return attempt + 1, done | accepted, jnp.where(done, chis, drawn)

    start = 0, jnp.zeros((count, len(keys)), bool), jnp.zeros((count, len(keys)))
    return jax.lax.while_loop(lambda state: ~jnp.all(state[1]), draw, start)[2]


def bartlett(keys, dimension: int, freedom):
    """T, lower triangular, with TTᵀ ~ Wishart_d(m): normal below the diagonal, χ_{m−i} on it (i = 0, 1, …) while m > i.

    For m < d the last d − m columns are zero. m may be traced.
    """
    below_keys, on_keys = jax.vmap(jax.random.split)(keys).T
    rows, columns = np.tril_indices(dimension, -1)
    on = np.arange(dimension)
    source = np.full((dimension, dimension), len(rows) + dimension)
    source[rows, columns], source[on, on] = np.arange(len(rows)), len(rows) + on
    freedoms = freedom - jnp.arange(dimension, dtype=jnp.float64)
    drawn = [normal(below_keys, len(rows)), chi(on_keys, jnp.maximum(freedoms, 1.0)), jnp.zeros((1, len(keys)))]
    return jnp.where((freedoms > 0)[None, :, None], jnp.concatenate(drawn)[source], 0.0)


def diagonal(scales):
    """diag(scales), (d, d, seeds)."""
    return jnp.eye(len(scales))[:, :, None] * scales[None]


def product(left, right):
    """left · right, seed by seed."""
    return jnp.sum(left[:, :, None] * right[None], axis=1)


def folded(lower, block):
    """L, lower triangular, with LLᵀ = lower lowerᵀ + block blockᵀ, by Householder reflections from the right."""
    rows = jnp.arange(len(lower))[:, None]

    def reflect(k, state):
        lower, block = state
        column, row = lower[:, k], block[k]
        length = jnp.sqrt(column[k] ** 2 + jnp.sum(row**2, axis=0))
        head = column[k] + jnp.where(column[k] < 0, -length, length)
        present = length > 0
        scale = jnp.where(present, 1 / jnp.where(present, length * jnp.abs(head), 1.0), 0.0)
        along = scale[None] * (head[None] * column + jnp.sum(block * row[None], axis=1))
        along = jnp.where(rows >= k, along, 0.0)
        return lower.at[:, k].set(column - along * head[None]), block - along[:, None] * row[None]

    return jax.lax.fori_loop(0, len(lower), reflect, (lower, block))[0]


def principal(factor, carried=None):
    """The square roots of the eigenvalues of factor factorᵀ, (d, seeds), and Uᵀ carried, U its eigenvectors.

    One-sided Jacobi: rows are rotated against each other until all are orthogonal, in rounds of d/2 disjoint pairs as
    in a tournament. Unlike a bidiagonal method it finds scales of 10⁻¹⁵⁰ beside one of 1 to all digits, provided that
    the rows, brought to unit length, are well conditioned. Row i stays near row i.
    """
    size, columns = len(factor), factor.shape[1]
    table = factor if carried is None else jnp.concatenate([factor, carried], axis=1)
    table = jnp.pad(table, ((0, size % 2), (0, 0), (0, 0)))
    half = len(table) // 2

    def rotate(_, state):
        top, bottom, worst = state
        a, b = jnp.sum(top[:, :columns] ** 2, axis=1), jnp.sum(bottom[:, :columns] ** 2, axis=1)
        c = jnp.sum(top[:, :columns] * bottom[:, :columns], axis=1)
        met = (c != 0) & (jnp.minimum(a, b) > DEAD)
        worst = jnp.maximum(worst, jnp.where(met, jnp.abs(c) / jnp.sqrt(jnp.where(met, a * b, 1.0)), 0.0))
        slope = (b - a) / jnp.where(met, 2 * c, 1.0)
        tangent = jnp.where(slope < 0, -1.0, 1.0) / (jnp.abs(slope) + jnp.sqrt(1 + slope * slope))
        tangent = jnp.where(met, tangent, 0.0)
        cosine = (1 / jnp.sqrt(1 + tangent * tangent))[:, None]
        sine = cosine * tangent[:, None]
        top, bottom = cosine * top - sine * bottom, sine * top + cosine * bottom
        if half > 1:  # the first of the top row stays, all others move on by one seat
            moved = [top[:1], bottom[:1], top[1:-1]], [bottom[1:], top[-1:]]
            top, bottom = map(jnp.concatenate, moved)
        return top, bottom, worst

    def sweep(state):
        count, top, bottom, _ = state
        start = top, bottom, jnp.zeros((half, factor.shape[2]))
        top, bottom, worst = jax.lax.fori_loop(0, 2 * half - 1, rotate, start)
        return count + 1, top, bottom, jnp.max(worst)

    def unfinished(state):
        return (state[0] < MOST_SWEEPS) & (state[3] > ROTATED_ENOUGH)

    state = jax.lax.while_loop(unfinished, sweep, (0, table[:half], table[half:], jnp.ones(())))
    table = jnp.concatenate([state[1], state[2]])[:size]
    return jnp.sqrt(jnp.sum(table[:, :columns] ** 2, axis=1)), table[:, columns:]


def places(scales):
    """The place of each scale in the order from the largest to the smallest, (d, seeds); ties in the order given."""
    index = jnp.arange(len(scales))
    before = (index[:, None] > index[None])[:, :, None]
    own, other = scales[:, None], scales[None]
    return jnp.sum((other > own) | ((other == own) & before), axis=1)


def descending(scales):
    """The scales from the largest to the smallest."""
    seats = jnp.arange(len(scales))[:, None, None]
    return jnp.sum(jnp.where(places(scales)[None] == seats, scales[None], 0.0), axis=1)
