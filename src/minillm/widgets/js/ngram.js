/* Finish the sentence: next-word bars of order 1 to 3, their mixture, and the cost in bits. */
import {
  button, connect, fixed, frame, h, percent, random, segmented, slider, unpackVarints,
} from "./shared.js";

const START = "<s>";
const END = "</s>";
const SHOWN = 8;
const row = (entries) => ({ entries, total: entries.reduce((sum, [, count]) => sum + count, 0) });

/** Rows of counts by context, from the stream that `ngram.py` writes. */
export function readRows(text, size) {
  const numbers = unpackVarints(text);
  const rows = new Map();
  let [at, first] = [0, 0];
  while (at < numbers.length) {
    first += numbers[at++];
    const context = [first];
    while (context.length < size) context.push(numbers[at++]);
    const entries = [];
    let word = 0;
    for (let left = numbers[at++]; left > 0; left--) {
      word += numbers[at++];
      entries.push([word, numbers[at++]]);
    }
    rows.set(context.join(), row(entries));
  }
  return rows;
}

export class NGrams {
  constructor({ tokens, unigram, bigrams, trigrams }) {
    this.tokens = tokens;
    this.ids = new Map(tokens.map((token, i) => [token, i]));
    const singles = unpackVarints(unigram).map((count, i) => [i, count]);
    this.tables = [new Map([["", row(singles)]]), readRows(bigrams, 1), readRows(trigrams, 2)];
  }

  /** What was counted after the last `size` words; null if that was never seen. */
  counted(size, words) {
    const start = this.ids.get(START);
    const history = [...(start === undefined ? [] : [start, start]), ...words.map((word) => this.ids.get(word))];
    const found = this.tables[size].get(size ? history.slice(-size).join() : "");
    if (!found) return null;
    const out = new Float64Array(this.tokens.length);
    for (const [word, count] of found.entries) out[word] = count / found.total;
    return out;
  }

  /** Interpolated distribution after the words; null where the model is silent. */
  distribution(words, order, mix) {
    let mixed = this.counted(0, words);
    for (let size = 1; size < order; size++) {
      const own = this.counted(size, words);
      if (own) mixed = mixed ? own.map((p, i) => mix * p + (1 - mix) * mixed[i]) : own;
      else if (mix === 1) mixed = null;
    }
    return mixed;
  }

  /** Cost of each word in bits. */
  bits(words, order, mix) {
    return words.map((word, i) => {
      const p = this.distribution(words.slice(0, i), order, mix)?.[this.ids.get(word)] ?? 0;
      return -Math.log2(p);
    });
  }

  /** Token numbers, likeliest first, ties by number. */
  ranked(probabilities) {
    return [...probabilities.keys()].filter((i) => probabilities[i] > 0).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  }

  /** A token number drawn with `chance` in [0, 1) from p^(1/T). */
  draw(probabilities, temperature, chance) {
    const powers = probabilities.map((p) => p ** (1 / temperature));
    let left = chance * powers.reduce((a, b) => a + b, 0);
    const last = powers.findLastIndex((power) => power > 0);
    const found = powers.findIndex((power) => (left -= power) < 0);
    return found < 0 ? last : found;
  }
}

const nice = (token) => (token === END ? "⏹ end" : token);

function bars(count, choose) {
  const names = ["order 1", "order 2", "order 3", "mixed"];
  const columns = names.map((name, i) => h("th", { scope: "col", class: i === 3 ? "xp-mixture" : "" }, name));
  const lines = Array.from({ length: count }, (_, i) => {
    const word = button("", () => choose(i), { class: "xp-button xp-word" });
    const cells = names.map(() => {
      const [meter, number] = [h("span", { class: "xp-meter" }), h("span", { class: "xp-share" })];
      return { node: h("td", {}, number, meter), meter, number };
    });
    return { word, cells, node: h("tr", {}, h("td", {}, word), ...cells.map(({ node }) => node)) };
  });
  const table = h("table", { class: "xp-bars" },
    h("caption", { class: "xp-hidden" }, "The likeliest next words, by counts of single words, pairs and triples, and mixed"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "next word"), ...columns)),
    h("tbody", {}, ...lines.map(({ node }) => node)));
  return { table, lines, columns };
}

