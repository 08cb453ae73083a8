"""Flows fitted to any pairs, and what the Reflow schemes make of them.

One direction: g² = G the variance of the current model, λ0 that of the data, α the real fraction, τ the ridge.
"""

import sympy as sp
from sympy import Rational as R

from .table import certificate, gaussian_mean, positive, vanishes

G, alpha, anchor, kappa, real, t, tau = sp.symbols("G alpha G1 kappa lambda0 t tau", positive=True)
g, first = sp.sqrt(G), sp.sqrt(anchor)
Z, REAL, NOISE = sp.symbols("z x n")  # independent, of variance 1, λ0 and 1


def mean(product):
    """E of a product of two sums of the three."""
    polynomial = sp.Poly(sp.expand(product), Z, REAL, NOISE)
    return sum(scale * polynomial.coeff_monomial(name**2) for name, scale in ((Z, 1), (REAL, real), (NOISE, 1)))


def pairs(noise):
    """Q0, Q1 and c of own pairs (z, gz) and, α of them, real ones with the given noise."""
    moments = [[mean(a * b) for a, b in ((x0, x0), (x1, x1), (x0, x1))] for x0, x1 in ((Z, g * Z), (noise, REAL))]
    return [(1 - alpha) * own + alpha * other for own, other in zip(*moments)]


def fitted(noise):
    """The next model's g², by the balance law."""
    q0, q1, _ = pairs(noise)
    return (q1 + tau) / (q0 + tau)


INVERTED, ANCHORED = REAL / g, REAL / first
DIFFUSED = sp.sqrt(kappa) * REAL / g + sp.sqrt(1 - kappa) * NOISE


@certificate("exact", ridge=(R("1.01"), 0), twice=R("1.98"))
def balance_law(ridge=1, twice=2):
    """G(Q0 + τ)Gᵀ = Q1 + τ: P = Q_t + τ solves P' = vP + Pvᵀ, as Φ(Q0 + τ)Φᵀ does, for any coupling in two dimensions.

    v = C(Q_t + τ)⁻¹ with C = E(x1 − x0)x_tᵀ, so that vP = C, (Q_t + τ)⁻¹P being 1; and C + Cᵀ = dQ_t/dt.
    """
    q0, q1 = sp.diag(*sp.symbols("a1:3")), sp.Matrix(2, 2, sp.symbols("b1 b2 b2 b3"))  # in the basis of Q0
    cross = sp.Matrix(2, 2, sp.symbols("c1:5"))  # E x0x1ᵀ
    both = (1 - t) * cross.T + t * q1 - ((1 - t) * q0 + t * cross)
    moment = (1 - t) ** 2 * q0 + t * (1 - t) * (cross + cross.T) + t**twice * q1
    seen, solved = moment + tau * sp.eye(2), moment + ridge * tau * sp.eye(2)
    unit = seen.adjugate() * solved - seen.det() * sp.eye(2)
    return vanishes(*unit, *(both + both.T - sp.diff(solved, t)))


@certificate("exact", scale=(R("1.01"), 0))
def ridge_is_input_noise(scale=1):
    """Noise of variance τ on the input alone adds the ridge τa² to the loss of a velocity ax, for every pair."""
    slope, path, target, e = sp.symbols("a x_t d e")
    noisy = gaussian_mean(sp.expand((slope * (path + sp.sqrt(tau) * e) - target) ** 2), [e])
    return vanishes(noisy - (slope * path - target) ** 2 - scale * tau * slope**2)


@certificate("exact", one=R("1.01"), cross=(0, 2))
def euler_of_any_coupling(one=1, cross=1):
    """1 + ha = p·p'/|p|² along the segment from |p0|² = Q0 + τ to |p1|² = Q1 + τ, p0·p1 = c + τ: the angles sum to Θ.

    Θ = arccos[(c + τ)/√((Q0 + τ)(Q1 + τ))]; a single step has gain (c + τ)/(Q0 + τ).
    """
    q0, q1, c, later = sp.symbols("q0 q1 c s", positive=True)
    a = ((1 - t) * c + t * q1 - (1 - t) * q0 - t * c) / ((1 - t) ** 2 * q0 + 2 * t * (1 - t) * c + t**2 * q1 + tau)
    start, end, between = q0 + tau, q1 + one * tau, c + cross * tau

    def inner(t, s):
        return (1 - t) * (1 - s) * start + ((1 - t) * s + t * (1 - s)) * between + t * s * end

    step = 1 + (later - t) * a
    single = step.subs({t: 0, later: 1}) - between / start
    return vanishes(step - inner(t, later) / inner(t, t), single)


