// The laws, one direction at a time. tests/test_page.py compares each with its namesake in rfcollapse.theory.
// u = λ/σ² and u0 = λ0/σ²: variance in units of the noise, now and of the real data; ρ = s²/σ²; α the real fraction.
const laws = (() => {
  const halve = (rises, low, high) => {
    // Where `rises` turns true between low and high > 0, by halving the logarithm.
    for (let i = 0; i < 100; i++) {
      const middle = Math.sqrt(low) * Math.sqrt(high);
      if (rises(middle)) high = middle; else low = middle;
    }
    return Math.sqrt(low) * Math.sqrt(high);
  };
  const walk = (start, rounds, round) => {
    const path = [start];
    for (let j = 0; j < rounds; j++) path.push(round(path[j]));
    return path;
  };

  // -------------------------------------------------------------------------- the linear denoising autoencoder
  const generated = (v, rho) => (v / (v + 1)) ** 2 * (v + rho);
  const lost = (v, rho) => v * (1 + (2 - rho) * v) / (v + 1) ** 2; // v − generated(v), without cancellation
  const mixed = (u, u0, alpha) => (1 - alpha) * u + alpha * u0;
  const nextVariance = (u, u0, rho, alpha) => generated(mixed(u, u0, alpha), rho);
  const trajectory = (u0, rho, alpha, rounds) => walk(u0, rounds, u => nextVariance(u, u0, rho, alpha));
  const unstableVariance = rho => rho > 2 ? 1 / (rho - 2) : Infinity;

  function lifetime(u0, rho) {
    // The first round with u ≤ 1.
    if (u0 > 1 && (rho - 2) * u0 >= 1) return Infinity;
    let rounds = 0;
    for (let u = u0; u > 1; rounds++) {
      const next = generated(u, rho);
      if (next >= u) return Infinity;
      u = next;
    }
    return rounds;
  }

  function retainedVariance(u0, rho, alpha) {
    // u after many rounds. The pool v settles at a root of αv³ + bv² + cv − αu0; which one, its turning points tell.
    if (u0 === 0) return 0;
    if (alpha === 1) return generated(u0, rho);
    if (alpha === 0) return (rho - 2) * u0 < 1 ? 0 : (rho - 2) * u0 === 1 ? u0 : Infinity;
    const falls = v => (1 - alpha) * lost(v, rho) > alpha * (u0 - v);
    const b = 2 - (1 - alpha) * rho - alpha * u0, c = 1 - 2 * alpha * u0;
    const discriminant = b * b - 3 * alpha * c;
    let turns = [-1, -1];
    if (discriminant > 0) {
      const q = -(b + (b >= 0 ? 1 : -1) * Math.sqrt(discriminant));
      turns = [q / (3 * alpha), c / q].sort((x, y) => x - y);
    }
    let low, high;
    if (falls(u0)) {
      const dips = turns[1] > 0 && turns[1] < u0 && !falls(turns[1]);
      low = dips ? turns[1] : alpha * u0;
      high = dips || turns[0] <= 0 ? u0 : Math.min(u0, turns[0]);
    } else {
      const peaks = turns[0] > u0 && falls(turns[0]);
      low = peaks ? u0 : Math.max(u0, turns[1]);
      high = peaks ? turns[0] : Math.max(1 + (Math.abs(b) + Math.abs(c) + alpha * u0) / alpha, 2 * low);
    }
    return generated(halve(falls, low, high), rho);
  }

  function requiredRealFraction(retention, u0) {
    // ρ = 1; Infinity where even α = 1 does not do.
    const kept = retention * u0, v = (kept + Math.sqrt(kept * kept + 4 * kept)) / 2;
    return kept <= u0 * u0 / (u0 + 1) ? Math.min(1, v / (u0 + v * (u0 - v))) : Infinity;
  }

  function handedOn(real, spectrum, rounds, sigma, alpha, seed) {
    // An image's coordinates in the principal directions after some rounds: x ← W(x + σε), and with probability α the
    // real image takes x's place before. Noise and chance come from mulberry32, so that a seed is a picture.
    let state = seed, latest = real, variances = spectrum;
    const uniform = () => {
      state = (state + 0x6D2B79F5) | 0;
      let bits = Math.imul(state ^ (state >>> 15), state | 1);
      bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
      return (((bits ^ (bits >>> 14)) >>> 0) + 0.5) / 2 ** 32;
    };
    const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
    for (let j = 0; j < rounds; j++) {
      const image = uniform() < alpha ? real : latest;
      const pool = variances.map((variance, i) => mixed(variance, spectrum[i], alpha));
      latest = image.map((x, i) => pool[i] / (pool[i] + sigma ** 2) * (x + sigma * normal()));
      variances = pool.map(m => sigma ** 2 * generated(m / sigma ** 2, 1));
    }
    return latest;
  }

  // ------------------------------------------------------------- rectified flow: N steps, and training on own samples
  const steps = {
    euler: (lambda, t, t1, s, s1) => (t * t1 * lambda + s * s1) / (t * t * lambda + s * s),
    heun: (lambda, t, t1, s, s1, h) => {
      lambda = Math.max(lambda, 1e-100); // has a limit at 0
      const linear = (h * h / 2 + s1 * t1 * (t1 * s + t * s1)) * lambda;
      const top = t * t1 ** 3 * lambda ** 2 + linear + s * s1 ** 3;
      return top / (t * t * lambda + s * s) / (t1 * t1 * lambda + s1 * s1);
    },
  };
  function samplerGain(lambda, N, method) {
    let gain = 1;
    for (let i = 0; i < N; i++) gain *= steps[method](lambda, i / N, (i + 1) / N, (N - i) / N, (N - i - 1) / N, 1 / N);
    return gain;
  }
  const selfConsumingTrajectory = (lambda0, N, alpha, rounds, method) =>
    walk(lambda0, rounds, lambda => samplerGain(mixed(lambda, lambda0, alpha), N, method) ** 2);
  function selfConsumingRate(lambda, N) {
    // −Σ ln cos²Δθ over N Euler steps
    let rate = 0;
    for (let i = 0; i < N; i++) {
      const inner = (i / N) * ((i + 1) / N) * lambda + ((N - i) / N) * ((N - i - 1) / N);
      rate += Math.log1p(lambda / (N * inner) ** 2);
    }
    return rate;
  }
  function selfConsumingLifetime(lambda, N) {
    const root = Math.sqrt(Math.PI ** 2 / 4 - 1), std = Math.sqrt(lambda);
    return 4 * N / root * Math.atan2(root * std, std + Math.PI / 2);
  }
  const heunSink = N => halve(lambda => samplerGain(lambda, N, "heun") ** 2 < lambda, 1e-6, 1e3);

  // ------------------------------------------------------------------------------ Reflow: the schemes, by balance
  // A scheme is its row in the package's table: own, real, refreshed. Settings: real = λ0, alpha, tau, first = g₁² (the
  // first model, and the anchor), epsilon. Everything below goes by the kinds of noise.
  const forgetting = (g2, z) => z.epsilon ** 2 / Math.sqrt(g2); // −ln κ on a straight path
  const ownCross = { kept: g2 => Math.sqrt(g2), redrawn: () => 0 }; // E x0x1 of the model's own pairs; their E x0² is 1
  const realPairs = { // under a model of variance g²: the excess g²E x0² − λ0 of the real pairs, and their E x0x1
    inverted: (g2, z) => [0, z.real / Math.sqrt(g2)],
    anchored: (g2, z) => [z.real * (g2 - z.first) / z.first, z.real / Math.sqrt(z.first)],
    diffused: (g2, z) => {
      const forgotten = forgetting(g2, z);
      return [-Math.expm1(-forgotten) * (g2 - z.real), Math.exp(-forgotten / 2) * z.real / Math.sqrt(g2)];
    },
    scored: (g2, z) => realPairs.diffused(g2, z), // of a Gaussian model a Gaussian's score is its own
    scattered: (g2, z) => [forgetting(g2, z) * g2, z.real / Math.sqrt(g2)],
    redrawn: (g2, z) => [g2 - z.real, 0],
  };
  const realShare = (scheme, z) => scheme.real === null ? 0 : z.alpha;
  function inverter(scheme, g2, z) {
    // g² of the model that real data are inverted by: the current one, or the next, while it trains.
    const own = 1 - realShare(scheme, z);
    return scheme.refreshed && own + z.tau > 0 ? (own * g2 + z.tau) / (own + z.tau) : g2;
  }
  function coupling(scheme, g2, z) {
    const alpha = realShare(scheme, z), own = ownCross[scheme.own](g2);
    if (alpha === 0) return { Q0: 1, Q1: g2, c: own };
    const model = inverter(scheme, g2, z), [excess, cross] = realPairs[scheme.real](model, z);
    const noise = (z.real + excess) / model;
    return { Q0: 1 - alpha + alpha * noise, Q1: mixed(g2, z.real, alpha), c: (1 - alpha) * own + alpha * cross };
  }
  const schemeTrajectory = (scheme, z, rounds) => walk(z.first, rounds, g2 => {
    const { Q0, Q1 } = coupling(scheme, g2, z);
    return (Q1 + z.tau) / (Q0 + z.tau);
  });
  function oneStepGain(scheme, z, g2) {
    const { Q0, c } = coupling(scheme, g2, z);
    return (c + z.tau) / (Q0 + z.tau);
  }
  function schemeLimit(scheme, z) {
    // Where a round changes nothing: the pull rises with g², or is zero for every model.
    const alpha = realShare(scheme, z);
    const pull = g2 => (alpha > 0 ? alpha * realPairs[scheme.real](g2, z)[0] : 0) + z.tau * (g2 - 1);
    if (pull(z.first / 2) === 0 && pull(2 * z.first) === 0) return z.first;
    const limit = halve(g2 => pull(g2) >= 0, 1e-300, Math.max(1, z.real, z.first));
    return limit < 1e-290 ? 0 : limit;
  }

  // ----------------------------------------------------------------------------------------------- the rule of thumb
  const retentionRule = (rate, alpha) => rate > 0 ? alpha / (alpha + Math.expm1(rate)) : 1;
  function requiredFractionForRate(rate, retention) {
    const fraction = Math.expm1(rate) * retention / (1 - retention);
    return fraction > 1 + 1e-12 ? Infinity : Math.min(fraction, 1);
  }

  return {
    nextVariance, trajectory, unstableVariance, lifetime, retainedVariance, requiredRealFraction, handedOn,
    samplerGain, selfConsumingTrajectory, selfConsumingRate, selfConsumingLifetime, heunSink, schemeTrajectory,
    oneStepGain, schemeLimit, retentionRule, requiredFractionForRate,
  };
})();
