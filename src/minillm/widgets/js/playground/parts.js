/* Parts of the playground that show the text and the next token. */
import { button, h, percent, quote, select, slider } from "../shared.js";
import { best, distribution } from "./sampling.js";

/** A token as a chip shows it: its first space as a dot, line breaks visible. */
export const visible = (piece) => piece.replace(/ /g, "·").replace(/\n/g, "↵").replace(/\t/g, "⇥") || "∅";

/** A wide thing that scrolls by itself, with the keyboard too. */
export const scroller = (label, node) => h("div", { class: "pg-scroll", tabindex: "0", role: "region", "aria-label": label }, node);

/** Buttons in one stop of the Tab key; arrow keys go from one to the next. */
export function toolbar(node, choose) {
  node.addEventListener("keydown", (event) => {
    const all = [...node.querySelectorAll("button")];
    const columns = Number(node.dataset.columns) || 1;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -all.length, End: all.length };
    if (!(event.key in steps) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const next = Math.min(all.length - 1, Math.max(0, all.indexOf(document.activeElement) + steps[event.key]));
    all[next].focus();
    choose?.(next);
  });
}

/** The one button of a toolbar that the Tab key reaches. */
export function reach(buttons, index) {
  buttons.forEach((node, i) => { node.tabIndex = i === index ? 0 : -1; });
}

/** The tokens as the model reads them; one of them is looked at. */
export function tokensPart(choose) {
  const box = h("div", { class: "pg-tokens", role: "toolbar", "aria-label": "Tokens; arrow keys go from one to the next", "data-lm-suppress-shortcuts": true });
  const legend = h("p", { class: "xp-note" });
  toolbar(box, choose);
  function chip(i) {
    const node = h("button", { type: "button", onclick: () => choose(i) });
    box.append(node);
    return node;
  }
  const drawn = []; // what each chip shows, so that only what changed is touched
  function show(node, i, { id, cost, written, chosen, info }) {
    const known = Number.isFinite(cost);
    const piece = id === info.start ? "start" : visible(info.pieces[id]);
    node.textContent = piece;
    node.title = `position ${i}, id ${id}${known ? `, probability ${percent(Math.exp(-cost))}` : ""}`;
    node.className = `pg-token${written ? " pg-written" : ""}${id === info.start ? " pg-start" : ""}`;
    node.setAttribute("aria-label", `token ${i}: ${piece}`);
    node.setAttribute("aria-pressed", String(chosen));
    node.style.setProperty("--cost", known ? Math.min(1, cost / 8) : 0);
    node.tabIndex = chosen ? 0 : -1;
  }
  function update({ ids, costs, info, typed, position, dropped }) {
    while (box.children.length > ids.length) box.lastChild.remove();
    drawn.length = Math.min(drawn.length, ids.length);
    ids.forEach((id, i) => {
      const state = { id, cost: costs[i] ?? NaN, written: i >= typed, chosen: i === position, info };
      const key = `${id} ${state.cost} ${state.written} ${state.chosen}`;
      if (drawn[i] === key) return;
      drawn[i] = key;
      show(box.children[i] ?? chip(i), i, state);
    });
    legend.textContent = `${dropped ? `The text is longer than the model can read: it sees the last ${ids.length} tokens. ` : ""}`
      + "The stronger its colour, the more a token surprised the model; underlined: written by it. Choose a token (framed) to look from its place.";
  }
  return { node: h("div", {}, h("p", { class: "pg-label" }, "What the model reads"), box, legend), update };
}