function render({ model, el }) {
  const grams = new NGrams(model.get("data"));
  let chance = random(model.get("seed"));
  const first = [...model.get("written")];
  let offered = [];

  const traits = connect(model, ["written", "order", "mix", "temperature"], update);
  const current = () => grams.distribution(model.get("written"), model.get("order"), model.get("mix"));
  const ended = () => model.get("written").at(-1) === END;
  const add = (word) => traits.set({ written: [...model.get("written"), word] });
  const text = h("ol", { class: "xp-text", "aria-label": "What is written, with the cost of each word in bits" });
  const sums = h("p", { class: "xp-sums" });
  const { table, lines, columns } = bars(SHOWN, (i) => add(grams.tokens[offered[i]]));

  const actions = [
    button("Most likely", () => add(grams.tokens[grams.ranked(current())[0]])),
    button("Draw", () => add(grams.tokens[grams.draw(current(), model.get("temperature"), chance())])),
  ];
  const undo = button("Undo", () => traits.set({ written: model.get("written").slice(0, -1) }));
  const reset = button("Reset", () => {
    chance = random(model.get("seed"));
    traits.set({ written: first });
  });
  const own = h("input", { type: "text", autocapitalize: "off", autocomplete: "off", spellcheck: "false" });
  const type = h("form", { class: "xp-bar", onsubmit: typed },
    h("label", { class: "xp-field" }, h("span", {}, "Your own word"), own), button("Add", null, { type: "submit" }));
  const order = segmented("Order (words counted together)", [[1, "1"], [2, "2"], [3, "3"]], model.get("order"), (n) => traits.set({ order: n }));
  const mix = slider("Share of the longest context, λ", { min: 0, max: 1, step: 0.05, value: model.get("mix"), format: (x) => fixed(x), oninput: (x) => traits.set({ mix: x }) });
  const heat = slider("Temperature of “Draw”", { min: 0.1, max: 3, step: 0.1, value: model.get("temperature"), format: (x) => fixed(x, 1), oninput: (x) => traits.set({ temperature: x }) });
  const { say } = frame(el, "Finish the sentence", "Let the model write, choose a word from the table, or type your own.",
    text, sums, h("div", { class: "xp-bar" }, ...actions, undo, reset, type),
    h("div", { class: "xp-bar" }, order, mix.node, heat.node), h("div", { class: "xp-scroll" }, table));

  function typed(event) {
    event.preventDefault();
    const word = own.value.trim();
    const known = [word, word.toLowerCase()].find((form) => grams.ids.has(form) && form !== START);
    own.setAttribute("aria-invalid", String(!known));
    if (!known) return say(`“${word}” is not among the ${grams.tokens.length} words that this model knows.`);
    own.value = "";
    if (!ended()) add(known);
  }

  function showText(words, costs) {
    text.replaceChildren(...words.map((word, i) => h("li", { style: `--cost:${Math.min(1, costs[i] / 14)}` },
      h("span", { class: "xp-token" }, nice(word)), h("span", { class: "xp-cost" }, fixed(costs[i], 1)))));
    if (!words.length) text.append(h("li", {}, h("span", { class: "xp-token" }, "…")));
    const total = costs.reduce((a, b) => a + b, 0);
    sums.textContent = words.length
      ? `${fixed(total, 1)} bits for ${words.length} words · ${fixed(total / words.length)} bits a word · perplexity ${fixed(2 ** (total / words.length), 1)}`
      : "Nothing written yet.";
  }

  function showBars(words, probabilities) {
    const parts = [...[0, 1, 2].map((size) => grams.counted(size, words)), probabilities];
    const top = Math.max(...parts.flatMap((part) => offered.map((id) => part?.[id] ?? 0)), 1e-9);
    columns.forEach((column, i) => {
      column.classList.toggle("xp-off", i < 3 && i >= model.get("order"));
    });
    lines.forEach(({ node, word, cells }, i) => {
      node.hidden = i >= offered.length;
      if (node.hidden) return;
      word.textContent = nice(grams.tokens[offered[i]]);
      parts.forEach((part, j) => {
        const p = part?.[offered[i]] ?? 0;
        cells[j].node.className = j === 3 ? "xp-mixture" : j >= model.get("order") ? "xp-off" : "";
        cells[j].number.textContent = part ? percent(p) : "–";
        cells[j].meter.style.width = `${(100 * p) / top}%`; // the longest bar fills its cell
      });
    });
  }

  function update() {
    const [words, size] = [model.get("written"), model.get("order")];
    const probabilities = ended() ? null : current();
    const costs = grams.bits(words, size, model.get("mix"));
    offered = probabilities ? grams.ranked(probabilities).slice(0, SHOWN) : [];
    for (const action of actions) action.disabled = !probabilities;
    undo.disabled = !words.length;
    order.querySelector(`[value="${size}"]`).checked = true;
    mix.show(model.get("mix"));
    heat.show(model.get("temperature"));
    showText(words, costs);
    showBars(words, probabilities);
    say(sentence(words, costs, probabilities));
  }

  function sentence(words, costs, probabilities) {
    const cost = words.length ? `“${nice(words.at(-1))}” cost ${fixed(costs.at(-1), 1)} bits. ` : "";
    if (ended()) return `${cost}The sentence is finished.`;
    if (!probabilities) return `${cost}Silent: the last ${model.get("order") - 1} words were never seen together, and λ = 1 leaves nothing to shorter contexts.`;
    const [best] = offered;
    const seen = [2, 1, 0].find((n) => n < model.get("order") && grams.counted(n, words));
    const base = seen ? `${seen} word${seen > 1 ? "s" : ""} of context ${seen > 1 ? "were" : "was"} seen before` : "no context was used";
    return `${cost}Next, the likeliest is “${nice(grams.tokens[best])}”, ${percent(probabilities[best])}: ${base}.`;
  }
  update();
  return traits.stop;
}

export default { render };
