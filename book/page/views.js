// The six pictures: each reads its sliders, asks the laws, draws. The address keeps what was moved last.
const DATA = JSON.parse(document.getElementById("data").textContent);
const views = {};
const settled = value => Number(value.toPrecision(12)); // 2 ** 3 and 0.1 + 0.2 as a reader expects them
const curve = (from, to, f, log = false, count = 160) => Array.from({ length: count + 1 }, (_, i) => {
  const x = log ? from * (to / from) ** (i / count) : from + (to - from) * i / count;
  return [x, f(x)];
});
const numbered = values => values.map((value, j) => [j, value]);
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

function view(id, draw) {
  const root = document.getElementById(id), inputs = [...root.querySelectorAll("input")];
  const value = input => input.type === "checkbox" ? input.checked
    : settled(input.dataset.base ? input.dataset.base ** input.valueAsNumber : input.valueAsNumber);
  const read = () => Object.fromEntries(inputs.map(input => [input.name, value(input)]));
  const input = name => inputs.find(one => one.name === name);
  const figure = name => root.querySelector(`#${id}-${name}`);

  function update() {
    draw(read(), tools);
    for (const one of inputs) {
      if (one.type === "checkbox") continue;
      const shown = format(value(one));
      one.closest("label").querySelector("b").textContent = shown;
      one.setAttribute("aria-valuetext", shown);
    }
  }
  function set(values) {
    // Values by name, as strings; what is not named goes back to its default.
    for (const one of inputs) {
      if (one.dataset.max) one.max = one.dataset.max;
      const given = values.get(one.name);
      if (one.type === "checkbox") one.checked = given === null ? one.defaultChecked : given === "1";
      else if (given === null || !Number.isFinite(Number(given))) one.value = one.defaultValue;
      else one.value = one.dataset.base ? Math.log(Number(given)) / Math.log(one.dataset.base) : given;
    }
    update();
  }
  function moved() {
    const changed = inputs.filter(one => one.type === "checkbox" ? one.checked !== one.defaultChecked
      : one.value !== one.defaultValue && !(one.dataset.max && one.value === one.max));
    return new URLSearchParams(changed.map(one => [one.name, one.type === "checkbox" ? "1" : format(value(one), 4)]));
  }
  const say = (verdict, kind, numbers = []) => {
    const place = root.querySelector(".verdict"), list = root.querySelector(".numbers");
    place.className = `verdict ${kind}`;
    if (place.textContent !== verdict) place.textContent = verdict;
    const html = numbers.map(([term, shown]) => `<dt>${term}</dt><dd>${shown}</dd>`).join("");
    if (list && list.innerHTML !== html) list.innerHTML = html;
  };
  const tools = { root, input, figure, say, longest: rounds => {
    // The last round worth showing becomes the end of the slider; a slider at its end stays there.
    const slider = input("round"), atEnd = slider.valueAsNumber >= Number(slider.max);
    slider.max = rounds;
    if (atEnd) slider.value = rounds;
    return slider.valueAsNumber;
  } };
  const changed = () => { update(); remember(id); };
  for (const one of inputs) one.addEventListener("input", changed);
  const watch = new ResizeObserver(() => requestAnimationFrame(update));
  for (const canvas of root.querySelectorAll(".canvas")) watch.observe(canvas);
  if (root.querySelector(".player")) player(root.querySelector(".player"), input("round"), changed);
  views[id] = { update, set, moved, changed };
  update();
}

function player(buttons, slider, changed) {
  const play = buttons.querySelector("[data-do=play]");
  let timer = null;
  const stop = () => { clearInterval(timer); timer = null; play.textContent = "Play"; };
  const to = round => { slider.value = round; changed(); };
  const step = () => {
    if (slider.valueAsNumber >= Number(slider.max)) stop();
    else to(slider.valueAsNumber + 1);
  };
  buttons.addEventListener("click", event => {
    const what = event.target.dataset.do;
    if (what === "play" && timer === null) {
      if (slider.valueAsNumber >= Number(slider.max)) to(0);
      timer = setInterval(step, 450);
      play.textContent = "Pause";
    } else if (what) {
      stop();
      if (what === "restart") to(0);
      if (what === "step") step();
    }
  });
  slider.addEventListener("input", stop);
}

