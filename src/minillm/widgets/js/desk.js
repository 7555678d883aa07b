/* The moderator's desk: two thresholds, three prices, and what they do to a test set. */
import {
  arrowKeys, button, checkbox, clamp, connect, draggable, fixed, frame, h, numberField, onWidth, percent, s, select, slider, unpackUints,
} from "./shared.js";

const STEPS = 65535;
const BINS = 40;
const HEIGHT = 220;

/** sigmoid(logit(p) / T), safe at 0 and 1. */
export function calibrated(p, temperature) {
  if (temperature === 1) return p;
  const power = 1 / temperature;
  return p ** power / (p ** power + (1 - p) ** power);
}

/** Counts of texts by decision and label, the share asked, and the cost per text. */
export function decide(probabilities, labels, low, high, costs) {
  const counts = { kept: [0, 0], asked: [0, 0], removed: [0, 0] };
  probabilities.forEach((p, i) => {
    counts[p >= high ? "removed" : p < low ? "kept" : "asked"][labels[i]]++;
  });
  const asked = counts.asked[0] + counts.asked[1];
  const paid = costs.wrong * counts.removed[0] + costs.miss * counts.kept[1] + costs.look * asked;
  return { ...counts, share: asked / labels.length, cost: paid / labels.length };
}

/** The cheapest pair of thresholds on a grid of hundredths; `band` false keeps them equal. */
export function cheapest(probabilities, labels, costs, band) {
  // A histogram over "how many hundredths are at most p" makes every pair a matter of sums.
  const under = Array.from({ length: 102 }, () => [0, 0]);
  const grid = Array.from({ length: 101 }, (_, i) => i / 100);
  probabilities.forEach((p, i) => {
    const cell = grid.findLastIndex((threshold) => threshold <= p) + 1;
    for (let j = cell; j < 102; j++) under[j][labels[i]]++;
  });
  const all = under[101];
  let best = { cost: Infinity };
  for (let a = 0; a < 101; a++) {
    for (let b = a; b < (band ? 101 : a + 1); b++) {
      const asked = under[b][0] + under[b][1] - under[a][0] - under[a][1];
      const paid = costs.wrong * (all[0] - under[b][0]) + costs.miss * under[a][1] + costs.look * asked;
      if (paid < best.cost) best = { cost: paid, low: grid[a], high: grid[b] };
    }
  }
  return { low: best.low, high: best.high, cost: best.cost / labels.length };
}

