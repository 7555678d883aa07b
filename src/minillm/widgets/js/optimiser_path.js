/* The optimiser's path: contours of a surface, a start to drag, five rules, step by step. */
import {
  arrowKeys, button, clamp, connect, draggable, fixed, frame, h, s, segmented, select, slider,
} from "./shared.js";

const [EPS, BETA2, LOST, HOLLOW] = [1e-8, 0.999, 1e6, -1.057453770738378];

/** Height and slope of each surface at (x, y); `ratio` is the steepness across. */
export const SURFACES = {
  valley: (ratio, x, y) => [(x * x + ratio * y * y) / 2, x, ratio * y],
  bend(ratio, x, y) {
    const u = y - (x * x) / 2 + 1;
    return [((x - 1) ** 2 + ratio * u * u) / 2, x - 1 - ratio * u * x, ratio * u];
  },
  "two hollows"(ratio, x, y) {
    const floor = (HOLLOW ** 2 - 1) ** 2 / 2 + HOLLOW / 4;
    return [(x * x - 1) ** 2 / 2 + x / 4 + (ratio * y * y) / 2 - floor, 2 * x * (x * x - 1) + 0.25, ratio * y];
  },
};

/** One coordinate of the next point; `memory` keeps m, s and v of this coordinate. */
function moved(rule, point, slope, memory, t, { rate, beta, decay }) {
  const blend = (name, share, value) => (memory[name] = share * (memory[name] ?? 0) + (1 - share) * value);
  if (rule === "gradient descent") return point - rate * slope;
  if (rule === "momentum") return point - rate * (memory.v = beta * (memory.v ?? 0) + slope);
  if (rule === "RMSProp") return point - (rate * slope) / (Math.sqrt(blend("s", beta, slope * slope)) + EPS);
  const from = rule === "AdamW" ? point * (1 - rate * decay) : point;
  const m = blend("m", beta, slope) / (1 - beta ** t);
  const v = blend("s", BETA2, slope * slope) / (1 - BETA2 ** t);
  return from - (rate * m) / (Math.sqrt(v) + EPS);
}

/** The points of a run, start first; it ends early where it diverges. */
export function walk({ surface, ratio, rule, start, ...settings }, steps) {
  const points = [start];
  const memories = [{}, {}];
  for (let t = 1; t <= steps; t++) {
    const here = points[t - 1];
    const [, ...slope] = SURFACES[surface](ratio, ...here);
    points.push(here.map((c, i) => moved(rule, c, slope[i], memories[i], t, settings)));
    if (!points[t].every((c) => Math.abs(c) < LOST)) break;
  }
  return points;
}

/** The line on which a grid of heights has one level: a piece for each square that it crosses. */
function contour(grid, level, at) {
  const pieces = [];
  for (let i = 0; i + 1 < grid.length; i++) for (let j = 0; j + 1 < grid.length; j++) {
    const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
    const cuts = corners.flatMap((a, k) => {
      const b = corners[(k + 1) % 4];
      const [p, q] = [grid[a[0]][a[1]] - level, grid[b[0]][b[1]] - level];
      if (p < 0 === q < 0) return [];
      return [at(a[0] + (p / (p - q)) * (b[0] - a[0]), a[1] + (p / (p - q)) * (b[1] - a[1]))];
    });
    for (let k = 0; k + 1 < cuts.length; k += 2) pieces.push(`M${cuts[k]}L${cuts[k + 1]}`);
  }
  return pieces.join("");
}

const SIZE = 320;
const CELLS = 48;
const LEVELS = 12;
const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const raised = (n) => (n < 0 ? "⁻" : "") + String(Math.abs(n)).replace(/\d/g, (d) => RAISED[d]);

/** Three digits, with a power of ten where there would be many zeros. */
function digits(x) {
  if (!Number.isFinite(x) || Math.abs(x) > LOST) return "∞";
  if (x === 0 || (x >= 0.001 && x < 10000)) return String(Number(x.toPrecision(3)));
  const power = Math.floor(Math.log10(x));
  return `${(x / 10 ** power).toFixed(1)} · 10${raised(power)}`;
}

const CHART = { left: 34, top: 24, bottom: 22, height: 200 };

/** Curves of the loss on a logarithmic axis, from 10⁻⁶ up. */
function chart(runs, most) {
  const top = Math.max(...runs.flatMap(({ losses }) => losses.filter((loss) => loss < LOST)), 1e-3);
  const [low, high] = [-6, Math.ceil(Math.log10(top))];
  const x = (n) => CHART.left + (n / most) * (SIZE - CHART.left - 6);
  const y = (loss) => CHART.top + ((high - clamp(Math.log10(loss || 1e-300), low, high)) / (high - low)) * (CHART.height - CHART.top - CHART.bottom);
  const marks = [];
  for (let power = low; power <= high; power += 2) {
    marks.push(s("line", { x1: CHART.left, x2: SIZE - 6, y1: y(10 ** power), y2: y(10 ** power), stroke: "currentColor", "stroke-opacity": 0.13 }),
      s("text", { x: CHART.left - 5, y: y(10 ** power) + 4, "text-anchor": "end" }, `10${raised(power)}`));
  }
  const names = [s("text", { x: 0, y: 11 }, "loss"), s("text", { x: CHART.left, y: CHART.height - 4 }, "step 0"),
    s("text", { x: SIZE - 6, y: CHART.height - 4, "text-anchor": "end" }, String(most))];
  const lines = runs.map(({ losses, look }) => s("polyline", { fill: "none", "stroke-width": 2.5, "stroke-linejoin": "round", ...look,
    points: losses.map((loss, n) => `${x(n).toFixed(1)},${y(loss).toFixed(1)}`).join(" ") }));
  return [...marks, ...names, ...lines];
}