// ------------------------------------------------------------------------------------------------ 1 and 2: one direction
function lastRound(path, end) {
  // How many rounds are worth showing of a run that ends at u*: 0, ∞ or a level.
  const done = end === 0 ? u => u <= 0.01 : end === Infinity ? u => u > 3 * path[0]
    : u => Math.abs(u - end) <= 0.01 * Math.abs(path[0] - end);
  const found = path.findIndex(done);
  return Math.max(6, found < 0 ? path.length - 1 : found + 1);
}
function fate(u0, end, life) {
  if (end === Infinity) return ["Explosion: the variance grows without end", "explodes"];
  if (end === u0) return ["In balance, and unstable", "explodes"];
  if (end > 0) return [`Retained: ${percent(end / u0)} of the real variance` + (end <= 1 ? ", less than the noise" : ""), "kept"];
  return [life === 0 ? "Collapse: below the noise from the start" : `Collapse: dead in round ${format(life, 6)}`, ""];
}

view("cobweb", ({ u0, rho, alpha, log }, { figure, say, longest }) => {
  const end = laws.retainedVariance(u0, rho, alpha), whole = laws.trajectory(u0, rho, alpha, 300);
  const last = lastRound(whole, end), shown = longest(last);
  const life = alpha === 0 ? laws.lifetime(u0, rho) : whole.findIndex(u => u <= 1);
  const top = 1.12 * (end === Infinity ? 2.2 * u0 : Math.max(u0, alpha > 0 ? end : 0));
  const low = Math.min(1e-3, top / 1e3), path = whole.slice(0, shown + 1);
  const stairs = path.flatMap((u, j) => j ? [[path[j - 1], u], [u, u]] : [[u, u]]);
  const axis = label => ({ min: log ? low : 0, max: top, log, label });
  const map = curve(log ? low : 0, top, u => laws.nextVariance(u, u0, rho, alpha), log);
  const fixed = end > 0 && end < Infinity ? [{ x: end, y: end, series: 3, marker: "diamond", label: "u* settled", below: true }] : [];
  const edge = laws.unstableVariance(rho);
  if (alpha === 0 && edge < top) fixed.push({ x: edge, y: edge, series: 2, marker: "square", label: "u* unstable", hollow: true, below: true });
  const now = path[shown], [verdict, kind] = fate(u0, end, life);
  plot(figure("map"), {
    x: axis("u, variance over noise, this round"), y: axis("u′, one round later"),
    lines: [
      { points: [[log ? low : 0, log ? low : 0], [top, top]], series: 5, label: "no change, u′ = u" },
      { points: map, series: 1, label: "the law", plain: true },
      { points: stairs, series: 0, thin: true, plain: true, label: "rounds" },
    ],
    marks: [...fixed, { x: now, y: now, series: 0, label: shown < last ? `round ${shown}` : "" }],
    describe: `${verdict}. After ${shown} rounds u is ${format(now)}`,
  });
  plot(figure("time"), {
    x: { min: 0, max: last, label: "j, round" }, y: { ...axis("u, variance over noise"), min: log ? low : 0 },
    rules: [{ y: 1, label: top < 40 || log ? "u = 1, the noise" : "" }],
    lines: [
      { points: numbered(whole.slice(0, last + 1)), series: 5, thin: true },
      { points: numbered(path), series: 1, markers: true, plain: true },
    ],
    marks: [{ x: shown, y: now, series: 0 }],
    describe: `From ${format(u0)} to ${format(now)} in ${shown} rounds`,
  });
  const pool = (1 - alpha) * now + alpha * u0;
  say(verdict, kind, [
    ["first round with <var>u</var> ≤ 1", life < 0 || life === Infinity ? "never" : format(life, 6)],
    ["level in the end, <var>u</var>*", format(end, 4)],
    [`<var>u</var> in round ${shown}`, format(now)],
    ["gain of its denoiser", format(pool / (pool + 1))],
  ]);
});