function render({ model, el }) {
  const data = model.get("data");
  const labels = [...unpackUints(data.labels, 8)];
  const stored = Object.fromEntries(Object.entries(data.probabilities).map(([name, text]) => [name, unpackUints(text, 16).map((n) => n / STEPS)]));
  const traits = connect(model, ["model", "low", "high", "costs", "calibrate"], update);
  const temperature = () => (model.get("calibrate") ? data.temperatures[model.get("model")] ?? 1 : 1);
  const current = () => stored[model.get("model")].map((p) => calibrated(p, temperature()));
  const setLow = (x) => traits.set({ low: x, high: Math.max(x, model.get("high")) });
  const setHigh = (x) => traits.set({ high: x, low: Math.min(x, model.get("low")) });
  let width = 0;

  const models = select("Model", Object.keys(stored).map((name) => [name, name]), model.get("model"), (name) => traits.set({ model: name }));
  const cool = checkbox("calibrate (temperature)", model.get("calibrate"), (on) => traits.set({ calibrate: on }));
  const prices = [["wrong", "Wrong removal"], ["miss", "Miss"], ["look", "A person's look"]].map(([name, label]) => [name, numberField(`${label} costs`,
    { min: 0, max: 1000, step: "any", value: model.get("costs")[name], onchange: (x) => traits.set({ costs: { ...model.get("costs"), [name]: x } }) })]);
  const share = (x) => fixed(x);
  const low = slider("Keep below", { min: 0, max: 1, step: 0.01, value: model.get("low"), format: share, oninput: setLow });
  const high = slider("Remove from", { min: 0, max: 1, step: 0.01, value: model.get("high"), format: share, oninput: setHigh });
  const best = (band) => () => {
    const found = cheapest(current(), labels, model.get("costs"), band);
    traits.set({ low: found.low, high: found.high });
  };

  const picture = s("svg", { width: "100%", height: HEIGHT, "aria-hidden": "true" });
  const grips = [["low", setLow], ["high", setHigh]].map(([name, set]) => {
    const grip = h("button", { type: "button", class: `xp-grip xp-grip-${name}`, role: "slider", "aria-valuemin": 0, "aria-valuemax": 1,
      "aria-label": name === "low" ? "Threshold: keep below" : "Threshold: remove from" }, name === "low" ? "▸" : "◂");
    draggable(grip, picture, (u) => set(Math.round(u * 100) / 100));
    arrowKeys(grip, (dx, dy) => set(clamp(Math.round((model.get(name) + 0.01 * (dx + dy)) * 100) / 100, 0, 1)));
    return grip;
  });
  const stage = h("div", { class: "xp-chart" }, picture, ...grips);
  const cells = [0, 1].map(() => ["kept", "asked", "removed"].map(() => h("td", { class: "xp-number" })));
  const table = h("table", { class: "xp-confusion" }, h("thead", {}, h("tr", {}, h("td", {}), ...["kept", "asked", "removed"].map((name) => h("th", { scope: "col", class: "xp-number" }, name)))),
    h("tbody", {}, ...[1, 0].map((label) => h("tr", {}, h("th", { scope: "row" }, data.names[label]), ...cells[label]))));
  const sums = h("div", { class: "xp-figures" });
  const mistakes = h("div", { class: "xp-mistakes" });
  const { say } = frame(el, "The moderator's desk", "Each text has a probability. Choose what is kept, what is removed, and what a person looks at. Bars: how many texts (square-root scale).",
    h("div", { class: "xp-bar" }, models.node, Object.keys(data.temperatures).length ? cool.node : "", ...prices.map(([, field]) => field.node)),
    stage, h("div", { class: "xp-bar" }, low.node, high.node),
    h("div", { class: "xp-bar" }, button("Cheapest single threshold", best(false)), button("Cheapest with people", best(true))),
    h("div", { class: "xp-columns" }, table, sums), mistakes);

  function draw(probabilities) {
    const counts = [0, 1].map(() => new Array(BINS).fill(0));
    probabilities.forEach((p, i) => counts[labels[i]][Math.min(BINS - 1, Math.floor(p * BINS))]++);
    const top = Math.max(1, ...counts.flat());
    const [middle, room] = [HEIGHT / 2 - 8, HEIGHT / 2 - 30];
    const [a, b] = [model.get("low"), model.get("high")].map((x) => x * width);
    const zone = (from, to, name, text) => [
      s("rect", { x: from, width: Math.max(0, to - from), y: 0, height: HEIGHT - 16, class: `xp-zone-${name}` }),
      to - from > 44 ? s("text", { x: (from + to) / 2, y: 12, "text-anchor": "middle", class: "xp-strong-text" }, text) : ""];
    const bars = counts.flatMap((row, label) => row.map((count, i) => {
      const height = (room * Math.sqrt(count)) / Math.sqrt(top);
      return s("rect", { x: (i * width) / BINS + 0.5, width: width / BINS - 1, y: label ? middle - height : middle, height, class: `xp-bar-${label}` });
    }));
    const notes = [s("text", { x: 4, y: middle - room + 4 }, `${data.names[1]} ↑`), s("text", { x: 4, y: middle + room + 4 }, `${data.names[0]} ↓`),
      ...[0, 0.25, 0.5, 0.75, 1].map((p) => s("text", { x: p * width, y: HEIGHT - 2, "text-anchor": p === 0 ? "start" : p === 1 ? "end" : "middle" }, String(p)))];
    picture.replaceChildren(...zone(0, a, "keep", "keep"), ...zone(a, b, "ask", "ask"), ...zone(b, width, "remove", "remove"), ...bars,
      s("line", { x1: 0, x2: width, y1: middle, y2: middle, stroke: "currentColor" }),
      ...[a, b].map((at) => s("line", { x1: at, x2: at, y1: 0, y2: HEIGHT - 16, stroke: "currentColor", "stroke-width": 2 })), ...notes);
  }

  function list(title, order) {
    const worst = order.slice(0, 3);
    if (!worst.length) return "";
    return h("div", {}, h("p", { class: "xp-note" }, title), h("ul", {}, ...worst.map(([i, p]) => h("li", {}, h("strong", {}, fixed(p)), ` ${data.texts[i]}`))));
  }

  function showMistakes(probabilities) {
    if (!data.texts.length) return;
    const all = probabilities.map((p, i) => [i, p]);
    const missed = all.filter(([i, p]) => labels[i] && p < model.get("low") && p < model.get("high")).sort((a, b) => a[1] - b[1]);
    const wrong = all.filter(([i, p]) => !labels[i] && p >= model.get("high")).sort((a, b) => b[1] - a[1]);
    mistakes.replaceChildren(list(`Worst misses (${data.names[1]}, kept)`, missed), list(`Worst removals (${data.names[0]}, removed)`, wrong));
  }

  function update() {
    const probabilities = current();
    const [a, b] = [model.get("low"), model.get("high")];
    const result = decide(probabilities, labels, a, b, model.get("costs"));
    models.input.value = model.get("model");
    cool.input.checked = model.get("calibrate");
    cool.input.disabled = !(model.get("model") in data.temperatures);
    low.show(a);
    high.show(b);
    for (const [name, field] of prices) if (document.activeElement !== field.input) field.input.value = model.get("costs")[name];
    if (width) draw(probabilities);
    grips.forEach((grip, i) => {
      grip.style.left = i ? `min(${100 * b}%, 100% - 1.7rem)` : `max(${100 * a}%, 1.7rem)`;
      grip.setAttribute("aria-valuenow", [a, b][i]);
    });
    ["kept", "asked", "removed"].forEach((name, i) => [0, 1].forEach((label) => {
      cells[label][i].textContent = String(result[name][label]);
      cells[label][i].classList.toggle("xp-bad", (name === "kept" && label === 1) || (name === "removed" && label === 0));
    }));
    const removed = result.removed[0] + result.removed[1];
    sums.replaceChildren(...[["cost per text", fixed(result.cost, 3)], ["for people", percent(result.share)],
      ["of the removed, rightly", removed ? percent(result.removed[1] / removed) : "–"]].map(([name, value]) => h("p", {}, h("strong", {}, value), h("span", {}, name))));
    showMistakes(probabilities);
    say(`${model.get("model")}: ${result.removed[0]} wrong removals, ${result.kept[1]} misses, a person looks at ${percent(result.share)} of ${labels.length} texts. Cost ${fixed(result.cost, 3)} per text.`);
  }
  const unwatch = onWidth(stage, (now) => { width = now; update(); });
  update();
  return () => { traits.stop(); unwatch(); };
}

export default { render };
