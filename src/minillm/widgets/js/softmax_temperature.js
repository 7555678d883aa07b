/* Softmax with temperature: scores to drag, the shares that follow, their slopes, seeded draws. */
import {
  arrowKeys, button, clamp, connect, fixed, frame, h, percent, quote, random, slider,
} from "./shared.js";

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

/** Softmax of scores / temperature; at 0 its limit, where the largest scores share everything. */
export function tempered(scores, temperature) {
  const top = Math.max(...scores);
  const powers = scores.map((score) => (temperature ? Math.exp((score - top) / temperature) : Number(score === top)));
  return powers.map((power) => power / sum(powers));
}

/** In nats. */
export const entropy = (shares) => -sum(shares.map((p) => (p ? p * Math.log(p) : 0)));

/** How fast each share grows with one score; NaN where the limit at temperature 0 has no slope. */
export function slopes(scores, temperature, selected) {
  const shares = tempered(scores, temperature);
  if (!temperature) return shares.map(() => (Math.max(...shares) < 1 ? NaN : 0));
  return shares.map((p, j) => (shares[selected] * ((j === selected) - p)) / temperature);
}

/** How often each word comes in a number of draws. */
export function draw(shares, seed, count) {
  const chance = random(seed);
  const counts = shares.map(() => 0);
  const ends = [];
  for (const p of shares) ends.push((ends.at(-1) ?? 0) + p);
  const last = shares.findLastIndex((p) => p > 0); // the sum of the shares may be rounded below 1
  for (let n = 0; n < count; n++) {
    const number = chance();
    const found = ends.findIndex((end) => number < end);
    counts[found < 0 ? last : Math.min(found, last)]++;
  }
  return counts;
}

const COOLEST = -1; // log10 of the lowest temperature above 0; one step further left is 0
const STEP = 0.05;
const toHeat = (x) => (x < COOLEST - STEP / 2 ? 0 : Number((10 ** x).toPrecision(2)));
const toSlider = (heat) => (heat ? Math.log10(heat) : COOLEST - STEP);
const tell = (heat) => (heat ? String(heat) : "0, greedy");
const NAMES = ["scores", "temperature", "selected", "drawn"];

/** A share as an arrow and a signed number, "▲ +0.21". */
function arrow(slope) {
  if (Number.isNaN(slope)) return "–";
  const text = fixed(Math.abs(slope));
  if (Number(text) === 0) return text;
  return slope > 0 ? `▲ +${text}` : `▼ −${text}`;
}

function line(word, { low, high }, choose, move) {
  const name = button(word, choose, { class: "xp-button xp-word" });
  const input = h("input", { type: "range", min: low, max: high, step: "any", "aria-label": `score of ${quote(word)}` });
  const cells = ["score", "share", "slope", "count"].map(() => h("span", {}));
  const [share, came] = ["xp-meter", "xp-meter xp-came"].map((look) => h("span", { class: look }));
  input.addEventListener("input", () => move(Number(input.value)));
  arrowKeys(input, (dx, dy) => move(null, 0.1 * (dx + dy)));
  const node = h("tr", {}, h("th", { scope: "row" }, h("div", { class: "xp-score" }, name, cells[0]), input),
    h("td", {}, h("div", { class: "xp-score" }, cells[1], cells[3]), share, came), h("td", { class: "xp-slope" }, cells[2]));
  return { node, name, input, cells, share, came };
}