view("phase", ({ u0, rho }, { figure, say }) => {
  const end = laws.retainedVariance(u0, rho, 0), life = laws.lifetime(u0, rho), [verdict, kind] = fate(u0, end, life);
  const whole = laws.trajectory(u0, rho, 0, 400), last = lastRound(whole, end), edge = laws.unstableVariance(rho);
  const { rho: grid, rounds, variance } = DATA.contours, from = 2 + 1 / 512;
  const lives = variance.map((row, k) => ({ points: [...grid.map((r, i) => [r, row[i]]), [grid.at(-1), 1e-3], [0, 1e-3]], name: "life" }));
  plot(figure("map"), {
    x: { min: 0, max: 4, label: "ρ, noise when generating" },
    y: { min: 2 ** -3, max: 2 ** 7, log: true, label: "u₀, real variance over noise" },
    areas: [...lives.reverse(), { points: [[0, 1], [4, 1], [4, 1e-3], [0, 1e-3]], name: "dead" },
      { points: [...curve(from, 4, laws.unstableVariance), [4, 1e4], [from, 1e4]], name: "explosion" }],
    texts: [...rounds.map((count, k) => {
      const i = Math.max(4, variance[k].findLastIndex((u, j) => u > 100 && j < 40) + 1);
      return { x: grid[i], y: variance[k][i] * 0.82, text: count };
    }),
      { x: 3.1, y: 16, text: "explosion" }, { x: 1.5, y: 0.3, text: "below the noise from the start" }],
    rules: [{ x: rho }, { y: u0 }],
    marks: [{ x: rho, y: u0, series: 0 }],
    describe: `At ρ = ${format(rho)} and u0 = ${format(u0)}: ${verdict}`,
  });
  const seen = whole.slice(0, last + 1), low = Math.max(1e-3, Math.min(1, ...seen) / 3), top = Math.max(2, 1.2 * Math.max(...seen));
  plot(figure("time"), {
    x: { min: 0, max: last, label: "j, round" }, y: { min: low, max: top, log: true, label: "u, variance over noise" },
    rules: [{ y: 1, label: "the noise" }],
    lines: [{ points: numbered(seen), series: end === Infinity ? 2 : 1, plain: true, markers: true }],
    describe: `${verdict}. After ${last} rounds u is ${format(whole[last])}`,
  });
  say(verdict, kind, [
    ["first round with <var>u</var> ≤ 1", life === Infinity ? "never" : format(life, 6)],
    ["unstable point <var>u</var>*", edge === Infinity ? "none" : format(edge)],
    ["change in the first round", format(whole[1] - u0)],
  ]);
});
{
  const figure = document.getElementById("phase-map"), [u0, rho] = ["u0", "rho"].map(name => document.querySelector(`#phase [name=${name}]`));
  const follow = event => {
    const [x, y] = figure.at(event.clientX, event.clientY);
    [rho.value, u0.value] = [x, Math.log2(y)];
    views.phase.changed();
  };
  for (const kind of ["pointermove", "pointerdown"]) figure.querySelector(".canvas").addEventListener(kind, follow);
}

// ----------------------------------------------------------------------------------------------------------- 3: digits
const pictures = document.querySelector(".digits");
const screens = DATA.digits.images.map(() => {
  const pair = pictures.appendChild(document.createElement("div"));
  return [0, 1].map(() => Object.assign(pair.appendChild(document.createElement("canvas")), { width: 8, height: 8 }));
});
function paint(canvas, coordinates) {
  const { mean, scale, directions } = DATA.digits, context = canvas.getContext("2d"), pixels = context.createImageData(8, 8);
  mean.forEach((level, p) => {
    const value = level + scale * coordinates.reduce((sum, x, i) => sum + x * directions[i][p], 0);
    pixels.data.set([value, value, value, 1].map(part => 255 * Math.min(1, Math.max(0, part))), 4 * p);
  });
  context.putImageData(pixels, 0, 0);
}
screens.forEach(([real], k) => paint(real, DATA.digits.images[k]));

