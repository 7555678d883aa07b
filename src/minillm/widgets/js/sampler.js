/* A sampler on a whole distribution: temperature, top-k, top-p, min-p, and what each of them cuts. */
import { button, connect, fixed, frame, h, percent, quote, random, select, slider, unpackVarints } from "./shared.js";

/** Tokens in groups of equal logits z, the highest first: n of them in each. The named ones stand alone. */
export function read({ logits, rest }, levels) {
  const low = unpackVarints(rest).map((n, i) => [logits.at(-1) - i / levels, n]).filter(([, n]) => n);
  return { z: [...logits, ...low.map(([z]) => z)], n: [...logits.map(() => 1), ...low.map(([, n]) => n)], named: logits.length };
}

/** Walk through the first so many tokens, group by group. */
function each(n, count, visit) {
  for (let i = 0; count > 0 && i < n.length; count -= n[i++]) visit(i, Math.min(count, n[i]));
}

/** How many tokens are left before the filters, after top-k, top-p and min-p; q: exp((z − max z) / T). */
export function filter({ z, n }, T, k, p, m) {
  const q = z.map((x) => Math.exp((x - z[0]) / T));
  const mass = (count, sum = 0) => {
    each(n, count, (i, some) => { sum += some * q[i]; });
    return sum;
  };
  const size = n.reduce((a, b) => a + b, 0);
  const afterK = k ? Math.min(k, size) : size;
  let [afterP, before, afterM] = [0, 0, 0];
  const goal = p * mass(afterK);
  each(n, afterK, (i, some) => { // a token stays if those before it have less than the goal
    const stay = p < 1 ? Math.max(0, Math.min(some, Math.ceil((goal - before) / q[i]))) : some;
    afterP += before < goal || p === 1 ? stay : 0;
    before += some * q[i];
  });
  each(n, afterP, (i, some) => { afterM += (z[i] - z[0]) / T >= Math.log(m) ? some : 0; });
  return { q, mass, kept: [size, afterK, afterP, afterM] };
}

/** Everything that is told: shares of the named tokens and of all others, what is cut, the entropy. */
export function sample(groups, T, k, p, m) {
  const { q, mass, kept } = filter(groups, T, k, p, m);
  const [all, left] = [mass(kept[0]), mass(kept[3])];
  const shares = q.slice(0, groups.named).map((x, i) => (i < kept[3] ? x / left : 0));
  shares.push(kept[3] > groups.named ? (left - mass(groups.named)) / left : 0);
  let entropy = 0;
  each(groups.n, kept[3], (i, some) => { entropy -= q[i] ? some * (q[i] / left) * Math.log(q[i] / left) : 0; });
  return { kept, shares, entropy, cut: [1, 2, 3].map((i) => (mass(kept[i - 1]) - mass(kept[i])) / all) };
}

/** How often each share is met in a number of draws, and the place of the last one. */
export function draw(shares, seed, count) {
  const [chance, counts, ends] = [random(seed), shares.map(() => 0), []];
  for (const share of shares) ends.push((ends.at(-1) ?? 0) + share);
  const most = shares.findLastIndex((share) => share > 0); // the sum may be rounded below 1
  let last = -1;
  while (count-- > 0) {
    const number = chance();
    const found = ends.findIndex((end) => number < end);
    counts[last = found < 0 ? most : Math.min(found, most)]++;
  }
  return { counts, last };
}

const NAMES = ["prompt", "temperature", "top_k", "top_p", "min_p", "drawn"];
const RULES = ["top-k", "top-p", "min-p"];
const whole = (n) => n.toLocaleString("en");
const KS = [1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 200, 500, 1000, 2000, 5000, 10000];

function row(name) {
  const [came, before, after, fate] = [0, 1, 2, 3].map(() => h("span", {}));
  const bars = ["xp-meter xp-before", "xp-meter"].map((look) => h("span", { class: look }));
  const node = h("tr", {}, h("th", { scope: "row" }, name),
    h("td", {}, before, bars[0]), h("td", {}, after, bars[1]), h("td", {}, h("div", {}, fate), came));
  return { node, came, before, after, fate, bars };
}

