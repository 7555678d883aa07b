/* The heads of a real model: a grid of heads, a sentence, and where a chosen token looks. */
import {
  PALETTE, button, checkbox, connect, fixed, frame, h, onWidth, percent, quote, s, select, slider, unpackUints,
} from "./shared.js";

const STEPS = 255;
const ROW = 26;
const LISTED = 8;

/** Maps of one sentence as `maps[head][query][key]`, from multiples of 1/255. */
export function readMaps({ tokens, causal, maps }, heads) {
  const stored = unpackUints(maps, 8);
  let at = 0;
  return Array.from({ length: heads }, () => tokens.map((_, query) => {
    const length = causal ? query + 1 : tokens.length;
    const row = tokens.map((__, key) => (key < length ? stored[at + key] / STEPS : 0));
    at += length;
    return row;
  }));
}

/** A row without its first token, scaled to sum to 1 again (if anything is left). */
export function withoutFirst(row) {
  const rest = row.slice(1).reduce((a, b) => a + b, 0);
  return row.map((weight, key) => (key && rest > 0 ? weight / rest : 0));
}

/** Numbers of the heads, the largest value first; equal values keep their order. */
export const ranking = (values) => [...values.keys()].sort((a, b) => values[b] - values[a] || a - b);

/** Heads in the order of a measure: buttons for the first few and a slider through all of them. */
function rankedHeads(data, choose) {
  let order = [];
  const walk = slider("All heads, largest first", { min: 1, max: data.heads.length, step: 1, value: 1,
    format: (rank) => `${rank} of ${data.heads.length}`, oninput: (rank) => choose(data.heads[order[rank - 1]]) });
  const few = h("div", { role: "group", class: "xp-toggles" });
  const node = h("div", { class: "xp-ranked", hidden: true }, few, walk.node);
  let listed = [];
  const mark = (at) => {
    listed.forEach(([i, item]) => item.setAttribute("aria-pressed", String(i === at)));
    if (order.length) walk.show(order.indexOf(at) + 1);
  };
  const sort = (name, values) => {
    node.hidden = !values;
    order = values ? ranking(values) : [];
    listed = order.slice(0, LISTED).map((i) => [i, button(`${data.heads[i].join(".")}: ${fixed(values[i])}`, () => choose(data.heads[i]))]);
    few.setAttribute("aria-label", `Largest ${name}`);
    few.replaceChildren(h("p", { class: "xp-note" }, `largest ${name}`), h("div", {}, ...listed.map(([, item]) => item)));
  };
  return { node, sort, mark };
}

function headGrid(data, choose) {
  const layers = [...new Set(data.heads.map(([layer]) => layer))];
  const numbers = [...new Set(data.heads.map(([, head]) => head))].sort((a, b) => a - b);
  const kinds = [...new Set(data.labels.filter(Boolean))];
  const index = new Map(data.heads.map((head, i) => [head.join("."), i]));
  const cells = new Map();
  const rows = layers.map((layer) => h("div", { role: "row" },
    h("span", { role: "rowheader", class: "xp-layer" }, String(layer)),
    ...numbers.map((number) => {
      const i = index.get(`${layer}.${number}`);
      if (i === undefined) return h("span", { role: "gridcell", class: "xp-gap" });
      const kind = kinds.indexOf(data.labels[i]);
      const name = `head ${layer}.${number}${data.labels[i] ? `, ${data.labels[i]}` : ""}`;
      const cell = h("button", { type: "button", tabindex: -1, title: name, "aria-label": name, onclick: () => choose(data.heads[i]),
        style: kind < 0 ? "" : `--hue:var(--xp-${PALETTE[kind % PALETTE.length]})` });
      cells.set(i, cell);
      return h("span", { role: "gridcell" }, cell);
    })));
  const grid = h("div", { role: "grid", "aria-label": "Heads: one row for each layer, arrow keys move", class: `xp-heads${layers.length > 12 ? " xp-tall" : ""}${numbers.length > 9 ? " xp-many" : ""}` }, ...rows);
  grid.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    const from = [...cells.values()].indexOf(event.target);
    const [layer, number] = data.heads[[...cells.keys()][from]];
    const next = nextHead(data.heads, layers, [layer, number], step);
    choose(next);
    cells.get(index.get(next.join("."))).focus();
  });
  return { grid, cells, index, kinds };
}

