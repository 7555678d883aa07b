/* A guided tour: one token's way through the model, with the numbers that the model has there. */
import { button, fixed, h, percent, quote, s } from "../shared.js";
import { scroller, visible } from "./parts.js";
import { best, distribution } from "./sampling.js";

const CLOCKS = 4;
const size = (x) => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));
const rms = (x) => size(x) / Math.sqrt(x.length);

/** A vector as a strip: blue above zero, vermillion below, pale near it. */
function strip(vector, label) {
  const most = Math.max(...Array.from(vector, Math.abs)) || 1;
  const cells = Array.from(vector, (v, i) => s("rect", { x: i, width: 1.02, height: 1, class: v < 0 ? "pg-minus" : "pg-plus", "fill-opacity": (Math.abs(v) / most).toFixed(3) }));
  return h("figure", { class: "pg-strip" }, s("svg", { viewBox: `0 0 ${vector.length} 1`, preserveAspectRatio: "none", "aria-hidden": "true" }, ...cells), h("figcaption", {}, label));
}

/** Lengths as bars with their numbers: [name, length, class]. */
function bars(rows) {
  const most = Math.max(...rows.map(([, length]) => length)) || 1;
  return h("table", { class: "xp-bars pg-lengths" }, h("tbody", {}, ...rows.map(([name, length, text]) => h("tr", {}, h("th", { scope: "row" }, name),
    h("td", {}, h("span", { class: "xp-meter", style: `width:${(100 * length) / most}%` })), h("td", { class: "xp-number" }, text ?? fixed(length))))));
}

function clock(angle, label) {
  const [x, y] = [20 + 15 * Math.cos(angle), 20 - 15 * Math.sin(angle)];
  return h("li", {}, s("svg", { viewBox: "0 0 40 40", width: 56, height: 56, "aria-hidden": "true" }, s("circle", { cx: 20, cy: 20, r: 17, class: "pg-dial" }), s("line", { x1: 20, y1: 20, x2: x, y2: y, class: "pg-hand" })), label);
}

function turns({ info: { config }, position }) {
  const E = config.d_model / config.n_heads;
  const pairs = Array.from({ length: CLOCKS }, (_, k) => Math.round((k * (E / 2 - 1)) / (CLOCKS - 1)));
  return h("ul", { class: "pg-clocks" }, ...pairs.map((i) => {
    const angle = position * config.rope_theta ** (-(2 * i) / E);
    return clock(angle, `pair ${i}: ${fixed(angle)} rad`);
  }));
}

const PLACES = {
  rope: (v) => [`It stands at position ${v.position}, counted from 0. Nothing is added for that: inside each head, every pair of coordinates of its query and its key is turned by an angle that grows with the position, fast pairs first. A query and a key then meet at an angle that depends on their distance.`, turns(v)],
  learned: (v) => [`It stands at position ${v.position}, counted from 0. The vector of that position, which the model has learned, is in the sum above.`],
  sinusoidal: (v) => [`It stands at position ${v.position}, counted from 0. The sines and cosines of that position are in the sum above.`],
  none: () => ["This model is told no positions; only the mask, which hides what comes later, tells it of order."],
};

const NORMS = {
  pre: (v) => [`Before each of its parts reads the vector, a block brings its numbers to a common size. In layer 0 their root mean square is ${fixed(rms(v.look.stream[0]), 3)} before the norm and ${fixed(rms(v.look.normed[0]), 3)} behind it, where each coordinate has been scaled by a learned weight. The stream itself keeps its size; only what is read is normed.`],
  post: () => ["In this model the norm comes behind each part: what the part has added to the vector is in it already, and the sum is brought to a common size."],
};

