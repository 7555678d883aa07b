/* Rotary positions: four dials on which a query's and a key's pair of coordinates turn. */
import {
  arrowKeys, button, checkbox, clamp, connect, draggable, fixed, frame, h, onWidth, s, segmented, slider,
} from "./shared.js";

/** Radians per position of each of the pairs. */
export const frequencies = (pairs, theta) => Array.from({ length: pairs }, (_, i) => theta ** (-i / pairs));

/** The two coordinates of each pair. The vector is in half-split order; "reordered" undoes the other layout. */
export function paired(vector, layout) {
  const half = vector.length / 2;
  return Array.from({ length: half }, (_, i) =>
    (layout === "interleaved" ? [vector[2 * i], vector[2 * i + 1]] : [vector[i], vector[i + half]]));
}

/** What each pair adds to the score at a distance. */
export function contributions(query, key, distance, theta, layout) {
  const [q, k] = [paired(query, layout), paired(key, layout)];
  return frequencies(q.length, theta).map((w, i) => {
    const [cos, sin] = [Math.cos(distance * w), Math.sin(distance * w)];
    const [x, y] = [q[i][0] * cos - q[i][1] * sin, q[i][0] * sin + q[i][1] * cos];
    return x * k[i][0] + y * k[i][1];
  });
}

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
const RADIUS = 56;
const HIGH = 150; // of the curve
const LAYOUTS = ["half-split", "interleaved", "interleaved, reordered"];

/** A hand of a dial: a line, a head, and a letter beyond its tip. */
function hand(letter, className, dash) {
  const line = s("line", { x1: 0, y1: 0, "stroke-width": 4, "stroke-dasharray": dash, class: className });
  const tip = s("polygon", { class: className });
  const text = s("text", { "text-anchor": "middle", "dominant-baseline": "central" }, letter);
  const show = (length, angle) => {
    const at = (r, turn = 0) => [r * Math.cos(angle + turn), -r * Math.sin(angle + turn)];
    const [x, y] = at(Math.max(0, length - 8));
    line.setAttribute("x2", x);
    line.setAttribute("y2", y);
    const wing = Math.atan2(6, Math.max(1, length - 11));
    tip.setAttribute("points", [at(length), at(length - 11, wing), at(length - 11, -wing)].join(" "));
    const [tx, ty] = at(length + 10);
    text.setAttribute("x", tx);
    text.setAttribute("y", ty);
  };
  return { nodes: [line, tip, text], show };
}

function dial() {
  const rest = [0, 1].map(() => s("line", { x1: 0, y1: 0, class: "xp-rest" }));
  const [query, key] = [hand("q", "xp-hand-q", null), hand("k", "xp-hand-k", "6 3")];
  const size = RADIUS + 18;
  const picture = s("svg", { viewBox: `${-size} ${-size} ${2 * size} ${2 * size}`, width: "100%", "aria-hidden": "true" },
    s("circle", { r: RADIUS, fill: "none", stroke: "currentColor", "stroke-opacity": 0.3 }), ...rest, ...key.nodes, ...query.nodes);
  const [name, turn, part] = [h("strong", {}), h("span", {}), h("span", { class: "xp-part" })];
  const node = h("li", { class: "xp-dial" }, picture, name, turn, part);
  const show = (pair, w, m, n, scale, value, label) => {
    [pair.q, pair.k].forEach(([x, y], i) => {
      const [length, angle] = [Math.hypot(x, y) * scale, Math.atan2(y, x)];
      rest[i].setAttribute("x2", length * Math.cos(angle));
      rest[i].setAttribute("y2", -length * Math.sin(angle));
      [query, key][i].show(length, angle + [m, n][i] * w);
    });
    name.textContent = label;
    turn.textContent = `a turn every ${fixed((2 * Math.PI) / w, 1)}`;
    part.textContent = `${value < 0 ? "" : "+"}${fixed(value)}`;
  };
  return { node, show };
}

/** The score against the distance, with a mark at the present one. */
function curve(last) {
  const line = s("path", { fill: "none", class: "xp-score-line" });
  const zero = s("line", { stroke: "currentColor", "stroke-opacity": 0.3 });
  const mark = s("circle", { r: 6, class: "xp-score-mark" });
  const ticks = [-last, -last / 2, 0, last / 2, last];
  const labels = ticks.map((tick) => s("text", { y: HIGH - 4, "text-anchor": "middle" }, fixed(tick, 0)));
  const picture = s("svg", { width: "100%", height: HIGH, "aria-hidden": "true" }, zero, line, mark, ...labels);
  let width = 320;
  const show = (scores, distance, top) => {
    const x = (d) => 16 + ((d + last) / (2 * last)) * (width - 32);
    const y = (score) => (HIGH - 22) * (0.5 - 0.47 * (score / top));
    line.setAttribute("d", `M${scores.map((score, i) => `${x(i - last).toFixed(1)},${y(score).toFixed(1)}`).join("L")}`);
    for (const [name, value] of Object.entries({ x1: x(-last), x2: x(last), y1: y(0), y2: y(0) })) zero.setAttribute(name, value);
    mark.setAttribute("cx", x(distance));
    mark.setAttribute("cy", y(scores[distance + last]));
    labels.forEach((label, i) => label.setAttribute("x", x(ticks[i])));
  };
  return { picture, show, setWidth: (value) => { width = value; } };
}