@certificate("exact", twice=R("1.98"), one=(0, R("0.99")))
def angle_of_pairs(twice=2, one=1):
    """|p0 × p1|² = (Q0Q1 − c²) + τ(Q0 + Q1 − 2c), without cancellation, is what sin²Θ has over (Q0 + τ)(Q1 + τ)."""
    q0, q1, c = sp.symbols("q0 q1 c", positive=True)
    square = (q0 + tau) * (q1 + tau) - (c + tau) ** 2
    return vanishes(square - one * (q0 * q1 - c**2) - tau * (q0 + q1 - twice * c))


@certificate("exact", ridge=(R("0.99"), 0))
def reflow_row(ridge=1):
    """Reflow: g² − 1 shrinks by 1/(1 + τ) a round, to the noise; τ = 0 leaves g² as it is."""
    following = fitted(INVERTED).subs(alpha, 0)
    return vanishes(following - 1 - (G - 1) / (1 + ridge * tau), following.subs(tau, 0) - G)


@certificate("exact", power=2, ridge=R("1.01"))
def ra_row(power=1, ridge=1):
    """RA: g² − 1 shrinks by M/(M + τ), M = 1 − α + αλ0/g²: slower than Reflow if and only if λ0 > g², as M − 1 says."""
    pull = 1 - alpha + alpha * real / G**power
    following = fitted(INVERTED)
    slower = pull - 1 - alpha * (real - G) / G
    return vanishes(following - 1 - (G - 1) * pull / (pull + ridge * tau), following.subs(tau, 0) - G, slower)


@certificate("exact", power=2, ridge=R("1.01"))
def anchored_row(power=1, ridge=1):
    """Anchored: to (αλ0 + τ)/(αλ0/g₁² + τ), the distance shrinking by (1−α)/(1−α + αλ0/g₁² + τ) a round."""
    anchored = alpha * real / anchor**power
    limit, factor = (alpha * real + ridge * tau) / (anchored + tau), (1 - alpha) / (1 - alpha + anchored + ridge * tau)
    return vanishes(fitted(ANCHORED) - limit - factor * (G - limit))


@certificate("exact", share=(0, R("0.99")))
def ora_row(share=1):
    """ORA: pairs inverted by the next model itself leave ((1−α)g² + τ)/(1−α + τ): Reflow at the ridge τ/(1−α)."""
    following = ((1 - alpha) * G + tau) / (1 - alpha + tau)
    stays = fitted(REAL / sp.Symbol("f", positive=True)).subs(sp.Symbol("f", positive=True), sp.sqrt(following))
    ridge = tau / (1 - share * alpha)
    return vanishes(stays - following, following - (G + ridge) / (1 + ridge))


@certificate("exact", share=R("0.99"), power=(0, 2))
def oras_row(share=1, power=1):
    """ORAS: to (α(1−κ)λ0 + τ)/(α(1−κ) + τ); at τ = 0 the distance shrinks by 1 − α(1−κ), whatever κ's own slope is."""
    pull, kappa_of = alpha * (1 - kappa) ** power, sp.Function("k")(G)
    limit = (pull * real + share * tau) / (pull + tau)
    slope = sp.diff(fitted(DIFFUSED).subs({tau: 0, kappa: kappa_of}), G)
    slope = slope.subs(sp.Derivative(kappa_of, G), sp.Symbol("k1")).subs(kappa_of, kappa).subs(G, real)
    return vanishes((fitted(DIFFUSED) - G).subs(G, limit), slope - (1 - pull))


@certificate("exact", ridge=R("1.01"), lost=(0, 2))
def fresh_row(ridge=1, lost=1):
    """Fresh: to (αλ0 + τ)/(α + τ), the distance shrinking by (1−α)/(1 + τ) a round."""
    limit, factor = (alpha * real + tau) / (alpha + ridge * tau), (1 - lost * alpha) / (1 + tau)
    return vanishes(fitted(NOISE) - limit - factor * (G - limit))