/** The nearest stored head in the direction of an arrow key; the same one at the edge. */
export function nextHead(heads, layers, [layer, number], [down, right]) {
  const along = right
    ? heads.filter(([l, n]) => l === layer && (n - number) * right > 0).sort((a, b) => right * (a[1] - b[1]))
    : heads.filter(([l]) => (layers.indexOf(l) - layers.indexOf(layer)) * down > 0)
      .sort((a, b) => down * (a[0] - b[0]) || Math.abs(a[1] - number) - Math.abs(b[1] - number));
  return along[0] ?? [layer, number];
}

function render({ model, el }) {
  const data = model.get("data");
  const maps = data.sentences.map((sentence) => readMaps(sentence, data.heads.length));
  const traits = connect(model, ["sentence", "head", "token", "skip_first"], update);
  const choose = (head) => traits.set({ head });
  const { grid, cells, index, kinds } = headGrid(data, choose);
  let drawn = -1;
  let hovered = null;
  let parts = {};

  const sentences = select("Sentence", data.sentences.map(({ text }, i) => [i, text]), model.get("sentence"), (i) => {
    const last = data.sentences[i].tokens.length - 1;
    hovered = null;
    traits.set({ sentence: Number(i), token: Math.min(model.get("token"), last) });
  });
  const names = Object.keys(data.scores);
  const shade = select("Shade the grid by", [["", "kind of head"], ...names.map((name) => [name, name])], "", paintGrid);
  const ranked = rankedHeads(data, choose);
  const skip = checkbox("leave out the first token", model.get("skip_first"), (on) => traits.set({ skip_first: on }));
  const legend = h("p", { class: "xp-note xp-legend" }, ...kinds.map((kind, i) =>
    h("span", {}, h("span", { class: "xp-swatch", style: `background:var(--xp-${PALETTE[i % PALETTE.length]})` }), ` ${kind}`)));
  const links = h("div", { class: "xp-links" });
  const heat = h("div", { class: "xp-heat", "aria-hidden": "true" });
  const heading = h("p", { class: "xp-sums" });
  const { say } = frame(el, "Where does each token look?", "Choose a head (arrow keys move in the grid), then point at a token on the left or tab to it.",
    h("div", { class: "xp-bar" }, sentences.node, names.length ? shade.node : "", skip.node), ranked.node,
    h("div", { class: "xp-attention" }, h("div", {}, h("p", { class: "xp-note" }, "layer ↓ head →"), grid, legend),
      h("div", { class: "xp-maps" }, heading, h("div", { class: "xp-columns" }, links, heat))));

  function paintGrid() {
    const values = data.scores[shade.input.value];
    const top = values && Math.max(...values.map(Math.abs), 1e-12);
    for (const [i, cell] of cells) {
      cell.style.setProperty("--share", values ? Math.abs(values[i]) / top : data.labels[i] ? 1 : 0.12);
      cell.dataset.sign = values ? (values[i] < 0 ? "minus" : "plus") : "";
      const [layer, head] = data.heads[i];
      const said = values ? `${shade.input.value} ${values[i]}` : data.labels[i];
      cell.setAttribute("aria-label", `head ${layer}.${head}${said ? `, ${said}` : ""}`);
      cell.title = cell.getAttribute("aria-label");
    }
    legend.hidden = Boolean(values);
    ranked.sort(shade.input.value, values);
    update();
  }

  function build() {
    drawn = model.get("sentence");
    const { tokens } = data.sentences[drawn];
    const look = (token) => () => { hovered = token; update(); };
    const pick = (token) => () => { hovered = null; traits.set({ token }); };
    const left = tokens.map((token, i) => h("button", { type: "button", class: "xp-query", title: token, onclick: pick(i), onfocus: pick(i), onpointerenter: look(i) }, token));
    const right = tokens.map((token) => h("span", { class: "xp-key", title: token }, h("span", { class: "xp-key-text" }, token), h("span", { class: "xp-key-share" })));
    const lines = tokens.map((_, i) => tokens.map((__, j) => s("line", { x1: 0, x2: 100, y1: (i + 0.5) * ROW, y2: (j + 0.5) * ROW })));
    const picture = s("svg", { viewBox: `0 0 100 ${tokens.length * ROW}`, preserveAspectRatio: "none", "aria-hidden": "true", style: `height:${tokens.length * ROW}px` }, ...lines.flat());
    links.replaceChildren(h("div", { role: "group", "aria-label": "Tokens that look" }, ...left), picture, h("div", {}, ...right));
    links.onpointerleave = () => { hovered = null; update(); };
    const cellsOf = tokens.map((_, i) => tokens.map((__, j) => s("rect", { x: j, y: i, width: 0.96, height: 0.96, onpointerenter: look(i), onclick: pick(i) })));
    const marker = s("rect", { class: "xp-marker", x: 0, width: tokens.length, height: 0.96 });
    heat.replaceChildren(s("svg", { viewBox: `-0.1 -0.1 ${tokens.length + 0.2} ${tokens.length + 0.2}`, width: "100%" }, ...cellsOf.flat(), marker),
      h("p", { class: "xp-note" }, "each row: where one token looks"));
    heat.onpointerleave = links.onpointerleave;
    parts = { left, right, lines, squares: cellsOf, marker, tokens };
  }

  function update() {
    if (drawn !== model.get("sentence")) build();
    const head = model.get("head");
    const at = index.get(head.join("."));
    const rows = maps[drawn][at].map((row) => (model.get("skip_first") ? withoutFirst(row) : row));
    const token = hovered ?? Math.min(model.get("token"), parts.tokens.length - 1);
    for (const [i, cell] of cells) {
      cell.parentElement.setAttribute("aria-selected", String(i === at));
      cell.tabIndex = i === at ? 0 : -1;
    }
    skip.input.checked = model.get("skip_first");
    const values = data.scores[shade.input.value];
    const about = [data.labels[at], values && `${shade.input.value} ${fixed(values[at])}`].filter(Boolean);
    heading.textContent = `Head ${head.join(".")}${about.length ? `: ${about.join(", ")}` : ""}`;
    ranked.mark(at);
    rows.forEach((row, i) => row.forEach((weight, j) => {
      parts.lines[i][j].setAttribute("stroke-width", i === token ? 1 + 6 * weight : 2.5 * weight);
      parts.lines[i][j].setAttribute("stroke-opacity", weight < 0.01 ? 0 : i === token ? 0.25 + 0.75 * weight : 0.18 * weight);
      parts.squares[i][j].setAttribute("fill-opacity", 0.05 + 0.95 * weight);
    }));
    parts.left.forEach((node, i) => node.setAttribute("aria-pressed", String(i === token)));
    parts.right.forEach((node, j) => {
      node.style.setProperty("--share", rows[token][j]);
      node.lastChild.textContent = rows[token][j] >= 0.005 ? percent(rows[token][j]) : "";
    });
    parts.marker.setAttribute("y", token);
    say(sentence(head, rows[token], token));
  }

  function sentence(head, row, token) {
    const best = [...row.keys()].filter((key) => row[key] >= 0.02).sort((a, b) => row[b] - row[a]).slice(0, 3);
    const seen = best.map((key) => `${quote(parts.tokens[key])} ${percent(row[key])}`).join(", ");
    return `head ${head.join(".")}: ${quote(parts.tokens[token])} looks at ${seen || "nothing but the first token"}`;
  }
  paintGrid();
  const unwatch = onWidth(links, (width) => links.classList.toggle("xp-narrow", width < 260));
  return () => { traits.stop(); unwatch(); };
}

export default { render };