view("digits", ({ round, sigma, alpha }, { figure, say }) => {
  const { spectrum, images } = DATA.digits, noise = sigma ** 2;
  const now = spectrum.map(variance => noise * laws.trajectory(variance / noise, 1, alpha, round)[round]);
  const end = spectrum.map(variance => noise * laws.retainedVariance(variance / noise, 1, alpha));
  const total = values => values.reduce((sum, value) => sum + value, 0), alive = values => values.filter(value => value > noise).length;
  const share = total(now) / total(spectrum), from = values => values.map((value, i) => [i + 1, value]);
  screens.forEach(([, screen], k) => paint(screen, laws.handedOn(images[k], spectrum, round, sigma, alpha, 101 + k)));
  figure("pictures").querySelector("figcaption").textContent = `Ten digits: real (above), and in round ${round} (below)`;
  pictures.setAttribute("aria-label", `Ten handwritten digits, each beside what it has become in round ${round}; ${percent(share)} of the variance is left`);
  plot(figure("spectrum"), {
    x: { min: 1, max: spectrum.length, label: "i, principal direction" }, y: { min: 1e-3, max: 30, log: true, label: "λᵢ, variance" },
    rules: [{ y: noise, label: "σ², the noise" }],
    lines: [
      { points: from(spectrum), series: 5, label: "real", plain: true },
      ...(alpha > 0 ? [{ points: from(end), series: 3, label: "in the end" }] : []),
      { points: from(now), series: 1, label: `round ${round}`, markers: true, plain: true },
    ],
    describe: `${alive(now)} of ${spectrum.length} directions above the noise in round ${round}`,
  });
  const lives = spectrum.map(variance => laws.lifetime(variance / noise, 1));
  say(`${percent(share)} of the variance is left`, share > 0.5 ? "kept" : "", [
    ["directions above the noise", `${alive(now)} of ${spectrum.length}`],
    ["above it in the end", alive(end)],
    ["variance left in the end", percent(total(end) / total(spectrum))],
    ["last death, if without real data", `round ${Math.max(...lives)}`],
  ]);
});

// ------------------------------------------------------------------------------------------------------------- 4: flow
view("flow", ({ lambda, steps, alpha }, { figure, say }) => {
  const life = laws.selfConsumingLifetime(lambda, steps), rounds = Math.min(200, Math.max(20, Math.ceil(1.15 * life)));
  const [euler, heun] = ["euler", "heun"].map(method => laws.selfConsumingTrajectory(lambda, steps, alpha, rounds, method));
  const sink = laws.heunSink(steps), rate = laws.selfConsumingRate(lambda, steps), dead = euler.findIndex(value => value <= 1 / steps ** 2);
  const low = alpha > 0 ? Math.min(1e-2, lambda / 4) : 1e-4;
  const verdict = alpha > 0 ? `Euler keeps ${percent(euler[rounds] / lambda)}, Heun ${percent(heun[rounds] / lambda)}`
    : dead < 0 ? `Euler loses ${percent(1 - euler[rounds] / lambda)} in ${rounds} rounds` : `Euler falls to 1/N² in round ${dead}; Heun settles near ${format(sink)}`;
  plot(figure("time"), {
    x: { min: 0, max: rounds, label: "round" }, y: { min: low, max: 2 * Math.max(lambda, 1), log: true, label: "λ, generated variance" },
    rules: [{ y: 1, label: "the flow’s noise" }],
    lines: [
      { points: numbered(euler), series: 1, markers: true, label: "Euler" },
      { points: numbered(heun), series: 2, markers: true, label: "Heun" },
    ],
    describe: verdict,
  });
  const fixed = alpha > 0 ? euler[rounds] : lambda, pool = (1 - alpha) * fixed + alpha * lambda;
  plot(figure("rate"), {
    x: { min: 2 ** -8, max: 2 ** 8, log: true, label: "λ, variance trained on" },
    y: { min: 0, max: Math.min(4, 1.1 * laws.selfConsumingRate(2 ** 8, steps)), label: "r, log-variance lost in a round" },
    lines: [
      { points: curve(2 ** -8, 2 ** 8, value => laws.selfConsumingRate(value, steps), true), series: 1, plain: true, label: `N = ${steps}` },
      { points: curve(2 ** -8, 2 ** 8, value => laws.selfConsumingRate(value, 2 * steps), true), series: 5, label: `N = ${2 * steps}` },
    ],
    marks: [{ x: lambda, y: rate, series: 0, label: "real data" }, ...(alpha > 0 ? [{ x: pool, y: laws.selfConsumingRate(pool, steps), series: 3, marker: "diamond", label: "in the end", below: true }] : [])],
    describe: `A round loses ${format(rate)} at the real data, least where the variance is 1`,
  });
  say(verdict, alpha > 0 ? "kept" : "", [
    ["<var>r</var>, lost in the first round", format(laws.selfConsumingRate(lambda, steps))],
    ["rounds to the end, by the integral", format(life)],
    ["and at most, from any <var>λ</var><sub>0</sub>", format(2.908 * steps)],
    ["Heun’s sink", format(sink)],
  ]);
});