@certificate("exact", ridge=(R("0.99"), 0), half=(R("0.49"), 1))
def one_limit(ridge=1, half=R(1, 2)):
    """A round moves g² with the sign of −[α(g² E x0² − λ0) + τ(g² − 1)], E x0² of the real pairs: towards one limit.

    For the bracket grows with g², or is 0 everywhere, for every kind of noise. The slope of g² E x0² is 0 for pairs
    that the current model inverts, λ0/g₁² for anchored and 1 for fresh ones; ½ε²/g for a reverse SDE without its score;
    and with it κ[e^a − 1 − a/2 + aλ0/2g²], κ = e^(−a) and a = ε²/g, where e^a = 1 + a + more.
    """
    a, diffusion, more = sp.symbols("a epsilon b", positive=True)
    scattered = INVERTED + diffusion / sp.sqrt(g) * NOISE
    for noise in (INVERTED, ANCHORED, NOISE, scattered, DIFFUSED):
        pull = alpha * (G * mean(noise**2) - real) + ridge * tau * (G - 1)
        if not vanishes((fitted(noise) - G) * (pairs(noise)[0] + tau) + pull):
            return False
    slopes = [sp.diff(G * mean(noise**2), G) for noise in (INVERTED, ANCHORED, NOISE, scattered)]
    stated = (0, real / anchor, 1, half * diffusion**2 / g)
    moving = G * mean(DIFFUSED**2)
    moving = sp.diff(moving, G) + sp.diff(moving, kappa) * kappa * a / (2 * G)  # dκ/dG = κa/2G
    bracket = kappa * (1 / kappa - 1 - half * a + half * a * real / G)
    growing = (bracket / kappa).subs(kappa, 1 / (1 + a + more))
    return vanishes(*(one - other for one, other in zip(slopes, stated)), moving - bracket) and positive(growing)


@certificate("exact", lost=(0, 2))
def one_step(lost=1):
    """τ = 0: one Euler step, (c + τ)/(Q0 + τ), has gain g after RA, whatever α is, and (1 − α)g after fresh pairs."""
    (ra, _, ra_cross), (fresh, _, fresh_cross) = pairs(INVERTED), pairs(NOISE)
    return vanishes(ra_cross / ra - g, fresh_cross / fresh - (1 - lost * alpha) * g)


@certificate("exact", half=(R("0.49"), 1))
def score_keeps_marginals(half=R(1, 2)):
    """v dt against time, with ε dW and the drift ½ε²·score, keeps Q_t, and e^(−∫ε²dt/Q) of x1's squared correlation.

    The score is −x/Q_t. E x² obeys −2(a + ½ε²/Q)Q + ε² = −Q', and E x x1 obeys −(a + ½ε²/Q), a = ½Q'/Q.
    """
    moment, slope, diffusion = sp.symbols("Q Q1 epsilon", positive=True)
    drift = -(slope / moment / 2 + half * diffusion**2 / moment)
    variance = 2 * drift * moment + diffusion**2 + slope
    log_squared = 2 * drift + slope / moment + diffusion**2 / moment  # of E(x x1)²/Q, less what is claimed
    return vanishes(variance, log_squared)


@certificate("exact", whole=(R("0.99"), 0))
def scattered_noise(whole=1):
    """Without the score E x0² is E x1²/g² + ∫ε²dt/Q_t: what is added at t the flow takes back with the factor 1/Q_t."""
    moment, slope, diffusion, square = sp.symbols("Q Q1 epsilon m", positive=True)
    growth = -slope / moment * square + diffusion**2  # of E x², against time
    of_ratio = growth / moment + square * slope / moment**2
    return vanishes(of_ratio - whole * diffusion**2 / moment)


@certificate("exact", half=(R("0.49"), 1))
def own_score_keeps_any_law(half=R(1, 2)):
    """dx = −v ds + ½ε²∇ln p_t ds + ε dW, s = 1−t, has the density p_{1−s} if ∂_t p = −div(pv): Fokker and Planck."""
    places, diffusion = sp.symbols("x y", real=True), sp.Symbol("epsilon", positive=True)
    p, *v = (sp.Function(name)(*places, t) for name in ("p", "v", "w"))
    drift = [-speed + half * diffusion**2 * sp.diff(sp.log(p), x) for x, speed in zip(places, v)]
    backwards = sum(sp.diff(p * speed, x) for x, speed in zip(places, v))  # ∂_s p_{1−s} = −∂_t p
    flux = [pull * p - diffusion**2 / 2 * sp.diff(p, x) for x, pull in zip(places, drift)]
    return vanishes(sp.expand(backwards + sum(sp.diff(one, x) for x, one in zip(places, flux))))


@certificate("exact", half=(R("0.49"), 1), turn=(0, R("0.99")))
def langevin_in_the_noise(half=R(1, 2), turn=1):
    """In z with x = X(z) the stochastic part is dz = (D' − Dz) ds + √(2D) dW, D = ½ε²/X'²: it keeps N(0, 1).

    Itô's rule for z(x), z' = 1/X', z'' = −X''/X'³, and p(X(z)) = φ(z)/X'(z).
    """
    z, diffusion = sp.Symbol("z", real=True), sp.Symbol("epsilon", positive=True)
    slope = sp.diff(sp.Function("X")(z), z)
    score = (-z - sp.diff(slope, z) / slope) / slope  # ∂ ln p/∂x
    drift = diffusion**2 / 2 * (score / slope - sp.diff(slope, z) / slope**3)
    spread = half * diffusion**2 / slope**2
    kept = sp.exp(-(z**2) / 2)
    flux = (sp.diff(spread, z) - turn * spread * z) * kept - sp.diff(spread * kept, z)
    return vanishes(sp.expand(drift - sp.diff(spread, z) + turn * spread * z), sp.simplify(flux))


