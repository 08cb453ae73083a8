// A small plotter: axes, curves and marks as SVG in CSS pixels, so that type keeps its size on any screen.
const SERIES = [ // with the colours --s0 … --s7; dash and marker tell them apart in grey
  { dash: "", marker: "circle" }, { dash: "9 5", marker: "square" }, { dash: "11 4 2 4", marker: "triangle" },
  { dash: "2 4", marker: "diamond" }, { dash: "14 4 2 4 2 4", marker: "inverted" }, { dash: "5 3", marker: "circle" },
  { dash: "16 5", marker: "plus" }, { dash: "3 3", marker: "cross" },
];
const seriesOf = place => place % SERIES.length; // of a list that may be longer
const SHAPES = {
  circle: r => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
  square: r => `M${-r} ${-r}h${2 * r}v${2 * r}h${-2 * r}z`,
  triangle: r => `M0 ${-1.2 * r}L${1.2 * r} ${r}H${-1.2 * r}z`,
  diamond: r => `M0 ${-1.4 * r}L${1.4 * r} 0L0 ${1.4 * r}L${-1.4 * r} 0z`,
  inverted: r => `M0 ${1.2 * r}L${1.2 * r} ${-r}H${-1.2 * r}z`,
  plus: r => `M${-1.3 * r} ${-r / 2}h${0.8 * r}v${-0.8 * r}h${r}v${0.8 * r}h${0.8 * r}v${r}h${-0.8 * r}v${0.8 * r}h${-r}v${-0.8 * r}h${-0.8 * r}z`,
  cross: r => `M0 ${-r / 2}l${0.8 * r} ${-0.8 * r}l${r / 2} ${r / 2}l${-0.8 * r} ${0.8 * r}l${0.8 * r} ${0.8 * r}l${-r / 2} ${r / 2}l${-0.8 * r} ${-0.8 * r}l${-0.8 * r} ${0.8 * r}l${-r / 2} ${-r / 2}l${0.8 * r} ${-0.8 * r}l${-0.8 * r} ${-0.8 * r}l${r / 2} ${-r / 2}z`,
};
const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";

function power(exponent) {
  return "10" + (exponent < 0 ? "⁻" : "") + [...String(Math.abs(exponent))].map(digit => SUPERSCRIPT[digit]).join("");
}
function format(value, digits = 3) {
  if (!Number.isFinite(value)) return "∞";
  if (value === 0) return "0";
  const exponent = Math.floor(Math.log10(Math.abs(value)));
  if (exponent >= 5 || exponent < -3) {
    if (exponent < -300) return "≈ 0";
    return `${Number((value / 10 ** exponent).toPrecision(2))} × ${power(exponent)}`;
  }
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}
function percent(share) {
  if (share > 0 && share < 0.001) return "< 0.1 %";
  return `${Number((100 * share).toPrecision(3))} %`;
}

function scaleOf({ min, max, log }, from, to) {
  const forward = log ? value => Math.log(Math.max(value, 1e-300)) : value => value;
  const [low, high] = [forward(min), forward(max)], far = 3 * Math.abs(to - from);
  const scale = value => {
    const place = from + (forward(value) - low) / (high - low) * (to - from);
    return Math.max(-far, Math.min(far + Math.max(from, to), place)); // far outside, but drawable
  };
  scale.invert = place => {
    const inner = low + (place - from) / (to - from) * (high - low);
    return log ? Math.exp(inner) : inner;
  };
  return scale;
}
function ticksOf({ min, max, log }, most) {
  const ticks = [];
  if (log) {
    const low = Math.ceil(Math.log10(min) - 1e-9), high = Math.floor(Math.log10(max) + 1e-9);
    const step = Math.max(1, Math.ceil((high - low) / most));
    for (let k = high; k >= low; k -= step) ticks.push([10 ** k, k < -3 || k > 4 ? power(k) : String(Number((10 ** k).toPrecision(1)))]);
    return ticks;
  }
  const raw = (max - min) / most, unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find(factor => factor * unit >= raw) * unit;
  for (let k = Math.ceil(min / step - 1e-9); k * step <= max * (1 + 1e-9); k++) {
    ticks.push([k * step, String(Number((k * step).toPrecision(6)))]);
  }
  return ticks;
}

const marker = (name, x, y, r, series, filled = true) =>
  `<path class="s${series} ${filled ? "filled" : "hollow"}" d="${SHAPES[name](r)}" transform="translate(${x.toFixed(1)} ${y.toFixed(1)})"/>`;
const swatch = ({ series, markers, plain, shape }) => `<svg class="swatch" width="${shape ? 16 : 44}" height="16" aria-hidden="true">
  ${shape ? "" : `<path class="line s${series}" stroke-dasharray="${plain ? "" : SERIES[series].dash}" d="M2 8H42"/>`}
  ${shape || markers ? marker(shape || SERIES[series].marker, shape ? 8 : 22, 8, 4.5, series) : ""}</svg>`;

