/* Views into the model: attention maps, what each layer would say, parts switched off. */
import { button, fixed, h, percent, quote } from "../shared.js";
import { reach, scroller, toolbar, visible } from "./parts.js";
import { best, distribution } from "./sampling.js";

const PLAIN = { temperature: 1, topK: 0, topP: 1 };
const MOST_KEYS = 6;

/** Draw weights (n × n, from 0 to `full`) into a canvas, in the colour of the text's accent. */
function paint(canvas, weights, n, full, row = -1) {
  const hue = getComputedStyle(canvas).color.match(/[\d.]+/g).map(Number);
  const image = new ImageData(n, n);
  for (let i = 0, at = 0; i < n * n; i++, at += 4) {
    if (!weights[i]) continue;
    const dim = row >= 0 && Math.floor(i / n) !== row ? 0.55 : 1;
    [image.data[at], image.data[at + 1], image.data[at + 2]] = hue;
    image.data[at + 3] = 255 * dim * (weights[i] / full) ** 0.6;
  }
  canvas.width = canvas.height = n;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Every head's attention: all as small maps, one of them large, one row in words. */
export function attentionPart(ask, choose, redraw) {
  let at = [0, 0];
  let view = null;
  const grid = h("div", { class: "pg-heads", role: "toolbar", "aria-label": "Heads; arrow keys go from one to the next", "data-lm-suppress-shortcuts": true });
  const large = h("canvas", { class: "pg-map", "aria-hidden": "true" });
  const title = h("p", { class: "pg-label" });
  const list = h("table", { class: "xp-bars" });
  toolbar(grid, (i) => select(i));
  large.addEventListener("click", (event) => choose(Math.floor((event.offsetY / large.clientHeight) * view.ids.length)));
  function select(i) {
    at = [Math.floor(i / view.info.config.n_heads), i % view.info.config.n_heads];
    redraw();
  }
  function fill({ n_layers: L, n_heads: H }) {
    grid.dataset.columns = H;
    grid.style.setProperty("--columns", H);
    grid.replaceChildren(...Array.from({ length: L * H }, (_, i) => h("button", { type: "button", class: "pg-head", onclick: () => select(i),
      "aria-label": `head ${Math.floor(i / H)}.${i % H}` }, h("canvas", {}), h("span", {}, `${Math.floor(i / H)}.${i % H}`))));
  }
  async function update(now) {
    view = now;
    const { info, ids, position, off } = view;
    const { n_heads: H } = info.config;
    if (!grid.children.length) fill(info.config);
    const [small, map] = await Promise.all([ask("thumbnails", { off }), ask("attention", { layer: at[0], head: at[1], off })]);
    const n = Math.round(Math.sqrt(map.length));
    if (n !== ids.length) return "";
    small.forEach((weights, i) => {
      const node = grid.children[i];
      paint(node.firstChild, weights, n, 255);
      node.setAttribute("aria-pressed", String(i === at[0] * H + at[1]));
      node.classList.toggle("pg-dark", off.includes(`${Math.floor(i / H)}.${i % H}`) || off.includes(`${Math.floor(i / H)}.attention`));
    });
    reach([...grid.children], at[0] * H + at[1]);
    paint(large, map, n, 1, position);
    return tell(map.subarray(position * n, (position + 1) * n));
  }
  function tell(row) {
    const { info, ids, position } = view;
    const name = (i) => (ids[i] === info.start ? "start" : visible(info.pieces[ids[i]]));
    const first = best(row.subarray(0, position + 1), MOST_KEYS);
    title.textContent = `Layer ${at[0]}, head ${at[1]}: where token ${position}, “${name(position)}”, looks`;
    list.replaceChildren(h("tbody", {}, ...first.map((i) => h("tr", {}, h("th", { scope: "row" }, `${i} ${name(i)}`),
      h("td", {}, h("span", { class: "xp-meter", style: `width:${100 * row[i]}%` })), h("td", { class: "xp-number" }, percent(row[i]))))));
    return `Layer ${at[0]}, head ${at[1]}: “${name(position)}” looks at “${name(first[0])}” with ${percent(row[first[0]])}.`;
  }
  const node = h("div", { class: "pg-attention" },
    h("div", {}, h("p", { class: "pg-label" }, "All heads: a row for each layer"), grid),
    h("div", {}, title, large, list, h("p", { class: "xp-note" }, "In a map each row is a token that looks, each column a token that is looked at; the chosen token's row is dark.")));
  return { node, update };
}

/** The logit lens: what the model would say if it ended after each layer. */
export function lensPart() {
  const body = h("tbody", {});
  const note = h("p", { class: "xp-note" });
  const node = h("div", {}, note, scroller("What each layer would say", h("table", { class: "pg-lens" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "the stream after"), ...[1, 2, 3, 4].map((i) => h("th", { scope: "col" }, `choice ${i}`)), h("th", { scope: "col", class: "xp-number" }, "the last word's rank"))), body)));
  async function update({ info, look }) {
    const layers = look.lens.map((logits) => ({ logits, order: best(logits, 4), before: distribution(logits, PLAIN).before }));
    const winner = layers.at(-1).order[0];
    const rank = (logits) => logits.reduce((above, z) => above + (z > logits[winner]), 1);
    const name = (id) => (id === info.start ? "end" : visible(info.pieces[id]));
    body.replaceChildren(...layers.map(({ logits, before, order }, i) => h("tr", {}, h("th", { scope: "row" }, i ? `layer ${i - 1}` : "the embedding"),
      ...order.map((id) => h("td", { class: id === winner ? "pg-winner" : "" }, `${name(id)} `, h("span", { class: "xp-share" }, percent(before[id])))),
      h("td", { class: "xp-number" }, String(rank(logits))))));
    const first = layers.findIndex(({ order }) => order[0] === winner);
    note.textContent = "Each row sends the stream through the last norm and the output matrix, as if the model ended there (the logit lens).";
    return `The model's choice, “${name(winner)}”, comes first after ${first ? `layer ${first - 1}` : "the embedding"}.`;
  }
  return { node, update };
}

