/* Beam search as a tree: what was kept and dropped at each step, and where the greedy text went. */
import { button, connect, fixed, frame, h, onWidth, quote, s, slider } from "./shared.js";

const [TALL, GAP, HEAD] = [38, 8, 22]; // pixels: a node, between two nodes, the line of step numbers

/** For each step the places of the candidates from which a text kept at the last of these steps grew. */
export function living(steps) {
  const alive = steps.map(() => new Set());
  steps.at(-1).forEach((node, i) => { if (node.kept) alive.at(-1).add(i); });
  for (let t = steps.length - 1; t > 0; t--) {
    for (const i of alive[t]) alive[t - 1].add(steps[t][i].parent);
  }
  return alive;
}

/** What became of a candidate. */
export function fate(node, alive) {
  if (!node.kept) return "dropped";
  return alive ? "kept" : "kept, died out";
}

const LOOKS = { kept: "xp-alive", "kept, died out": "xp-dead", dropped: "xp-dropped" };
const said = (node) => `“${node.text.trim().replace(/\n/g, "↵")}”`; // may break between words
const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

function render({ model, el }) {
  const { prompt, steps, beams } = model.get("data");
  const first = { step: model.get("step") };
  const traits = connect(model, ["step"], update);
  const go = (step) => traits.set({ step });
  const move = slider("Step", { min: 1, max: steps.length, step: 1, value: first.step, format: (t) => `${t} of ${steps.length}`, oninput: go });
  const back = button("Back", () => go(model.get("step") - 1));
  const next = button("Next step", () => go(model.get("step") + 1));
  const picture = h("div", { class: "xp-tree" });
  const body = h("tbody", {});
  const table = h("table", { class: "xp-steps" }, h("caption", {}, "Candidates of this step"),
    h("thead", {}, h("tr", {}, ...["text", "log p of last token", "sum", "fate"].map((name, i) => h("th", { scope: "col", class: i % 3 ? "xp-number" : null }, name)))), body);
  const key = (look, text) => h("span", { class: `xp-key-node ${look}` }, text);
  const { say } = frame(el, "Beam search as a tree",
    "Go on step by step: each beam grows by every token, the best sums are kept. Where does the greedy text (◆) go?",
    prompt ? h("p", { class: "xp-context" }, `${prompt} …`) : "",
    h("div", { class: "xp-bar" }, move.node, back, next, button("Reset", () => traits.set(first))),
    h("p", { class: "xp-tree-key" }, key("xp-alive", "kept"), " ", key("xp-dead", "kept, died out"), " ",
      key("xp-dropped", "dropped"), " ", h("span", {}, "◆ greedy, on the thick line")), picture, table);
  let width = 600;

  function draw(step) {
    const shown = steps.slice(0, step);
    const alive = living(shown);
    const column = (width - 14) / steps.length; // as wide for few steps as for all: nothing jumps
    const box = column - Math.max(12, column * 0.22);
    const left = (t) => 14 + t * column + (column - box);
    const middle = (i) => HEAD + i * (TALL + GAP) + TALL / 2;
    const height = HEAD + Math.max(...steps.map((nodes) => nodes.length)) * (TALL + GAP);
    const root = [8, middle((beams - 1) / 2)];
    const [edges, boxes] = [[], [s("circle", { cx: root[0], cy: root[1], r: 6, class: "xp-root" })]];
    shown.forEach((nodes, t) => {
      boxes.push(s("text", { x: left(t) + box / 2, y: 12, "text-anchor": "middle" }, String(t + 1)));
      nodes.forEach((node, i) => {
        const look = LOOKS[fate(node, alive[t].has(i))];
        const [x, y] = [left(t), middle(i)];
        const [x0, y0] = node.parent < 0 ? root : [left(t - 1) + box, middle(node.parent)];
        const bend = (x - x0) / 2;
        edges.push(s("path", { class: `xp-edge ${look}${node.greedy ? " xp-greedy" : ""}`, d: `M${x0} ${y0}C${x0 + bend} ${y0} ${x - bend} ${y} ${x} ${y}` }));
        const token = node.token.trim() || quote(node.token);
        boxes.push(s("g", { class: look },
          s("rect", { x, y: y - TALL / 2, width: box, height: TALL, rx: 5 }),
          s("text", { x: x + box / 2, y: y - 3, "text-anchor": "middle", class: "xp-node" }, cut(token, Math.floor((box - 2) / 7))),
          s("text", { x: x + box / 2, y: y + 13, "text-anchor": "middle" }, `${node.greedy ? "◆ " : ""}${fixed(node.total)}`)));
      });
    });
    const label = `The tree after ${step} of ${steps.length} steps; its last candidates are in the table below.`;
    picture.replaceChildren(s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, ...edges, ...boxes));
  }

  function update() {
    const step = model.get("step");
    const nodes = steps[step - 1];
    move.show(step);
    back.disabled = step <= 1;
    next.disabled = step >= steps.length;
    draw(step);
    body.replaceChildren(...nodes.map((node) => h("tr", { class: LOOKS[fate(node, true)] },
      h("th", { scope: "row" }, `${node.greedy ? "◆ " : ""}${said(node)}`),
      h("td", { class: "xp-number" }, fixed(node.log_prob)), h("td", { class: "xp-number" }, fixed(node.total)),
      h("td", {}, fate(node, true)))));
    const [best, greedy] = [nodes[0], nodes.find((node) => node.greedy)];
    const place = nodes.indexOf(greedy) + 1;
    const where = greedy.kept ? `is number ${place} of ${beams} kept` : "is not among the kept";
    const ahead = best === greedy ? "The best sum is that of the greedy text," : `The best text is ${said(best)} with the sum`;
    say(`Step ${step}: ${ahead} ${fixed(best.total)}${best === greedy ? `: ${said(best)}` : `; the greedy text ${said(greedy)} has ${fixed(greedy.total)} and ${where}`}.`);
  }
  update();
  const still = onWidth(picture, (now) => {
    width = now;
    draw(model.get("step"));
  });
  return () => {
    still();
    traits.stop();
  };
}

export default { render };