/** The steps: the part that lights up, a title, and what there is to tell. */
const STEPS = [
  { part: "embedding", title: "From a token to a vector", tell: (v) => [
    `The chosen token is ${v.name(v.position)}, number ${v.ids[v.position]} of ${v.info.config.vocab_size.toLocaleString("en")}. The embedding is a table with a row for each token; the model takes this row of ${v.info.config.d_model} numbers. From here on the token is this vector.`,
    strip(v.look.stream[0], `the ${v.info.config.d_model} numbers: blue above zero, red below, pale near it`)] },
  { part: "position", title: "Where it stands", tell: (v) => PLACES[v.info.config.position](v) },
  { part: "norm", title: "The norm", tell: (v) => [
    ...NORMS[v.info.config.norm_placement](v),
    strip(v.look.normed[0], "what the attention of layer 0 reads")] },
  { part: "heads", title: "The heads", tell: (v) => [
    `Now the token looks at the tokens up to its own. Each of the ${v.info.config.n_heads} heads asks with a query of its own, compares it with the key of every token and mixes their values in these shares. The strongest of each head in each layer:`,
    scroller("Where the token looks", h("table", {}, h("thead", {}, h("tr", {}, h("td", {}), ...v.look.heads[0].map((_, i) => h("th", { scope: "col" }, `head ${i}`)))),
      h("tbody", {}, ...v.look.heads.map((rows, layer) => h("tr", {}, h("th", { scope: "row" }, `layer ${layer}`), ...rows.map((row) => {
        const [top] = best(row, 1);
        return h("td", {}, `${v.name(top)} `, h("span", { class: "xp-share" }, percent(row[top])));
      }))))))] },
  { part: "residual", title: "The residual stream", tell: (v) => [
    "What the heads have gathered is not put in the vector's place but added to it, and so is the result of the feed-forward network. The vector on this road is the residual stream. How long it is, and how long what was added:",
    bars([["embedding", size(v.look.stream[0])], ...v.look.attention.flatMap((a, i) => [[`+ attention ${i}`, size(a)], [`+ feed-forward ${i}`, size(v.look.ffn[i])], [`= after layer ${i}`, size(v.look.stream[i + 1])]])])] },
  { part: "ffn", title: "The feed-forward network", tell: (v) => {
    const inner = v.look.inner[0];
    const most = Math.max(...Array.from(inner, Math.abs));
    const strong = inner.filter((x) => Math.abs(x) > most / 10).length;
    return [`Then the token is alone: a network of ${inner.length} inner units works on its vector and on no other. In layer 0, ${strong} of them are above a tenth of the strongest for this token. Their sum, each with its own column of weights, goes into the stream.`,
      strip(inner, `the ${inner.length} inner units of layer 0`)];
  } },
  { part: "logits", title: "The logits", tell: (v) => {
    const logits = Array.from(v.look.logits);
    const score = (id) => v.look.logits[id];
    return [`After ${v.info.config.n_layers} layers${v.info.config.norm_placement === "pre" ? " a last norm follows, and" : ""} the vector is compared with a row for each of the ${v.info.config.vocab_size.toLocaleString("en")} tokens${v.info.config.tie_embeddings ? ", the same rows as in the embedding" : ""}. Each dot product is a score, a logit. The best five, and the worst:`,
      h("table", {}, h("tbody", {}, ...[...best(logits, 5), logits.indexOf(Math.min(...logits))].map((id) => h("tr", {}, h("th", { scope: "row" }, v.word(id)), h("td", { class: "xp-number" }, fixed(score(id)))))))];
  } },
  { part: "sampling", title: "One token is drawn", tell: (v) => {
    const { before, after } = distribution(v.look.logits, v.sampling);
    const kept = after.reduce((sum, p) => sum + (p > 0), 0);
    return [`Softmax turns the scores into probabilities; the temperature and the filters above change them, and ${kept} of ${after.length.toLocaleString("en")} tokens can be drawn now. What is drawn becomes the next token of the text, and everything begins again with it.`,
      bars(best(v.look.logits, 5).map((id) => [v.word(id), after[id], `${percent(before[id])} → ${percent(after[id])}`]))];
  } },
];

/** The model as boxes along the stream; the part that the tour speaks of lights up. */
function diagram(layers) {
  const box = (part, y, text, x = 62, width = 128) => s("g", { "data-part": part }, s("rect", { x, y, width, height: 24, rx: 6 }), s("text", { x: x + width / 2, y: y + 16.5, "text-anchor": "middle" }, text));
  const plus = (y) => s("g", { "data-part": "residual" }, s("circle", { cx: 30, cy: y, r: 9 }), s("text", { x: 30, y: y + 4.5, "text-anchor": "middle" }, "+"));
  const side = (from, to) => s("path", { d: `M30 ${from} H56 M62 ${to} H39`, class: "pg-wire" });
  return s("svg", { viewBox: "0 0 200 368", class: "pg-diagram", "aria-hidden": "true" },
    s("g", { "data-part": "residual" }, s("path", { d: "M30 38 V316", class: "pg-road" })),
    s("rect", { x: 6, y: 48, width: 190, height: 214, rx: 8, class: "pg-block" }), s("text", { x: 188, y: 257, "text-anchor": "end", class: "pg-times" }, `× ${layers} layers`),
    box("embedding", 12, "embedding", 6, 184), side(72, 140), side(172, 230),
    box("norm", 60, "norm"), box("position", 91, "position"), box("heads", 122, "heads"), plus(140),
    box("norm", 166, "norm"), box("ffn", 206, "feed-forward"), plus(230),
    box("norm", 274, "norm", 6, 184), box("logits", 306, "logits", 6, 184), box("sampling", 338, "sampling", 6, 184));
}

/** @param {() => Promise<void>} draw  lets the model draw the next token, with which the tour begins again
 *  @param {() => Promise<void>} redraw */
export function tourPart(draw, redraw) {
  let at = 0;
  let view = null;
  const picture = h("div", {});
  const heading = h("p", { class: "pg-label", tabindex: "-1" });
  const text = h("div", { class: "pg-step" });
  const go = async (to) => {
    at = to;
    await redraw();
    heading.focus();
  };
  const back = button("Back", () => go(at - 1));
  const next = button("Next", async () => {
    if (at + 1 === STEPS.length) await draw();
    await go((at + 1) % STEPS.length);
  }, { class: "xp-button xp-strong" });
  function update(now) {
    view = now;
    const { part, title, tell } = STEPS[at];
    if (!picture.children.length) picture.append(diagram(view.info.config.n_layers));
    for (const group of picture.querySelectorAll("[data-part]")) group.classList.toggle("pg-now", group.dataset.part === part);
    const word = (id) => (id === view.info.start ? "end" : visible(view.info.pieces[id]));
    const name = (i) => (view.ids[i] === view.info.start ? "the start" : quote(view.info.pieces[view.ids[i]]));
    heading.textContent = `${at + 1} of ${STEPS.length}: ${title}`;
    text.replaceChildren(...tell({ ...view, word, name }).map((piece) => (typeof piece === "string" ? h("p", {}, piece) : piece)));
    back.disabled = at === 0;
    next.textContent = at + 1 < STEPS.length ? "Next" : "Draw, and begin again";
    return `Step ${at + 1} of ${STEPS.length}: ${title}.`;
  }
  return { node: h("div", { class: "pg-tour" }, picture, h("div", {}, heading, text, h("div", { class: "xp-bar" }, back, next))), update: async (now) => update(now) };
}
