/* A soft dictionary: keys and a query in the plane, softmax of their products, a mixed colour. */
import {
  arrowKeys, button, clamp, connect, draggable, fixed, frame, h, percent, s, slider, softmax,
} from "./shared.js";

/** Scores, weights and the mixture for one query. */
export function answer(keys, query, scale, values) {
  const scores = keys.map((key) => scale * (key[0] * query[0] + key[1] * query[1]));
  const weights = softmax(scores);
  const mixture = [0, 1, 2].map((c) => weights.reduce((sum, weight, i) => sum + weight * values[i][c], 0));
  return { scores, weights, mixture };
}

const SIZE = 320;
const HALF = SIZE / 2;
const RIM = 15; // radius of a handle
const rgb = (colour) => `rgb(${colour.map(Math.round).join(", ")})`;

/** Shaft and head of an arrow whose point ends at the rim of its handle. */
function arrow(limit, [x, y]) {
  const [dx, dy] = [(x / limit) * HALF, (-y / limit) * HALF];
  const angle = Math.atan2(dy, dx);
  const length = Math.max(0, Math.hypot(dx, dy) - RIM);
  const at = (radius, turn) => [HALF + radius * Math.cos(angle + turn), HALF + radius * Math.sin(angle + turn)];
  const [shaft, wing] = [at(Math.max(0, length - 8), 0), Math.atan2(6, length - 12)];
  const head = length < 12 ? [] : [at(length, 0), at(length - 12, wing), at(length - 12, -wing)];
  return { line: { x1: HALF, y1: HALF, x2: shaft[0], y2: shaft[1] }, head: head.join(" ") };
}

function render({ model, el }) {
  const { names, colours, limit } = model.get("data");
  const first = { arrows: model.get("arrows"), query: model.get("query"), scale: model.get("scale") };
  const labels = [...names.map((name, i) => `key ${i + 1}, ${name}`), "query"];
  const paint = [...colours.map(rgb), "currentColor"];

  const shafts = labels.map((_, i) => s("line", { stroke: paint[i], "stroke-width": i < names.length ? 4 : 3,
    "stroke-dasharray": i < names.length ? null : "7 4" }));
  const heads = labels.map((_, i) => s("polygon", { fill: paint[i] }));
  const grid = [-1, 0, 1].flatMap((n) => {
    const at = HALF + (n / limit) * HALF;
    const look = { stroke: "currentColor", "stroke-opacity": n ? 0.12 : 0.35 };
    return [s("line", { x1: at, x2: at, y1: 0, y2: SIZE, ...look }), s("line", { y1: at, y2: at, x1: 0, x2: SIZE, ...look })];
  });
  const picture = s("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, width: "100%", "aria-hidden": "true" },
    s("rect", { width: SIZE, height: SIZE, fill: "none", stroke: "currentColor", "stroke-opacity": 0.25 }),
    ...grid, ...shafts, ...heads);
  const plane = h("div", { class: "xp-plane" }, picture);
  const handles = labels.map((label, i) => h("button", { type: "button", class: "xp-handle", style: `--paint:${paint[i]}`, "aria-roledescription": "movable arrow" },
    i < names.length ? String(i + 1) : "q"));
  plane.append(...handles);

  const rows = names.map((name, i) => {
    const meter = h("span", { class: "xp-meter", style: `background:${paint[i]}` });
    const [score, weight] = [h("td", { class: "xp-number" }), h("td", { class: "xp-number" })];
    const row = h("tr", {}, h("th", { scope: "row" }, `${i + 1} `, h("span", { class: "xp-swatch", style: `background:${paint[i]}` }), ` ${name}`),
      score, weight, h("td", { class: "xp-wide" }, meter));
    return { row, score, weight, meter };
  });
  const table = h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "key → value"),
    h("th", { scope: "col", class: "xp-number" }, "score"), h("th", { scope: "col", class: "xp-number" }, "weight"), h("td", {}))),
  h("tbody", {}, ...rows.map(({ row }) => row)));
  const swatch = h("span", { class: "xp-answer" });
  const said = h("span", {});

  const traits = connect(model, ["arrows", "query", "scale"], update);
  const place = (i) => (i < names.length ? model.get("arrows")[i] : model.get("query"));
  const moveTo = (i, x, y) => {
    const point = [x, y].map((c) => Math.round(clamp(c, -limit, limit) * 100) / 100);
    if (i === names.length) traits.set({ query: point });
    else traits.set({ arrows: model.get("arrows").map((old, j) => (j === i ? point : old)) });
  };
  handles.forEach((handle, i) => {
    draggable(handle, picture, (u, v) => moveTo(i, (2 * u - 1) * limit, (1 - 2 * v) * limit));
    arrowKeys(handle, (dx, dy) => moveTo(i, place(i)[0] + 0.1 * dx, place(i)[1] + 0.1 * dy));
  });
  const scale = slider("Scores × ", { min: 0, max: 8, step: 0.1, value: first.scale, format: (x) => fixed(x, 1), oninput: (x) => traits.set({ scale: x }) });
  const stretch = (factor) => () => {
    const query = model.get("query"); // up to the edge of the plane, without turning
    const most = limit / Math.max(...query.map(Math.abs), 1e-9);
    moveTo(names.length, ...query.map((c) => c * Math.min(factor, most)));
  };
  const { say } = frame(el, "A soft dictionary",
    "Drag the tips of the arrows, or focus one and use the arrow keys (Shift: bigger steps).",
    h("div", { class: "xp-columns" }, plane, h("div", {}, table,
      h("p", { class: "xp-mix" }, swatch, said),
      h("div", { class: "xp-bar" }, scale.node),
      h("div", { class: "xp-bar" }, button("Query × 1.5", stretch(1.5)), button("Query ÷ 1.5", stretch(1 / 1.5)),
        button("Reset", () => traits.set(first))))));

  function update() {
    const [keys, query] = [model.get("arrows"), model.get("query")];
    const { scores, weights, mixture } = answer(keys, query, model.get("scale"), colours);
    labels.forEach((label, i) => {
      const [x, y] = place(i);
      const { line, head } = arrow(limit, [x, y]);
      for (const [name, value] of Object.entries(line)) shafts[i].setAttribute(name, value);
      heads[i].setAttribute("points", head);
      handles[i].style.left = `${50 + (50 * x) / limit}%`;
      handles[i].style.top = `${50 - (50 * y) / limit}%`;
      handles[i].setAttribute("aria-label", `${label}, at ${fixed(x)}, ${fixed(y)}`);
    });
    rows.forEach(({ score, weight, meter }, i) => {
      score.textContent = fixed(scores[i]);
      weight.textContent = `${fixed(100 * weights[i], 1)} %`;
      meter.style.width = `${100 * weights[i]}%`;
    });
    scale.show(model.get("scale"));
    swatch.style.background = rgb(mixture);
    said.textContent = `answer ${rgb(mixture)}`;
    const best = weights.indexOf(Math.max(...weights));
    const entropy = -weights.reduce((sum, w) => sum + (w ? w * Math.log2(w) : 0), 0);
    say(`The query weighs ${names[best]} most, ${percent(weights[best])}. It behaves like a mean of ${fixed(2 ** entropy, 1)} of the ${names.length} values.`);
  }
  update();
  return traits.stop;
}

export default { render };
