"""Any data, any network: what a round forgets is its training loss, and no best denoiser loses more than a linear map.

Expectations are symbols: a statement on second moments holds for every law that has them.
"""

from math import comb

import sympy as sp
from mpmath import iv
from sympy import Rational as R

from .table import certificate, gaussian_mean, positive, vanishes

alpha, j, m, noise, w = sp.symbols("alpha j m sigma2 w", positive=True)


@certificate("exact", one=R("1.01"), twice=(0, R("1.98")))
def loss_identity(one=1, twice=2):
    """E|D|² = E|x|² − L − 2κ, L = E|x − D|² and κ = E⟨D, x − D⟩, for any D: point by point; in two dimensions."""
    data, made = sp.Matrix(sp.symbols("x1:3")), sp.Matrix(sp.symbols("d1:3"))
    missed = data - made
    return vanishes(made.dot(made) - (data.dot(data) - one * missed.dot(missed) - twice * made.dot(missed)))


@certificate("exact", one=R("0.99"), power=(1, 3))
def loss_law(one=1, power=2):
    """Best scale c and bias b of cD + b: κ = 0, the mean stays, and the variance falls by L; decay leaves κ = w c².

    The decay is w times the square of the last layer, which goes as c².
    """
    scale, bias, x, d, xx, xd, dd = sp.symbols("c b x d xx xd dd")

    def loss(scale, bias):
        return xx - 2 * scale * xd - 2 * bias * x + scale**2 * dd + 2 * scale * bias * d + bias**2

    best = sp.solve([sp.diff(loss(scale, bias), name) for name in (scale, bias)], (scale, bias))
    c, b = best[scale] * one, best[bias]
    mean, square = c * d + b, c**2 * dd + 2 * c * b * d + b**2
    defect = c * xd + b * x - square
    fall = (square - mean**2) - (xx - x**2) + loss(c, b)
    decayed = sp.solve(sp.diff(loss(scale, 0) + w * scale**2, scale), scale)[0]
    more = decayed * xd - decayed**2 * dd - w * decayed**power
    return vanishes(defect, mean - x, fall, more)


@certificate("exact", one=R("0.99"))
def covariance_law(one=1):
    """A free last matrix A on any features h: E DDᵀ = E xxᵀ − R, R = E(x − D)(x − D)ᵀ, in every direction; here two."""
    second = sp.Matrix(2, 2, sp.symbols("h1 h2 h2 h3"))
    cross = sp.Matrix(2, 2, sp.symbols("c1:5"))
    data = sp.Matrix(2, 2, sp.symbols("s1 s2 s2 s3"))
    best = one * cross * second.inv()
    made = best * second * best.T
    residual = data - best * cross.T - cross * best.T + made
    return vanishes(*(made - data + residual))


@certificate("exact", shift=(1, 3))
def accumulated_loss(shift=2):
    """m' = m − L/(j + 2): j + 1 rounds of mean m and one of m − L."""
    loss = sp.Symbol("L", positive=True)
    return vanishes(((j + 1) * m + m - loss) / (j + 2) - (m - loss / (j + shift)))


@certificate("exact", one=R("0.99"), power=(0, 2))
def settled_level(one=1, power=1):
    """V* = (1−α)V* + αV0 − L* is V0 − L*/α, and α = L*/((1−R)V0) at V* = RV0. Linear, α = .1, V0 = 16: 64/9."""
    real, loss, kept, level = sp.symbols("V0 L R V", positive=True)
    settled = sp.solve((1 - alpha) * level + alpha * real - loss - level, level)[0]
    stated = real - one * loss / alpha**power
    fraction = loss / ((1 - kept) * real)
    linear = stated.subs({real: 16, alpha: R(1, 10), loss: R(8, 9)})  # a pool of 8, σ = 1
    return vanishes(settled - stated, stated.subs(alpha, fraction) - kept * real, linear - R(64, 9))


def left(m, power=2):
    """f(m), the variance that the best linear map leaves of m."""
    return m**power / (m + noise)