/** What may come next: bars before and after the sampling controls. */
export function nextPart(append, count) {
  const rows = Array.from({ length: count }, () => {
    const [before, after] = [h("span", { class: "pg-before" }), h("span", { class: "pg-after" })];
    const shares = [h("td", { class: "xp-number" }), h("td", { class: "xp-number" })];
    const word = h("button", { type: "button", class: "xp-button xp-word" });
    const row = h("tr", { hidden: true }, h("th", { scope: "row" }, word), h("td", {}, h("span", { class: "pg-bars" }, before, after)), ...shares);
    return { row, word, before, after, shares };
  });
  const title = h("p", { class: "pg-label" });
  const table = h("table", { class: "xp-bars pg-next" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "token"), h("td", {}), h("th", { scope: "col", class: "xp-number" }, "model"), h("th", { scope: "col", class: "xp-number" }, "drawn"))),
    h("tbody", {}, ...rows.map(({ row }) => row)));
  function fill(i, id, name, before, after, widest) {
    const { row, word, before: pale, after: full, shares } = rows[i];
    word.textContent = visible(name);
    word.setAttribute("aria-label", `Append ${visible(name)}`);
    word.onclick = () => append(id);
    pale.style.width = `${(100 * before) / widest}%`;
    full.style.width = `${(100 * after) / widest}%`;
    shares[0].textContent = percent(before);
    shares[1].textContent = after ? percent(after) : "–";
    row.classList.toggle("xp-off", after === 0);
  }
  /** What Python has computed, before the model is here. @param {[number, string, number][]} first */
  function preview(first) {
    title.textContent = "What comes next?";
    first.slice(0, count).forEach(([id, piece, p], i) => {
      rows[i].row.hidden = false;
      fill(i, id, piece, p, p, first[0][2]);
    });
  }
  function update({ info, ids, position, logits, sampling }) {
    const { before, after } = distribution(logits, sampling);
    const order = best(logits, count);
    const last = position === ids.length - 1;
    title.textContent = last ? "What comes next?" : `What was to come after token ${position}, ${quote(visible(info.pieces[ids[position]]))}?`;
    const widest = order.reduce((most, id) => Math.max(most, before[id], after[id]), 0);
    rows.forEach(({ row, word }, i) => {
      const id = order[i];
      row.hidden = id === undefined;
      if (row.hidden) return;
      fill(i, id, id === info.start ? "end" : info.pieces[id], before[id], after[id], widest);
      word.disabled = !last || id === info.start;
    });
    const kept = after.reduce((sum, p) => sum + (p > 0), 0);
    return { best: order[0] === info.start ? "the end" : quote(info.pieces[order[0]]), share: percent(before[order[0]]), kept };
  }
  return { node: h("div", {}, title, table), update, preview };
}

const FIXED = { 0: "always the likeliest" };

/** Temperature, top-k and top-p. @param {object} model @param {(changes: object) => void} set */
export function samplingPart(model, set) {
  const make = (label, name, how) => slider(label, { ...how, value: model.get(name), oninput: (x) => set({ [name]: x }) });
  const parts = {
    temperature: make("Temperature", "temperature", { min: 0, max: 2, step: 0.1, format: (x) => FIXED[x] ?? x.toFixed(1) }),
    top_k: make("Top-k", "top_k", { min: 0, max: 50, step: 1, format: (x) => (x ? `the ${x} likeliest` : "off") }),
    top_p: make("Top-p", "top_p", { min: 0.05, max: 1, step: 0.05, format: (x) => (x < 1 ? percent(x) : "off") }),
  };
  return {
    node: h("div", { class: "xp-bar" }, ...Object.values(parts).map(({ node }) => node)),
    update() { for (const [name, part] of Object.entries(parts)) part.show(model.get(name)); },
  };
}

/** The text, and what can be done with it. */
export function textPart({ text, examples, small }, on) {
  const id = `pg-${Math.random().toString(36).slice(2)}`;
  const area = h("textarea", { id, rows: small ? 2 : 3, spellcheck: "false", class: "pg-text", dir: "auto", value: text, oninput: () => on.type(area.value), "data-lm-suppress-shortcuts": true });
  const write = button("Write on", on.write, { class: "xp-button xp-strong" });
  const step = button("One token", on.step);
  const back = button("Take one back", on.back);
  const choice = select("Begin with", [["", "your own words"], ...examples.map((e) => [e, e])], "", (value) => { if (value) on.example(value); });
  const speed = select("Pace", [["4", "slow"], ["20", "to read along"], ["0", "as fast as it can"]], "20", (value) => on.pace(Number(value)));
  const node = h("div", {}, h("label", { for: id, class: "pg-label" }, "Your text"), area,
    h("div", { class: "xp-bar" }, write, step, ...(small ? [choice.node] : [back])),
    small ? "" : h("div", { class: "xp-bar" }, choice.node, speed.node));
  function update({ text: now, writing, wanted }) {
    if (wanted === null && area.value !== now) area.value = now;
    choice.input.value = examples.includes(area.value) ? area.value : "";
    write.textContent = writing ? "Stop" : "Write on";
    step.disabled = back.disabled = writing;
  }
  return { node, area, update };
}