function render({ model, el }) {
  const { query, key, last } = model.get("data");
  const names = ["m", "n", "theta", "layout", "locked"];
  const first = Object.fromEntries(names.map((name) => [name, model.get(name)]));
  const pairs = query.length / 2;
  const dials = Array.from({ length: pairs }, dial);
  const chart = curve(last);
  const traits = connect(model, names, update);

  /** Move one of the two tokens; locked, the other one goes with it as far as both can. */
  function move(name, to) {
    const other = name === "m" ? "n" : "m";
    const [here, there] = [model.get(name), model.get(other)];
    if (!model.get("locked")) return traits.set({ [name]: clamp(to, 0, last) });
    const step = clamp(to - here, -Math.min(here, there), last - Math.max(here, there));
    return traits.set({ [name]: here + step, [other]: there + step });
  }
  const ruler = h("div", { class: "xp-ruler" });
  const grips = ["m", "n"].map((name) => {
    const grip = h("button", { type: "button", class: `xp-token-grip xp-grip-${name}`, role: "slider",
      "aria-valuemin": 0, "aria-valuemax": last }, name === "m" ? "q" : "k");
    draggable(grip, ruler, (u) => move(name, Math.round(u * last)));
    arrowKeys(grip, (dx, dy) => move(name, model.get(name) + dx + dy));
    return grip;
  });
  ruler.append(...grips);
  const ends = h("div", { class: "xp-ruler-ends", "aria-hidden": "true" }, h("span", {}, "position 0"), h("span", {}, String(last)));
  const lock = checkbox("keep the distance", first.locked, (on) => traits.set({ locked: on }));
  const theta = slider("θ, base of the frequencies ", { min: 0, max: 4, step: 0.25, value: Math.log10(first.theta),
    format: (x) => (10 ** x).toFixed(x < 1 ? 1 : 0), oninput: (x) => traits.set({ theta: 10 ** x }) });
  const layout = segmented("Pairs", LAYOUTS.map((name) => [name, name]), first.layout, (name) => traits.set({ layout: name }));
  const total = h("p", { class: "xp-sums" });
  const plot = h("div", {}, h("p", { class: "xp-note" }, "score at every distance m − n"), chart.picture);
  const { say } = frame(el, "Positions as rotations",
    "Drag q and k along the ruler, or focus one and use the arrow keys (Shift: steps of five). Thin lines: the pairs before they are turned.",
    ruler, ends, h("div", { class: "xp-bar" }, lock.node, button("Reset", () => traits.set(first))),
    h("ul", { class: "xp-dials" }, ...dials.map(({ node }) => node)), total, plot,
    h("div", { class: "xp-bar" }, theta.node, layout));

  function update() {
    const [m, n, base, order] = ["m", "n", "theta", "layout"].map((name) => model.get(name));
    const [q, k, speeds] = [paired(query, order), paired(key, order), frequencies(pairs, base)];
    const parts = contributions(query, key, m - n, base, order);
    const scale = RADIUS / Math.max(...[...q, ...k].map(([x, y]) => Math.hypot(x, y)));
    dials.forEach(({ show }, i) => {
      const [a, b] = order === "half-split" ? [i, i + pairs] : [2 * i, 2 * i + 1];
      show({ q: q[i], k: k[i] }, speeds[i], m, n, scale, parts[i], `coordinates ${a} and ${b}`);
    });
    grips.forEach((grip, i) => {
      grip.style.left = `${(100 * [m, n][i]) / last}%`;
      grip.setAttribute("aria-valuenow", [m, n][i]);
      grip.setAttribute("aria-label", `position of the ${["query, m", "key, n"][i]}`);
    });
    const scores = Array.from({ length: 2 * last + 1 }, (_, i) => sum(contributions(query, key, i - last, base, order)));
    chart.show(scores, m - n, sum(q.map((pair, i) => Math.hypot(...pair) * Math.hypot(...k[i]))));
    total.textContent = `score ${fixed(sum(parts))} = ${parts.map((part, i) => `${i && part >= 0 ? "+ " : ""}${fixed(part)}`).join(" ").replaceAll(" −", " − ")}`;
    theta.show(Math.log10(base));
    lock.input.checked = model.get("locked");
    layout.querySelectorAll("input").forEach((input) => { input.checked = input.value === order; });
    say(`Query at ${m}, key at ${n}: distance ${fixed(m - n, 0)}, score ${fixed(sum(parts))}. Every other pair of positions at this distance has the same score.`);
  }
  update();
  const stopWidth = onWidth(plot, (width) => { chart.setWidth(width); update(); });
  return () => { traits.stop(); stopWidth(); };
}

export default { render };
