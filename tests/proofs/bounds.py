"""Bounds in n samples: the geometric norm bound, the variance bound at any noise, the floor."""

import sympy as sp
from sympy import Rational as R

from .table import certificate, positive, vanishes

d, j, n, u, rho = sp.symbols("d j n u rho", positive=True)


@certificate("exact", scale=R("0.99"))
def gaussian_comparison(scale=1):
    """E(Y − Y')² ≥ E(X − X')² for X = aᵀEb and Y = gᵀa + hᵀb over unit vectors, so that E‖E‖ ≤ E|g| + E|h| ≤ √n + √d.

    In p = a·a' and q = b·b' the difference is 2(1 − p)(1 − q): it is linear in each, and so no less than 0 between −1
    and 1 if it is not at the corners. Slepian's and Fernique's lemma makes of it the inequality of the maxima.
    """
    p, q = sp.symbols("p q")
    difference = scale**2 * (2 - 2 * p + 2 - 2 * q) - (2 - 2 * p * q)
    corners = [difference.subs({p: one, q: other}) for one in (-1, 1) for other in (-1, 1)]
    return sp.degree(difference, p) == sp.degree(difference, q) == 1 and min(corners) >= 0


@certificate("exact", root=R("1.96"), decay=R("1.01"))
def gaussian_norm(root=2, decay=1):
    """Pr(‖E‖ > E‖E‖ + t) ≤ e^(−t²/2) gives e^(−n) at t = √(2n): ‖E‖ ≤ √n + √d + √(2n) but for that.

    The inequality is that of Tsirelson, Ibragimov and Sudakov for functions with Lipschitz constant 1, which ‖·‖ is.
    """
    return vanishes(sp.sqrt(root * n) ** 2 / 2 - decay * n)


@certificate("exact", half=(R("0.49"), R("0.51")))
def theorem_1_step(half=R(1, 2)):
    """‖W(X + sE)‖ ≤ q‖X‖ with q = 1 − ½ nσ²/(‖X_1‖² + nσ²), for ‖X‖ ≤ ‖X_1‖ and s at its largest; equal at ‖X_1‖.

    In b = nσ² the map has ‖WX‖ = x³/(x² + b) and ‖W‖ = x²/(x² + b), both growing with x, so that the top singular value
    decides; and the largest s makes s‖E‖ = sC√n = b/(2‖X_1‖).
    """
    x, first, b, m = sp.symbols("x x1 b m", positive=True)
    moved, gain = x**3 / (x**2 + b), x**2 / (x**2 + b)
    factor = (moved + gain * b / (2 * first)) / x
    slack = 1 - half * b / (first**2 + b) - factor
    within = sp.cancel(slack.subs(x, first / (1 + m)))
    return vanishes(slack.subs(x, first)) and positive(sp.diff(moved, x), sp.diff(gain, x), within)


@certificate("exact", power=(1, 3, 4))
def theorem_1_decay(power=2):
    """‖W‖ ≤ ‖X‖²/(nσ²) turns ‖X_j‖ ≤ q^(j−1)‖X_1‖ into q^(2(j−1)); the ratio of the two sides tends to 1."""
    first, b, shrunk = sp.symbols("x1 b Q", positive=True)
    gain = (shrunk * first) ** 2 / ((shrunk * first) ** 2 + b)
    bound = first**2 / b * shrunk**power
    return sp.limit(gain / bound, shrunk, 0) == 1 and positive(bound - gain)


@certificate("exact", factor=(R("0.99"), R("1.01")))
def theorem_1_union(factor=1):
    """1 − (1 − p)^j ≤ jp: of j noises each too large with probability p, one is with at most jp (tight for small p)."""
    m, p = sp.symbols("m p", positive=True)
    slacks = [factor * rounds * p - 1 + (1 - p) ** rounds for rounds in range(2, 9)]
    tight = [sp.Poly(slack, p).coeff_monomial(p) == 0 for slack in slacks]
    return all(tight) and positive(*[slack.subs(p, 1 / (1 + m)) for slack in slacks])


@certificate("exact", largest=(R("0.042"), R("0.044")))
def theorem_1_noise(largest=R("0.043")):
    """At s = σ, s ≤ √n σ²/(2C‖X‖) asks for u0 ≤ 1/(4C²), C > 1 + √2: below (3 − 2√2)/4 = .0429."""
    norm, sigma, c = sp.symbols("X sigma C", positive=True)
    condition = norm**2 / (n * sigma**2) - 1 / (4 * c**2)
    edge = sp.sqrt(n) * sigma / (2 * c)
    most = (3 - 2 * sp.sqrt(2)) / 4
    sharp = sp.radsimp(1 / (4 * (1 + sp.sqrt(2)) ** 2)) - most
    return vanishes(condition.subs(norm, edge)) and sp.expand(sharp) == 0 and abs(largest - most) < R("0.0005")