@certificate("exact", power=(0, 2))
def tweedie_needs_fresh_pairs(power=1):
    """Tweedie's (tv − x)/(1−t) is the score −x/Q_t after independent pairs; after own ones it is −x/(1−t)s, not −x/s².

    s = 1−t + tg. Independent pairs have v = (tg² − (1−t))x/Q_t, own ones v = (g − 1)x/s.
    """
    moment, s = t**2 * G + (1 - t) ** 2, 1 - t + t * g
    independent, own = (t * G - (1 - t)) / moment, (g - 1) / s
    scores = [(t * v - 1) / (1 - t) for v in (independent, own)]
    return vanishes(scores[0] + 1 / moment, scores[1] + 1 / ((1 - t) * s**power))


@certificate("exact", straight=R("1.01"), fresh=R("0.49"), bent=R("1.01"))
def kappa_row(straight=1, fresh=R(1, 2), bent=1):
    """∫dt/Q_t is 1/g on a straight path, π/(2g) after independent pairs, and (Θ/sin Θ)/g if p0 and p1 enclose Θ."""
    cosine, sine, angle, root = sp.symbols("c s Theta g", positive=True)
    on_line = (1 - t) ** 2 + 2 * t * (1 - t) * root * cosine + t**2 * root**2
    turned = t * root * sine / ((1 - t) + t * root * cosine)  # tan of the angle from p0
    speed = sp.diff(turned, t) / (1 + turned**2)  # ∫ of it is Θ
    top = sp.fraction(sp.together(speed - bent * root * sine / on_line))[0]
    whole = angle / (root * sine)
    path = t * straight / (1 - t + t * root)
    ends = path.subs(t, 1) - path.subs(t, 0) - 1 / root, sp.diff(path, t) - 1 / (1 - t + t * root) ** 2
    half_turn = whole.subs({angle: sp.pi / 2, sine: 1}) - fresh * sp.pi / root
    return vanishes(sp.rem(sp.expand(top), sine**2 + cosine**2 - 1, sine), *ends, half_turn)


@certificate("exact", two=R("1.98"), four=R("3.96"), power=(1, 3))
def naive_oras(two=2, four=4, power=2):
    """Without the score E x0² = λ0/g² + ε²/g: 1/g grows by ε²/(2λ0) a round at τ = 0, to no variance at all.

    With ridge the limit is g = 2τ/(αε² + √(α²ε⁴ + 4τ²)).
    """
    diffusion, root, x = sp.symbols("epsilon r g", positive=True)
    following = fitted(INVERTED + sp.sqrt(diffusion**power / g) * NOISE).subs(G, x**2)
    grown = 1 / sp.sqrt(following.subs(tau, 0)) - 1 / x
    limit = 2 * tau / (alpha * diffusion**2 + root)
    top = sp.fraction(sp.together((following - x**2).subs(x, limit)))[0]
    settled = sp.rem(sp.expand(top), root**2 - alpha**2 * diffusion**4 - four * tau**2, root)
    return vanishes(sp.limit(grown, x, 0) - diffusion**2 / (two * real), settled)


@certificate("exact", one=(0, R("0.99")))
def share_retained(one=1):
    """λ* = e^(−r)((1−α)λ* + αλ0) retains R = α/(α + e^r − 1); to keep R give α = (e^r − 1)R/(1 − R). Any f = e^r."""
    factor = sp.Symbol("f", positive=True)
    share = alpha / (alpha + factor - one)
    needed = (factor - one) * share / (1 - share)
    return vanishes(share - ((1 - alpha) * share + alpha) / factor, needed - alpha)


@certificate("exact", promised=R("0.63"), true=R("0.62"))
def retention_rule_unsafe(promised=R("0.615"), true=R("0.444")):
    """The denoiser at α = .1, u0 = 16, with r measured at u0: .615 promised, .444 true."""
    level, start = R(8), R(16)  # the pool, see `pool_examples`
    made = level**2 / (level + 1)
    factor = start / (start**2 / (start + 1))
    told = R(1, 10) / (R(1, 10) + factor - 1)
    stays = R(9, 10) * made + R(1, 10) * start - level
    return stays == 0 and abs(told - promised) < R("0.0005") and abs(made / start - true) < R("0.0005")