function render({ model, el }) {
  const data = model.get("data");
  const { words, low, high, most } = data;
  const first = Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));
  const traits = connect(model, NAMES, update);
  const tidy = (score) => Math.round(clamp(score, low, high) * 1e4) / 1e4;
  const move = (i) => (to, by) => {
    const scores = model.get("scores").map((old, j) => (j === i ? tidy(to ?? old + by) : old));
    traits.set({ scores, selected: i });
  };
  const lines = words.map((word, i) => line(word, data, () => traits.set({ selected: i }), move(i)));
  const raised = h("span", { class: "xp-of" });
  const table = h("table", { class: "xp-candidates" },
    h("caption", { class: "xp-hidden" }, "Candidates for the next word: score, probability with what was drawn, slope"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "word and score"), h("th", { scope: "col" }, "probability"), h("th", { scope: "col" }, "slope for ", raised))),
    h("tbody", {}, ...lines.map(({ node }) => node)));

  const heat = slider("Temperature T", { min: COOLEST - STEP, max: 0.6, step: STEP, value: toSlider(first.temperature),
    format: (x) => tell(toHeat(x)), oninput: (x) => traits.set({ temperature: toHeat(x) }) });
  const lift = button("All scores + 1", () => traits.set({ scores: model.get("scores").map((score) => score + 1) }));
  const more = button("Draw 20 words", () => traits.set({ drawn: Math.min(most, model.get("drawn") + 20) }));
  const forget = button("Forget the draws", () => traits.set({ drawn: 0 }));
  const figures = h("div", { class: "xp-figures" });
  const { say } = frame(el, "Softmax with temperature",
    "Drag a score, or focus it and use the arrow keys (Shift: bigger steps). Choose a word to see what raising its score does to all.",
    data.context ? h("p", { class: "xp-context" }, `${data.context} …`) : "",
    h("div", { class: "xp-bar" }, heat.node), table, figures,
    h("div", { class: "xp-bar" }, more, forget, lift, button("Reset", () => traits.set(first))));

  function showLine(i, shares, steep, counts) {
    const { name, input, cells, share, came: bar } = lines[i];
    const [score, n] = [model.get("scores")[i], model.get("drawn")];
    input.value = score;
    input.setAttribute("aria-valuetext", fixed(score));
    name.setAttribute("aria-pressed", String(i === model.get("selected")));
    [fixed(score), percent(shares[i]), arrow(steep[i]), n ? `${counts[i]} of ${n}` : ""].forEach((text, j) => { cells[j].textContent = text; });
    cells[2].className = { "▲": "xp-up", "▼": "xp-down" }[cells[2].textContent[0]] ?? "";
    share.style.width = `${100 * shares[i]}%`;
    bar.hidden = !n;
    bar.style.width = `${n ? (100 * counts[i]) / n : 0}%`;
  }

  function update() {
    const [scores, T, selected, n] = NAMES.map((name) => model.get(name));
    const shares = tempered(scores, T);
    const counts = draw(shares, data.seed, n);
    const steep = slopes(scores, T, selected);
    words.forEach((_, i) => showLine(i, shares, steep, counts));
    raised.textContent = quote(words[selected]);
    heat.show(toSlider(T));
    more.disabled = n >= most;
    forget.disabled = !n;
    lift.disabled = Math.max(...scores) + 1 > high;
    const doubt = entropy(shares);
    const told = [["entropy in nats", fixed(doubt)], ["entropy in bits", fixed(doubt / Math.LN2)],
      ["effective words", `${fixed(Math.exp(doubt))} of ${words.length}`], ["the first word covers", percent(Math.max(...shares))]];
    figures.replaceChildren(...told.map(([name, value]) => h("p", {}, h("strong", {}, value), h("span", {}, name))));
    say(sentence(scores, T, selected, shares, counts, n));
  }

  function sentence(scores, T, selected, shares, counts, n) {
    const top = Math.max(...scores);
    const leaders = words.filter((_, i) => scores[i] === top).map(quote);
    const lead = `${leaders.join(" and ")} ${leaders.length > 1 ? "lead with" : "leads with"} ${percent(Math.max(...shares))}${leaders.length > 1 ? " each" : ""}`;
    const after = tempered(scores.map((score, i) => score + (i === selected)), T)[selected];
    const raise = `One point more would take ${quote(words[selected])} from ${percent(shares[selected])} to ${percent(after)}.`;
    const drawn = n ? ` In ${n} draws ${leaders[0]} came ${counts[scores.indexOf(top)]} times.` : "";
    const doubt = `as open as a fair choice among ${fixed(Math.exp(entropy(shares)), 1)} words`;
    return `Temperature ${tell(T)}: ${lead}, ${doubt}. ${raise}${drawn}`;
  }
  update();
  return traits.stop;
}

export default { render };
