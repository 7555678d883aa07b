/* What a language model costs: parameters, bytes and operations from its sizes, with the formulas. */
import { button, connect, frame, h, segmented, select, slider } from "./shared.js";

/** Everything that is told, from sizes, tokens, conversations and bits. */
export function costs(c, context, conversations, bits) {
  const shared = (c.n_kv_heads * c.d_model) / c.n_heads; // K E
  const block = 2 * c.d_model ** 2 + 2 * c.d_model * shared + 3 * c.d_model * c.d_ff + 2 * c.d_model;
  const table = c.vocab_size * c.d_model;
  const parameters = table + c.n_layers * block + c.d_model;
  return {
    parameters, table,
    weights: (parameters * bits) / 8,
    cache: (2 * c.n_layers * shared * context * conversations * bits) / 8,
    training: 16 * parameters,
    flops: 2 * parameters + 4 * c.n_layers * context * c.d_model,
  };
}

const UNITS = ["", " thousand", " million", " billion", " trillion"];
const BYTES = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Three digits and a unit: 134515008 as "135 million". */
export function told(x, units = UNITS) {
  let power = 0;
  while (x >= 999.5 && power < units.length - 1) {
    x /= 1000;
    power++;
  }
  const text = x.toFixed(power && x < 9.995 ? 2 : power && x < 99.95 ? 1 : 0);
  return units === BYTES ? `${text} ${units[power]}` : text + units[power];
}

const NAMES = ["sizes", "context", "conversations", "bits"];
const divisors = (n) => Array.from({ length: n }, (_, i) => i + 1).filter((k) => n % k === 0);
const same = (a, b) => Object.keys(a).every((key) => a[key] === b[key]);

function render({ model, el }) {
  const { models, longest, most, bits: choices } = model.get("data");
  const first = Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));
  const traits = connect(model, NAMES, update);
  const change = (part) => traits.set({ sizes: { ...model.get("sizes"), ...part } });
  const names = Object.keys(models);

  const choice = select("Model", [...names.map((name) => [name, name]), ["", "your own"]], "", (name) => {
    if (name) traits.set({ sizes: models[name] });
    else update();
  });
  const width = slider("Width D, in heads of the same width", { min: 1, max: 64, step: 1, value: 1,
    format: () => String(model.get("sizes").d_model), oninput: widen });
  const layers = slider("Layers L", { min: 1, max: 100, step: 1, value: 1, oninput: (n) => change({ n_layers: n }) });
  const sets = slider("Sets of keys and values K", { min: 0, max: 1, step: 1, value: 0,
    format: () => `${model.get("sizes").n_kv_heads} for ${model.get("sizes").n_heads} heads`,
    oninput: (i) => change({ n_kv_heads: divisors(model.get("sizes").n_heads)[i] }) });
  const text = slider("Tokens of each conversation T", { min: 0, max: Math.log2(longest), step: 1, value: 0,
    format: () => model.get("context").toLocaleString("en"), oninput: (x) => traits.set({ context: 2 ** x }) });
  const talks = slider("Conversations at once", { min: 0, max: Math.log2(most), step: 1, value: 0,
    format: () => String(model.get("conversations")), oninput: (x) => traits.set({ conversations: 2 ** x }) });
  const bits = h("div", {});
  const offerBits = () => bits.replaceChildren(segmented("Bits of a number", choices.map((b) => [b, String(b)]),
    model.get("bits"), (b) => traits.set({ bits: Number(b) })));
  offerBits();

  const rows = [
    ["parameters", "N = VD + L(2D² + 2DKE + 3DF + 2D) + D", (c) => told(c.parameters)],
    ["table of tokens", "VD / N", (c) => `${((100 * c.table) / c.parameters).toFixed(0)} %`],
    ["weights", "N · bits / 8", (c) => told(c.weights, BYTES)],
    ["KV cache", "2LKE · T · conversations · bits / 8", (c) => told(c.cache, BYTES)],
    ["operations for a token", "2N + 4LTD", (c) => told(c.flops)],
    ["to train it", "16 N: weight, gradient, two means", (c) => told(c.training, BYTES)],
  ].map(([name, formula, show]) => {
    const value = h("td", { class: "xp-number" });
    return { node: h("tr", {}, h("th", { scope: "row" }, name, h("div", { class: "xp-note" }, formula)), value), value, show };
  });
  const table = h("table", { class: "xp-costs" }, h("caption", { class: "xp-hidden" }, "What the model costs, with formulas"),
    h("tbody", {}, ...rows.map(({ node }) => node)));
  const { say } = frame(el, "What a model costs", "Choose a model, then move a slider: what grows, what stays?",
    h("div", { class: "xp-columns" },
      h("div", {}, h("div", { class: "xp-bar" }, choice.node, bits), ...[width, layers, sets, text, talks].map(({ node }) => node)),
      table),
    h("div", { class: "xp-bar" }, button("Reset", () => { traits.set(first); offerBits(); })));

  /** Another number of heads of the same width; K and F keep their proportions. */
  function widen(heads) {
    const c = model.get("sizes");
    const E = c.d_model / c.n_heads;
    const possible = divisors(heads);
    const wanted = (c.n_kv_heads * heads) / c.n_heads;
    const n_kv_heads = possible.reduce((a, b) => (Math.abs(b - wanted) < Math.abs(a - wanted) ? b : a));
    change({ n_heads: heads, n_kv_heads, d_model: heads * E, d_ff: Math.max(1, Math.round((c.d_ff * heads) / c.n_heads)) });
  }

  function update() {
    const [c, context, conversations, b] = NAMES.map((name) => model.get(name));
    const found = costs(c, context, conversations, b);
    choice.input.value = names.find((name) => same(c, models[name])) ?? "";
    const possible = divisors(c.n_heads);
    sets.input.max = possible.length - 1;
    width.show(c.n_heads);
    layers.show(c.n_layers);
    sets.show(possible.indexOf(c.n_kv_heads));
    text.show(Math.log2(context));
    talks.show(Math.log2(conversations));
    for (const { value, show } of rows) value.textContent = show(found);
    const ratio = found.cache / found.weights;
    say(`${told(found.parameters)} parameters take ${told(found.weights, BYTES)} in ${b} bits. The cache of ${conversations} conversation${conversations > 1 ? "s" : ""} of ${context.toLocaleString("en")} tokens takes ${told(found.cache, BYTES)}, ${ratio < 1 ? `${(100 * ratio).toFixed(ratio < 0.1 ? 1 : 0)} % of that` : `${ratio.toFixed(1)} times that`}.`);
  }
  update();
  return traits.stop;
}

export default { render };