const NAMES = ["surface", "rule", "rate", "memory", "ratio", "decay", "start", "steps"];
const NOW = { stroke: "var(--xp-blue)" };
const KEPT = { stroke: "var(--xp-vermillion)", "stroke-dasharray": "6 4" };

function render({ model, el }) {
  const { rules, limit, most } = model.get("data");
  const first = Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));
  const traits = connect(model, NAMES, update);
  let kept = null;
  let drawn = "";

  const px = (x) => ((x + limit) / (2 * limit)) * SIZE;
  const at = ([x, y]) => `${px(clamp(x, -9, 9)).toFixed(1)} ${px(-clamp(y, -9, 9)).toFixed(1)}`;
  const rings = s("g", { fill: "none", stroke: "currentColor", "stroke-opacity": 0.3 });
  const trails = s("g", { fill: "none", "stroke-linejoin": "round" });
  const downhill = s("line", { stroke: "var(--xp-green)", "stroke-width": 4, "stroke-linecap": "round" });
  const here = s("circle", { r: 6, fill: "var(--xp-blue)", stroke: "var(--pst-color-background, Canvas)", "stroke-width": 2 });
  const picture = s("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, width: "100%", style: "overflow:hidden", "aria-hidden": "true" },
    rings, s("rect", { width: SIZE, height: SIZE, fill: "none", stroke: "currentColor", "stroke-opacity": 0.3 }), trails, downhill, here);
  const handle = h("button", { type: "button", class: "xp-handle", "aria-roledescription": "movable start" }, "S");
  const plane = h("div", { class: "xp-plane" }, picture, handle);
  const curves = s("svg", { viewBox: `0 0 ${SIZE} ${CHART.height}`, width: "100%", "aria-hidden": "true" });

  const startAt = (x, y) => traits.set({ start: [x, y].map((c) => Math.round(clamp(c, -limit, limit) * 100) / 100) });
  const toPlane = (u, v) => [(2 * u - 1) * limit, (1 - 2 * v) * limit];
  draggable(handle, picture, (u, v) => startAt(...toPlane(u, v)));
  arrowKeys(handle, (dx, dy) => startAt(model.get("start")[0] + 0.1 * dx, model.get("start")[1] + 0.1 * dy));
  picture.addEventListener("click", (event) => {
    const box = picture.getBoundingClientRect();
    startAt(...toPlane((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height));
  });

  const power = (name, min, max, label) => slider(label, { min, max, step: 0.01, value: Math.log10(first[name]),
    format: (x) => digits(10 ** x), oninput: (x) => traits.set({ [name]: Number((10 ** x).toPrecision(3)) }) });
  const plain = (name, max, step, label) => slider(label, { min: 0, max, step, value: first[name],
    format: (x) => fixed(x), oninput: (x) => traits.set({ [name]: x }) });
  const rate = power("rate", -3, Math.log10(2), "Learning rate");
  const ratio = power("ratio", 0, Math.log10(200), "Steepness across");
  const memory = plain("memory", 0.99, 0.01, "Memory β");
  const decay = plain("decay", 2, 0.05, "Weight decay");
  const place = select("Surface", Object.keys(SURFACES).map((name) => [name, name]), first.surface, (surface) => traits.set({ surface }));
  const choose = segmented("Rule", rules.map((rule) => [rule, rule]), first.rule, (rule) => traits.set({ rule }));
  const go = (n) => () => traits.set({ steps: clamp(model.get("steps") + n, 0, most) });
  const keep = button("Keep to compare", () => {
    kept = kept ? null : settings();
    update();
  });
  const figures = h("div", { class: "xp-figures" });
  const { say } = frame(el, "The optimiser's path",
    "Drag the start S, or focus it and use the arrow keys; then take steps. The green stroke points straight downhill.",
    h("div", { class: "xp-bar" }, place.node, choose),
    h("div", { class: "xp-columns" }, plane, h("div", {}, curves,
      h("div", { class: "xp-bar" }, button("1 step", go(1)), button("10 steps", go(10)), button("100 steps", go(100)), button("Back to S", go(-most))),
      figures)),
    h("div", { class: "xp-bar" }, rate.node, memory.node, ratio.node, decay.node),
    h("div", { class: "xp-bar" }, keep, button("Reset", () => {
      kept = null;
      traits.set(first);
      choose.querySelector(`[value="${first.rule}"]`).checked = true;
      update();
    })));

  function settings() {
    const [surface, rule, rate_, memory_, ratio_, decay_, start, steps] = NAMES.map((name) => model.get(name));
    return { surface, rule, rate: rate_, beta: memory_, ratio: ratio_, decay: decay_, start, steps };
  }

  function run(chosen, look) {
    const points = walk(chosen, chosen.steps);
    // The kept path is measured on the surface that is shown.
    const losses = points.map((point) => SURFACES[model.get("surface")](model.get("ratio"), ...point)[0]);
    return { points, losses, look, broken: points.length <= chosen.steps || !points.at(-1).every((c) => Math.abs(c) < LOST) };
  }

  function contours() {
    const key = `${model.get("surface")} ${model.get("ratio")}`;
    if (key === drawn) return;
    drawn = key;
    const side = Array.from({ length: CELLS + 1 }, (_, i) => (2 * i / CELLS - 1) * limit);
    const grid = side.map((x) => side.map((y) => SURFACES[model.get("surface")](model.get("ratio"), x, y)[0]));
    const top = Math.max(...grid.flat());
    const onPage = (i, j) => `${((i / CELLS) * SIZE).toFixed(1)} ${((1 - j / CELLS) * SIZE).toFixed(1)}`;
    rings.replaceChildren(...Array.from({ length: LEVELS }, (_, k) =>
      s("path", { d: contour(grid, top * ((k + 0.5) / LEVELS) ** 3, onPage) })));
  }

  function trail({ points, look }) {
    const dots = points.slice(0, 80).map((point) => s("circle", { r: 2.2, fill: look.stroke, stroke: "none", transform: `translate(${at(point)})` }));
    return [s("path", { d: `M${points.map(at).join("L")}`, "stroke-width": 2, ...look }), ...dots];
  }

  function update() {
    const chosen = settings();
    const now = run(chosen, NOW);
    const runs = kept ? [run({ ...kept, steps: chosen.steps, surface: chosen.surface, ratio: chosen.ratio }, KEPT), now] : [now];
    contours();
    trails.replaceChildren(...runs.flatMap(trail));
    curves.replaceChildren(...chart(runs, Math.max(20, chosen.steps)));
    const end = now.points.at(-1);
    const [, ...slope] = SURFACES[chosen.surface](chosen.ratio, ...end);
    const length = Math.hypot(...slope);
    here.setAttribute("transform", `translate(${at(end)})`);
    const tip = end.map((c, i) => c - (length ? (0.3 * slope[i]) / length : 0));
    for (const [name, value] of Object.entries({ x1: px(end[0]), y1: px(-end[1]), x2: px(tip[0]), y2: px(-tip[1]) })) {
      downhill.setAttribute(name, clamp(value, -1e4, 1e4));
    }
    handle.style.left = `${50 + (50 * chosen.start[0]) / limit}%`;
    handle.style.top = `${50 - (50 * chosen.start[1]) / limit}%`;
    handle.setAttribute("aria-label", `start, at ${fixed(chosen.start[0])}, ${fixed(chosen.start[1])}`);
    rate.show(Math.log10(chosen.rate));
    ratio.show(Math.log10(chosen.ratio));
    memory.show(chosen.beta);
    decay.show(chosen.decay);
    memory.node.hidden = chosen.rule === "gradient descent";
    decay.node.hidden = chosen.rule !== "AdamW";
    place.input.value = chosen.surface;
    keep.textContent = kept ? "Forget the kept path" : "Keep to compare";
    const told = [["steps", String(now.points.length - 1)], ["loss", digits(now.losses.at(-1))], ["length of the gradient", digits(length)]];
    if (kept) told.push([`loss of the kept path (${kept.rule})`, digits(runs[0].losses.at(-1))]);
    figures.replaceChildren(...told.map(([name, value]) => h("p", {}, h("span", {}, name), h("strong", {}, value))));
    say(sentence(chosen, now, end));
  }

  function sentence({ surface, rule, rate: eta, beta, ratio: steep, steps }, now, end) {
    const bears = surface !== "valley" || !["gradient descent", "momentum"].includes(rule) ? ""
      : ` Across, the curvature is ${digits(steep)}: ${rule} bears rates below ${digits((2 * (1 + (rule === "momentum" ? beta : 0))) / steep)}.`;
    if (now.broken) return `With ${rule} at rate ${digits(eta)} the path diverges: after ${now.points.length - 1} steps it is out of sight.${bears}`;
    const where = `(${fixed(end[0])}, ${fixed(end[1])})`;
    if (!steps) return `At the start ${where} the loss is ${digits(now.losses[0])}. Take a step.${bears}`;
    return `After ${steps} ${steps === 1 ? "step" : "steps"} of ${rule} at rate ${digits(eta)} the point is at ${where}, the loss ${digits(now.losses.at(-1))}.${bears}`;
  }
  update();
  return traits.stop;
}

export default { render };