// ----------------------------------------------------------------------------------------------------------- 5: Reflow
const NOISE = {
  null: "no real data", inverted: "the current model, backwards", anchored: "the first model, backwards",
  diffused: "backwards with noise", scored: "backwards with noise and its own score",
  scattered: "backwards with noise and no score", redrawn: "drawn anew",
};
const about = scheme => `${scheme.title}: ${scheme.refreshed ? "the model in training, backwards" : NOISE[scheme.real]}`
  + (scheme.own === "redrawn" ? ", as for its own samples" : "");
view("reflow", ({ lambda, first, alpha, tau, epsilon }, { root, figure, say }) => {
  const z = { real: lambda, first, alpha, tau, epsilon }, rounds = 20, schemes = Object.values(DATA.schemes);
  const paths = schemes.map(scheme => laws.schemeTrajectory(scheme, z, rounds));
  const single = schemes.map((scheme, k) => paths[k].slice(0, -1).map(g2 => laws.oneStepGain(scheme, z, g2) ** 2));
  const top = 1.15 * Math.max(1, lambda, ...paths.flat(), ...single.flat());
  const rules = [{ y: lambda, label: "λ₀, real data", below: lambda < 1 }, ...(lambda === 1 ? [] : [{ y: 1, label: "1, the noise", below: lambda > 1 }])];
  const chart = (name, label, series, start) => plot(figure(name), {
    x: { min: 0, max: rounds, label: "round" }, y: { min: 0, max: top, label }, rules,
    lines: series.map((values, k) => ({ points: values.map((value, j) => [j + start, value]), series: seriesOf(k), markers: true, label: schemes[k].title })),
    describe: schemes.map((scheme, k) => `${scheme.title} ${format(series[k].at(-1))}`).join(", ") + ` after ${rounds} rounds`,
  });
  chart("full", "g², generated variance", paths, 0);
  chart("one", "variance after one Euler step", single, 1);
  root.querySelector("tbody").innerHTML = schemes.map((scheme, k) => `<tr><th scope="row">${swatch({ series: seriesOf(k), markers: true })} ${about(scheme)}</th><td>${format(paths[k][rounds])}</td><td>${format(laws.schemeLimit(scheme, z))}</td><td>${format(single[k].at(-1))}</td></tr>`).join("");
  const off = paths.map(path => Math.abs(Math.log(path[rounds] / lambda)));
  const best = schemes.filter((_, k) => off[k] <= Math.min(...off) + 1e-3).map(scheme => scheme.title);
  say(best.length === schemes.length ? "All schemes stay as they are" : `Nearest to the real variance after ${rounds} rounds: ${best.join(", ")}`, "kept");
});