@certificate("exact", power=(1, 3))
def floor_of_a_round(power=2):
    """min_w E(aᵀx − w aᵀy)² = mσ²/(m + σ²), which leaves f(m) = m²/(m + σ²); f increases with m."""
    loss = (1 - w) ** 2 * m + w**2 * noise
    least = loss.subs(w, sp.solve(sp.diff(loss, w), w)[0])
    return vanishes(m - least - left(m, power), least - m * noise / (m + noise)) and positive(sp.diff(left(m), m))


@certificate("exact", shift=(1, 3), order=1)
def floor_over_rounds(shift=2, order=2):
    """f((1−α)φ + αs) increases with φ and s, and so does what accumulation leaves, ((j+1)m + f(m))/(j + 2).

    Courant and Fischer: in the span of the first i eigenvectors no unit vector has less than λ_i; here i = 2.
    """
    floor, real, more, z = sp.symbols("phi s d z", positive=True)
    share = 1 / (1 + w)  # 1 − α
    mixed = left(share * floor + (1 - share) * real)
    kept = m - (m - left(m)) / (j + shift)
    eigenvalues = [real + more, real]
    unit = [2 * z / (1 + z**2), (1 - z**2) / (1 + z**2)]
    along = sum(value * part**2 for value, part in zip(eigenvalues, unit)) - eigenvalues[order - 1]
    slopes = [sp.diff(mixed, floor), sp.diff(mixed, real), sp.diff(kept, m)]
    return vanishes(kept - ((j + 1) * m + left(m)) / (j + 2)) and positive(*slopes, along)


@certificate("interval", kept=(R("1.24"), R("3.21")), floor=(R("3.19"), R("1.24")))
def linear_maps_are_not_enough(kept=R(5, 4), floor=R(16, 5)):
    """All linear maps, and the multiples of one D: the best is D, and leaves 1.25 where the floor says 3.20; σ = 1.

    x1 has the variance 4, x2 = ±10, D = (y1/2, q sign y2) with q² = 10(1−2e)q + 3/4, e < exp(−50) the chance that a
    point is taken for the other: then κ = 0, so that D is the best of its multiples. It loses 1.26, which is 1.25 and
    .01, and the best linear map .8 + 100/101.
    """
    half = R(1, 2)
    first = half * 4 - half**2 * 5  # its κ: E y1² = 5
    flipped = iv.mpf([0, iv.exp(iv.mpf(-50)).b])
    seen = 10 * (1 - 2 * flipped)
    height = (seen + iv.sqrt(seen**2 + 3)) / 2
    b, q = sp.symbols("b q")
    defect = first + q * b - q**2
    balanced = sp.rem(sp.expand(defect), q**2 - b * q - R(3, 4), q) == 0
    lost = iv.mpf("1.25") + 100 - 2 * height * seen + height**2
    linear = iv.mpf(4) / 5 + iv.mpf(100) / 101
    stated = kept == half**2 * 5 and floor == left(sp.S(4)).subs(noise, 1)
    return bool(balanced and stated and kept < floor and lost.b < linear.a)


@certificate("exact", one=R("1.01"), power=(1, 3))
def van_trees(one=1, power=2):
    """E(D − x)s = 1 for the score s of x and y together, whatever D; E s² = J + 1/σ²: so E(x − D)² ≥ 1/(J + 1/σ²).

    For densities of a polynomial times a Gaussian, (1 + x²)/2 here, and cubic D; J is a symbol, as 1/(1 + x²) is no
    polynomial. Equality for a Gaussian of variance m.
    """
    x, e, std, fisher, residual = sp.symbols("x e sigma J R", positive=True)
    coefficients = sp.symbols("d0:4")
    weight = (1 + x**2) / 2
    made = sum(c * (x + std * e) ** k for k, c in enumerate(coefficients))
    weighted = weight * (-x + e / std) + sp.diff(weight, x)  # the score times the weight
    across = gaussian_mean(sp.expand((made - x) * weighted), (x, e))
    unrelated = gaussian_mean(sp.expand((weight * -x + sp.diff(weight, x)) * e), (x, e))  # to the noise's own score
    bound = one / (fisher + 1 / std**power)
    left_over = residual - 2 * bound + bound**2 * (fisher + 1 / std**2)  # E(D − x − bound·s)²
    gaussian = m * std**2 / (m + std**2) - bound.subs(fisher, 1 / m)
    return vanishes(across - 1, unrelated, left_over - (residual - bound), gaussian)