function render({ model, el }) {
  const { prompts, levels, rows: count, most, seed } = model.get("data");
  let shownPrompt, lines;
  const first = Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));
  const groups = new Map(prompts.map((entry) => [entry.prompt, read(entry, levels)]));
  const size = groups.get(first.prompt).n.reduce((a, b) => a + b, 0);
  const shown = Math.min(count, prompts[0].tokens.length);
  const ks = [...KS.filter((k) => k < size), 0];
  const traits = connect(model, NAMES, update);
  const set = (name) => (value) => traits.set({ [name]: value });

  const choice = select("Prompt", prompts.map(({ prompt }) => [prompt, `${prompt} …`]), first.prompt, set("prompt"));
  const place = (k) => (k ? ks.findIndex((known) => known >= k || !known) : ks.length - 1);
  const sliders = {
    temperature: slider("Temperature T", { min: 0.1, max: 3, step: 0.1, value: 1, format: (x) => String(x), oninput: set("temperature") }),
    top_k: slider("then top-k", { min: 0, max: ks.length - 1, step: 1, value: 0,
      format: () => (model.get("top_k") ? whole(model.get("top_k")) : "off"), oninput: (i) => traits.set({ top_k: ks[i] }) }),
    top_p: slider("then top-p", { min: 0.01, max: 1, step: 0.01, value: 1, format: (x) => (x < 1 ? fixed(x) : "off"), oninput: set("top_p") }),
    min_p: slider("then min-p", { min: 0, max: 1, step: 0.01, value: 0, format: (x) => (x ? fixed(x) : "off"), oninput: set("min_p") }),
  };
  const effects = RULES.map((rule) => {
    const cells = [0, 1, 2].map(() => h("td", { class: "xp-number" }));
    return { cells, node: h("tr", {}, h("th", { scope: "row" }, rule), ...cells) };
  });
  const head = (look, ...names) => h("thead", {}, h("tr", {}, ...names.map((name, i) => h("th", { scope: "col", class: i ? look : null }, name))));
  const rules = h("table", { class: "xp-rules" }, h("caption", { class: "xp-hidden" }, "What each rule keeps and cuts"),
    head("xp-number", "rule", "tokens left", "tokens cut", "probability cut"), h("tbody", {}, ...effects.map(({ node }) => node)));
  const figures = h("div", { class: "xp-figures" });
  const body = h("tbody", {});
  const bars = h("table", { class: "xp-bars xp-sampled" }, h("caption", { class: "xp-hidden" }, "Tokens before and after the rules"),
    head(null, "token", "model, T = 1", "after the rules", "fate, draws"), body);
  const more = [1, 50].map((n) => button(n > 1 ? `Draw ${n}` : "Draw one token", () => traits.set({ drawn: Math.min(most, model.get("drawn") + n) })));
  const forget = button("Forget the draws", () => traits.set({ drawn: 0 }));
  const { say } = frame(el, "A sampler on a real distribution", "Move one slider at a time: which tokens does the rule cut, and how much probability goes with them?",
    h("div", { class: "xp-bar" }, choice.node),
    h("div", { class: "xp-columns" }, h("div", {}, ...Object.values(sliders).map(({ node }) => node)), h("div", {}, rules, figures)), bars,
    h("div", { class: "xp-bar" }, ...more, forget, button("Reset", () => traits.set(first))));

  function update() {
    const [prompt, T, k, p, m, drawn] = NAMES.map((name) => model.get(name));
    const { tokens } = prompts.find((entry) => entry.prompt === prompt);
    const [plain, now] = [sample(groups.get(prompt), 1, 0, 1, 0), sample(groups.get(prompt), T, k, p, m)];
    const { counts, last } = draw(now.shares, seed, drawn);
    const upTo = (all) => [...all.slice(0, shown), all.slice(shown).reduce((a, b) => a + b, 0)];
    if (prompt !== shownPrompt) {
      shownPrompt = prompt;
      lines = [...tokens.slice(0, shown).map(quote), `the other ${whole(size - shown)}`].map(row);
      body.replaceChildren(...lines.map(({ node }) => node));
    }
    const [before, after, came] = [plain.shares, now.shares, counts].map(upTo);
    const widest = Math.max(...before, ...after);
    lines.forEach((line, i) => {
      const rule = RULES.findIndex((_, j) => i >= now.kept[j + 1]);
      const alive = i < shown ? rule < 0 : now.kept[3] > shown;
      line.before.textContent = percent(before[i]);
      line.after.textContent = percent(after[i]);
      line.fate.textContent = i === shown ? `${whole(Math.max(0, now.kept[3] - shown))} left` : alive ? "" : `✕ ${RULES[rule]}`;
      line.came.textContent = came[i] ? `${came[i]} of ${drawn}` : "";
      line.node.className = alive ? "" : "xp-off";
      line.bars.forEach((bar, j) => { bar.style.width = `${(100 * [before, after][j][i]) / widest}%`; });
    });
    effects.forEach(({ cells }, i) => [whole(now.kept[i + 1]), whole(now.kept[i] - now.kept[i + 1]), percent(now.cut[i])]
      .forEach((text, j) => { cells[j].textContent = text; }));
    for (const [name, { show }] of Object.entries(sliders)) show(name === "top_k" ? place(k) : model.get(name));
    choice.input.value = prompt;
    figures.replaceChildren(...[["nats at T = 1", plain.entropy], ["nats after", now.entropy], ["effective tokens", Math.exp(now.entropy)]]
      .map(([name, value]) => h("p", {}, h("strong", {}, fixed(value)), h("span", {}, name))));
    [...more, forget].forEach((one, i) => { one.disabled = i < 2 ? drawn >= most : !drawn; });
    const name = last < tokens.length ? quote(tokens[last] ?? "") : "one of the rarer tokens";
    say(`${whole(now.kept[3])} of ${whole(size)} tokens are left; ${percent(now.cut.reduce((a, b) => a + b))} of the probability at temperature ${T} is cut and shared out among them. ${quote(tokens[0])} goes from ${percent(before[0])} to ${percent(after[0])}.${drawn ? ` Draw ${drawn}: ${name}.` : ""}`);
  }
  update();
  return traits.stop;
}

export default { render };