// figure: an element holding .canvas and .legend. x, y: {min, max, log, label}. areas: {points, name}, closed and filled.
// lines: {points, series, label (for the legend), markers, thin, plain (no dashes)}. rules: {x | y, label, below}.
// marks: {x, y, series, marker, label (beside it), name (for the legend), below, hollow}. texts: {x, y, text}.
// describe: the picture in words.
function plot(figure, { x, y, areas = [], lines = [], rules = [], marks = [], texts = [], describe }) {
  const canvas = figure.querySelector(".canvas"), width = canvas.clientWidth, height = canvas.clientHeight;
  if (!width) return;
  const em = parseFloat(getComputedStyle(canvas).fontSize);
  const yTicks = ticksOf(y, Math.max(3, height / (3.2 * em)));
  const widest = Math.max(...yTicks.map(([, text]) => text.length));
  const left = (1 + 0.58 * widest) * em, right = width - 0.9 * em, top = 2.1 * em, bottom = height - 3.1 * em;
  const sx = scaleOf(x, left, right), sy = scaleOf(y, bottom, top);
  const path = points => points.map(([a, b], i) => `${i ? "L" : "M"}${sx(a).toFixed(1)} ${sy(b).toFixed(1)}`).join("");
  const inside = (a, b) => a >= left - 1 && a <= right + 1 && b >= top - 1 && b <= bottom + 1;
  const parts = [];
  for (const [value, text] of ticksOf(x, Math.max(3, width / (4.2 * em)))) {
    parts.push(`<path class="grid" d="M${sx(value)} ${top}V${bottom}"/><text class="tick" text-anchor="middle" x="${sx(value)}" y="${bottom + 1.25 * em}">${text}</text>`);
  }
  for (const [value, text] of yTicks) {
    parts.push(`<path class="grid" d="M${left} ${sy(value)}H${right}"/><text class="tick" text-anchor="end" x="${left - 0.4 * em}" y="${sy(value) + 0.32 * em}">${text}</text>`);
  }
  parts.push(`<text class="axis" text-anchor="middle" x="${(left + right) / 2}" y="${height - 0.5 * em}">${x.label}</text>`);
  parts.push(`<text class="axis" x="${0.2 * em}" y="${1.1 * em}">${y.label}</text>`);
  const clip = `clip-${figure.id}`;
  parts.push(`<clipPath id="${clip}"><rect x="${left}" y="${top}" width="${right - left}" height="${bottom - top}"/></clipPath><g clip-path="url(#${clip})">`);
  for (const { points, name } of areas) parts.push(`<path class="area ${name}" d="${path(points)}z"/>`);
  for (const { x: a, y: b } of rules) parts.push(`<path class="rule" d="${a === undefined ? `M${left} ${sy(b)}H${right}` : `M${sx(a)} ${top}V${bottom}`}"/>`);
  for (const { points, series, thin, plain } of lines) {
    parts.push(`<path class="line s${series}${thin ? " thin" : ""}" stroke-dasharray="${plain ? "" : SERIES[series].dash}" d="${path(points)}"/>`);
  }
  parts.push("</g>");
  for (const { points, series, markers } of lines) {
    if (!markers) continue;
    let last = -Infinity;
    for (const [a, b] of points) {
      const [px, py] = [sx(a), sy(b)];
      if (!inside(px, py) || px - last < 1.1 * em) continue;
      parts.push(marker(SERIES[series].marker, px, py, 0.26 * em, series));
      last = px;
    }
  }
  for (const { x: a, y: b, label, below } of rules) {
    if (!label) continue;
    parts.push(a === undefined
      ? `<text class="note" text-anchor="end" x="${right - 0.3 * em}" y="${sy(b) + (below ? 1.1 : -0.35) * em}">${label}</text>`
      : `<text class="note" x="${sx(a) + 0.35 * em}" y="${top + em}">${label}</text>`);
  }
  for (const { x: a, y: b, text } of texts) parts.push(`<text class="inside" text-anchor="middle" x="${sx(a)}" y="${sy(b)}">${text}</text>`);
  for (const { x: a, y: b, series, marker: name = "circle", label, below, hollow } of marks) {
    const [px, py] = [sx(a), sy(b)];
    if (!inside(px, py)) continue;
    parts.push(marker(name, px, py, 0.42 * em, series, !hollow));
    const end = px > (left + 2 * right) / 3;
    if (label) parts.push(`<text class="note" text-anchor="${end ? "end" : "start"}" x="${px + (end ? -0.7 : 0.7) * em}" y="${py + (below ? 1.3 : -0.6) * em}">${label}</text>`);
  }
  const title = figure.querySelector("figcaption").textContent;
  canvas.innerHTML = `<svg width="${width}" height="${height}" role="img" aria-label="${title}. ${describe}"><path class="frame" d="M${left} ${top}V${bottom}H${right}"/>${parts.join("")}</svg>`;
  const named = [...lines.filter(line => line.label), ...marks.filter(mark => mark.name).map(mark => ({ ...mark, label: mark.name, shape: mark.marker }))];
  figure.querySelector(".legend").innerHTML = named.map(entry => `<span>${swatch(entry)} ${entry.label}</span>`).join("");
  figure.at = (clientX, clientY) => {
    const frame = canvas.getBoundingClientRect();
    return [sx.invert(clientX - frame.left), sy.invert(clientY - frame.top)];
  };
}