@certificate("exact", power=(1, 3))
def ceiling_of_a_direction(power=2):
    """aᵀM⁻¹a ≥ |a|⁴/aᵀMa, so that along a unit vector R ≥ 1/(J(a) + 1/σ²), J(a) = aᵀJa; M with its axes here."""
    a, b, first, second = sp.symbols("a b m1 m2", positive=True)
    whole = (a**2 / first + b**2 / second) * (a**2 * first + b**2 * second) - (a**2 + b**2) ** 2
    return vanishes(whole - a**2 * b**2 * (first - second) ** power / (first * second))


def cumulants(moments):
    """From the moments about 0, first to last: κ_n = m_n − Σ C(n−1, k−1) κ_k m_{n−k}."""
    found = []
    for n, moment in enumerate(moments, 1):
        known = sum(comb(n - 1, k - 1) * found[k - 1] * moments[n - k - 1] for k in range(1, n))
        found.append(sp.expand(moment - known))
    return found


@certificate("exact", half=(R("0.49"), 1))
def cumulants_of_a_linear_denoiser(half=R(1, 2)):
    """x' = w(x + se): κ_n' = w^n κ_n for n ≥ 3, and over λ'^(n/2) a factor (λ/(λ + s²))^(n/2); at ρ = 1 (λ'/λ)^(n/2).

    In powers of (λ/(λ + s²)): the gain cancels. Up to n = 6.
    """
    e, std = sp.symbols("e s", positive=True)
    moments = [sp.S.Zero, *sp.symbols("m2:7", positive=True)]
    variance = moments[1]
    after = [
        gaussian_mean(
            sp.expand(sum(comb(n, k) * (moments[k - 1] if k else 1) * (std * e) ** (n - k) for k in range(n + 1))), (e,)
        )
        * w**n
        for n in range(1, 7)
    ]
    before, then = cumulants(moments), cumulants(after)
    kept = variance / (variance + std**2)
    for n in range(3, 7):
        squared = w ** (2 * n) * (variance / then[1]) ** n - kept ** (2 * half * n)
        if not vanishes(then[n - 1] - w**n * before[n - 1], sp.powdenest(sp.factor(squared), force=True)):
            return False
    return vanishes(then[1].subs(w, kept) / variance - kept)


@certificate("exact", one=(R("0.99"), 0), less=(R("1.01"), 0))
def cost_law(one=1, less=1):
    """c' = c − L − S: x1 − x0 = v + r with E⟨v, r⟩ = 0 on one side, the spread of v about Z1 − Z0 on the other.

    Three times of a path, equally likely. Then for independent Gaussians of variances 1 and y²: c = 1 + y², L = πy/2
    and S = (2 − π/2)y are integrals, and c' = (y − 1)² that of the flow, which is y.
    """
    speeds = sp.symbols("v1:4")
    moved = sum(speeds) / 3
    spread = sum((v - moved) ** 2 for v in speeds) / 3
    energy = sum(v**2 for v in speeds) / 3
    # T = tan θ = yt/(1−t), so that Q = y²(1 + T²)/(T + y)² and dt = Q dθ/y; v² is Q̇²/4Q and E r² is y²/Q.
    y, tangent = sp.symbols("y T", positive=True)
    square = y**2 * (1 + tangent**2) / (tangent + y) ** 2
    turned = square / y / (1 + tangent**2)  # dt/dT
    energy_of = sp.diff(square, tangent) ** 2 / (4 * square * turned)
    loss_of = y**2 / square * turned
    primitives = -y * (1 + y**2) / (tangent + y) - y * sp.atan(tangent), y * sp.atan(tangent)
    slopes = [sp.diff(primitive, tangent) - of for primitive, of in zip(primitives, (energy_of, loss_of))]
    kinetic, loss = (1 + y**2 - y * sp.pi / 2, y * sp.pi / 2)  # from T = 0 to ∞
    ends = [sp.limit(p, tangent, sp.oo) - p.subs(tangent, 0) - w for p, w in zip(primitives, (kinetic, loss))]
    left_over = (1 + y**2) - one * loss - less * (kinetic - (y - 1) ** 2)
    return vanishes(spread - (energy - moved**2), *slopes, *ends, left_over - (y - 1) ** 2)