/** Switches for every head, every attention and every feed-forward network. */
export function switchesPart(ask, setOff) {
  const grid = h("table", { class: "pg-switches" });
  const result = h("div", {});
  let view = null;
  const flip = (names) => {
    const off = new Set(view.off);
    const all = names.every((name) => off.has(name));
    for (const name of names) off[all ? "delete" : "add"](name);
    setOff([...off]);
  };
  const toggle = (label, names) => h("button", { type: "button", class: "xp-button", "data-names": names.join(" "), "data-label": label, onclick: () => flip(names) });
  function fill({ n_layers: L, n_heads: H }) {
    const heads = Array.from({ length: H }, (_, i) => i);
    const head = h("tr", {}, h("td", {}), ...heads.map((i) => h("th", { scope: "col" }, `head ${i}`)), ...["attention", "feed-forward", "layer"].map((t) => h("th", { scope: "col" }, t)));
    const row = (l) => h("tr", {}, h("th", { scope: "row" }, `layer ${l}`), ...heads.map((i) => h("td", {}, toggle(`head ${i} of layer ${l}`, [`${l}.${i}`]))),
      h("td", {}, toggle(`attention of layer ${l}`, [`${l}.attention`])), h("td", {}, toggle(`feed-forward network of layer ${l}`, [`${l}.ffn`])),
      h("td", {}, toggle(`the whole layer ${l}`, [`${l}.attention`, `${l}.ffn`])));
    grid.replaceChildren(h("thead", {}, head), h("tbody", {}, ...Array.from({ length: L }, (_, l) => row(l))));
  }
  const mean = (costs) => costs.slice(1).reduce((a, b) => a + b, 0) / (costs.length - 1);
  function compare(whole, edited, { info }) {
    const [a, b] = [whole, edited].map(({ logits }) => ({ ...distribution(logits, PLAIN), order: best(logits, 4) }));
    const ids = [...new Set([...a.order, ...b.order])];
    const name = (id) => (id === info.start ? "end" : visible(info.pieces[id]));
    const [x, y] = [mean(whole.costs), mean(edited.costs)];
    result.replaceChildren(
      h("p", {}, "Surprise per token of this text: ", h("strong", {}, fixed(x)), " nats for the whole model, ", h("strong", {}, fixed(y)), " with these parts off."),
      h("table", {}, h("thead", {}, h("tr", {}, ...["next token", "whole", "parts off"].map((t, i) => h("th", { scope: "col", class: i ? "xp-number" : "" }, t)))),
        h("tbody", {}, ...ids.map((id) => h("tr", {}, h("th", { scope: "row" }, name(id)), ...[a, b].map(({ before }) => h("td", { class: "xp-number" }, percent(before[id]))))))));
    return `With ${view.off.length} part${view.off.length > 1 ? "s" : ""} off the text costs ${fixed(y)} instead of ${fixed(x)} nats per token; the first choice is “${name(b.order[0])}”, before it was “${name(a.order[0])}”.`;
  }
  async function update(now) {
    view = now;
    const { info, ids, off } = view;
    if (!grid.children.length) fill(info.config);
    for (const node of grid.querySelectorAll("button")) {
      const isOff = node.dataset.names.split(" ").every((name) => off.includes(name));
      node.classList.toggle("pg-is-off", isOff);
      node.textContent = isOff ? "off" : "on";
      node.setAttribute("aria-label", `${node.dataset.label}: ${node.textContent}`);
    }
    all.disabled = !off.length;
    if (off.length) return compare(await ask("read", { ids }), view, view);
    result.replaceChildren(h("p", { class: "xp-note" }, "Everything is on. Switch a head or a layer off: tokens, bars and the text that is written then come from the damaged model."));
    return "Every part is on.";
  }
  const all = button("Everything on", () => setOff([]));
  return { node: h("div", {}, scroller("Switches", grid), h("div", { class: "xp-bar" }, all), result), update };
}