@certificate("exact", power=(1, 3), across=R("0.99"))
def theorem_1_prime_step(power=2, across=1):
    """u' ≤ (u/(u+1))²[(√u + √ρ η1)² + ρ η2²], η1 = ‖E1‖/√n and η2 = ‖E2‖/√n; equal in one dimension.

    In the basis of X's right singular vectors X + sE = [√n L + sE1, sE2], and ‖[A B]‖² ≤ ‖A‖² + ‖B‖². The right-hand
    side grows with u, so that the top eigenvalue decides and the bound can be iterated.
    """
    r, s, sigma, e1, e2 = sp.symbols("r s sigma e1 e2", positive=True)
    data, noise = sp.Matrix([sp.sqrt(n) * r * sigma, 0]), sp.Matrix([e1, e2])
    gain = (data.T * data)[0] / n / ((data.T * data)[0] / n + sigma**2)
    moved = gain * (data + s * noise)
    bound = (r**2 / (r**2 + 1)) ** power * ((r + s / sigma * e1 / sp.sqrt(n)) ** 2 + across * (s / sigma * e2) ** 2 / n)
    grows = sp.diff(r**2 / (r**2 + 1) * (r + e1), r), sp.diff(r**2 / (r**2 + 1), r)
    return vanishes((moved.T * moved)[0] / n / sigma**2 - bound) and positive(*grows)


@certificate("exact", twice=R("1.98"), events=R("1.98"))
def theorem_1_prime_failure(twice=2, events=2):
    """t = √(2 ln(2J/δ)): each of the two norms of J rounds fails with probability e^(−t²/2), together with δ."""
    rounds, delta = sp.symbols("J delta", positive=True)
    t = sp.sqrt(twice * sp.log(events * rounds / delta))
    return sp.simplify(2 * rounds * sp.exp(-(t**2) / 2) - delta) == 0


@certificate("exact", twice=(R("1.98"), R("2.02")), left=(0, 2))
def theorem_1_prime_norms(twice=2, left=1):
    """E‖E1‖ ≤ 2√d and E‖E2‖ ≤ √d + √(n − d), by `gaussian_comparison`; as n → ∞ the bound becomes the exact law."""
    t = sp.Symbol("t", positive=True)

    def expected(rows, columns):
        return sp.sqrt(rows) + sp.sqrt(columns)

    along, across = (twice * sp.sqrt(d) + t) / sp.sqrt(n), (sp.sqrt(d) + sp.sqrt(n - left * d) + t) / sp.sqrt(n)
    ends = [sp.limit(eta, n, sp.oo) for eta in (along, across)]
    bound = (u / (u + 1)) ** 2 * ((sp.sqrt(u) + sp.sqrt(rho) * ends[0]) ** 2 + rho * ends[1] ** 2)
    norms = along * sp.sqrt(n) - t - expected(d, d), across * sp.sqrt(n) - t - expected(d, n - d)
    return vanishes(bound - u**2 * (u + rho) / (u + 1) ** 2) and all(sp.expand(norm) == 0 for norm in norms)


def gain_of(moment):
    return sp.eye(2) - (moment + sp.eye(2)).adjugate() / (moment + sp.eye(2)).det()


@certificate("exact", power=(2, 3))
def floor_is_monotone(power=1):
    """S ↦ S(S + σ²)⁻¹ is operator monotone: adding ppᵀ to B adds qqᵀ/(1 + pᵀ(B + σ²)⁻¹p), q = (B + σ²)⁻¹p.

    B is diagonal in its own basis, and every positive semi-definite matrix is a sum of such ppᵀ. Not every increasing
    function is monotone for matrices: the square of this one is not.
    """
    p = sp.Matrix(sp.symbols("p1:3", positive=True))
    base = sp.diag(*sp.symbols("b1:3", positive=True))
    q = (base + sp.eye(2)).inv() * p
    added = q * q.T / (1 + (p.T * q)[0])
    return vanishes(*(sp.prod([gain_of(base + p * p.T)] * power) - sp.prod([gain_of(base)] * power) - added))


@certificate("exact", share=(R("0.99"), R("1.01")))
def floor_of_gains(share=1):
    """λ_i(W) ≥ αλ0/(αλ0 + σ²), reached when nothing of the model's own is left; own data can only add to it."""
    alpha, real, own = sp.symbols("alpha lambda0 lambda", positive=True)
    kept = sp.Symbol("m", positive=True)  # 1 − α
    claimed = share * alpha * real / (share * alpha * real + 1)
    pool = kept * own + alpha * real
    gain = pool / (pool + 1)
    return vanishes(gain.subs(own, 0) - claimed) and positive(gain - claimed)