@certificate("exact", apart=(R("0.99"), 0), share=(R("0.99"), 0))
def pace_of_modes(apart=1, share=1):
    """RA's pace Σp/M, p = τg/Στg, is 1/M̄ and what the modes' M differ by; of the pool a round loses Στg. Three modes.

    A mode keeps M/(M + τ), of own pairs that hold g and of real ones that hold w, M = 1 − α + αw/g.
    """
    own, real, penalty = (sp.symbols(f"{name}1:4", positive=True) for name in ("g", "w", "t"))
    alpha, small = sp.symbols("alpha s", positive=True)
    M = [1 - alpha + alpha * w / g for g, w in zip(own, real)]

    def lost(content, ratios):
        """To first order in the penalties."""
        parts = zip(content, ratios, penalty)
        return sp.diff(sum(held * small * t / (m + small * t) for held, m, t in parts), small).subs(small, 0)

    reflow, shown = lost(own, (1, 1, 1)), lost(real, (1, 1, 1))
    mean = 1 - alpha + alpha * share * shown / reflow
    p = [t * g / reflow for t, g in zip(penalty, own)]
    pairs = ((i, j) for i in range(3) for j in range(i))
    spread = sum(p[i] * p[j] * (M[i] - M[j]) ** 2 / (M[i] * M[j]) for i, j in pairs) / mean
    pool = (1 - alpha) * lost(own, M) + alpha * lost(real, M)
    return vanishes(pool - reflow, lost(own, M) / reflow - 1 / mean - apart * spread)


@certificate("exact", held=(R("0.99"), 0), given=(R("0.99"), 0))
def ridge_by_modes(held=1, given=1):
    """A ridge regression on (1−α)·own + α·real, in modes e that diagonalise both: Σ⟨e, u + α(u_r − u)⟩e/(1 + αq).

    The modes are the columns of the inverse of any P, A + τ = PᵀP, A_r + τ = Pᵀ(1 + q)P. Two modes.
    """
    P = sp.Matrix(2, 2, sp.symbols("p1:5"))
    own, real, slope = (sp.Matrix(sp.symbols(f"{name}1:3")) for name in ("u", "w", "g"))
    excess, alpha = sp.symbols("q1:3"), sp.symbols("alpha")
    normal = P.T * P, P.T * sp.diag(*(1 + q for q in excess)) * P
    mixed, right = ((1 - alpha) * one + alpha * other for one, other in (normal, (own, real)))
    change = mixed.adjugate() * right / mixed.det()
    modes = P.adjugate() / P.det()
    parts = [
        (slope.T * e)[0] * (e.T * (own + given * alpha * (real - own)))[0] / (1 + held * alpha * q)
        for e, q in zip((modes[:, 0], modes[:, 1]), excess)
    ]
    return vanishes((slope.T * change)[0] - sum(parts))


@certificate("exact", half=(R("0.49"), R("0.51")), one=(0, R("1.01")))
def ridge_of_any_shape(half=R(1, 2), one=1):
    """τ(½ E (x0² − 1)x1² − 1) is lost: E (x0² − 1)g = E g'' for a cubic, and the balance law's slope for a Gaussian."""
    z, g, b, tau = sp.symbols("z g b tau")
    square = (g * z + b * z**3) ** 2
    stein = gaussian_mean(sp.diff(square, z, 2) - (z**2 - 1) * square, [z])
    slope = sp.diff((g**2 + tau) / (1 + tau), tau).subs(tau, 0)
    return vanishes(stein, slope + half * gaussian_mean((z**2 - 1) * (g * z) ** 2, [z]) - one)