// ----------------------------------------------------------------------------------------------------------- 6: budget
view("budget", ({ keep, rate, u0 }, { figure, say }) => {
  const byRule = laws.requiredFractionForRate(rate, keep), needed = laws.requiredRealFraction(keep, u0);
  const atReal = Math.log1p(1 / u0); // −ln(u′/u) at u = u0, ρ = 1
  const naive = laws.requiredFractionForRate(atReal, keep), truly = alpha => laws.retainedVariance(u0, 1, alpha) / u0;
  const axes = { x: { min: 0, max: 1, label: "α, share of real data in a round" }, y: { min: 0, max: 1.04, label: "R, share of the variance kept" } };
  const at = (alpha, series, label, below) => alpha < Infinity ? [{ x: alpha, y: keep, series, label, below, marker: SERIES[series].marker }] : [];
  plot(figure("rule"), {
    ...axes, rules: [{ y: keep }],
    lines: [
      { points: curve(0, 1, alpha => laws.retentionRule(rate / 4, alpha)), series: 5, thin: true, label: `r = ${format(rate / 4)}` },
      { points: curve(0, 1, alpha => laws.retentionRule(rate, alpha)), series: 1, plain: true, label: `r = ${format(rate)}` },
      { points: curve(0, 1, alpha => laws.retentionRule(4 * rate, alpha)), series: 4, thin: true, label: `r = ${format(4 * rate)}` },
    ],
    marks: at(byRule, 1, `α = ${format(byRule)}`, true),
    describe: byRule < Infinity ? `To keep ${percent(keep)} takes a share of ${format(byRule)}` : "No share is enough",
  });
  plot(figure("dae"), {
    ...axes, rules: [{ y: keep }],
    lines: [
      { points: curve(0, 1, alpha => laws.retentionRule(atReal, alpha)), series: 2, label: "rule, r of the real data" },
      { points: curve(0, 1, truly), series: 3, plain: true, label: "the denoiser’s own law" },
    ],
    marks: [...at(needed, 3, `α = ${format(needed)}`, true), ...(naive < Infinity ? [{ x: naive, y: truly(naive), series: 2, marker: "triangle", name: "what the rule’s α keeps" }] : [])],
    describe: needed < Infinity ? `To keep ${percent(keep)} takes a share of ${format(needed)}` : "No share is enough",
  });
  const pool = needed < Infinity ? (1 - needed) * keep * u0 + needed * u0 : NaN;
  const verdict = byRule < Infinity ? `Keeping ${percent(keep)} at a loss of ${format(rate)} a round takes ${percent(byRule)} real data` : `At a loss of ${format(rate)} a round nothing keeps ${percent(keep)}`;
  say(verdict, byRule < Infinity ? "kept" : "explodes", [
    ["the denoiser needs", needed < Infinity ? percent(needed) : "more than 100 %"],
    ["its loss there, <var>r</var>", needed < Infinity ? format(Math.log1p(1 / pool)) : "–"],
    ["its loss at the real data", format(atReal)],
    ["so the rule would say", naive < Infinity ? percent(naive) : "more than 100 %"],
    ["and keep only", naive < Infinity ? percent(truly(naive)) : "–"],
  ]);
});

// ------------------------------------------------------------------------------------------------- address and theme
let waiting = null;
function remember(id) {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    const moved = String(views[id].moved());
    history.replaceState(null, "", `#${id}${moved && "?"}${moved}`);
  }, 400);
}
function follow() {
  const [id, query] = location.hash.slice(1).split("?");
  if (!views[id] || query === undefined) return;
  clearTimeout(waiting);
  views[id].set(new URLSearchParams(query));
  document.getElementById(id).scrollIntoView({ behavior: "instant" });
}
addEventListener("hashchange", follow);
follow();

{
  const button = document.getElementById("theme"), system = matchMedia("(prefers-color-scheme: dark)");
  let dark = null;
  const show = () => {
    document.documentElement.style.colorScheme = dark === null ? "" : dark ? "dark" : "light";
    button.textContent = (dark ?? system.matches) ? "Light" : "Dark";
  };
  button.addEventListener("click", () => { dark = !(dark ?? system.matches); show(); });
  system.addEventListener("change", show);
  show();
}
window.rfcollapse = { laws, data: DATA };
