/* Speculative decoding step by step: what a draft proposes, what the target lets stand. */
import { button, connect, fixed, frame, h, onWidth, percent, quote, s, segmented, slider } from "./shared.js";

const [CELL, GAP, MARGIN] = [16, 4, 2]; // pixels of the map of passes: a token, between two, at the edge

const judgedOf = (round) => Math.min(round.kept + 1, round.proposed.length);

/** Every step of a run: the pass, how many of its proposals are judged, and whether it has ended. */
export function stepsOf(rounds) {
  return rounds.flatMap((round, pass) => [
    ...Array.from({ length: judgedOf(round) + 1 }, (_, judged) => ({ pass, judged, ended: false })),
    { pass, judged: judgedOf(round), ended: true },
  ]);
}

/** What has become of a proposal after a step. */
export function fate(round, i, at) {
  if (i < at.judged) return i < round.kept ? "stays" : "refused";
  return at.judged > round.kept ? "lost" : "open";
}

/** Passes, tokens and judged proposals up to and with a step. */
export function totals(rounds, at) {
  const sum = { passes: at.pass + (at.ended ? 1 : 0), tokens: 0, judged: at.judged, kept: 0 };
  rounds.slice(0, at.pass + 1).forEach((round, pass) => {
    const now = pass === at.pass;
    const kept = Math.min(round.kept, now ? at.judged : round.kept);
    sum.kept += kept;
    sum.tokens += kept + (now && !at.ended ? 0 : 1);
    if (!now) sum.judged += judgedOf(round);
  });
  return sum;
}

const LOOKS = { stays: "xp-stays", refused: "xp-refused", lost: "xp-lost", open: "xp-proposed" };
const SIGNS = { stays: "✓", refused: "✗", lost: "–", open: "?" };

function render({ model, el }) {
  const { prompt, runs } = model.get("data");
  const first = { run: model.get("run"), step: model.get("step") };
  const traits = connect(model, ["run", "step"], update);
  const roundsOf = () => runs.find((run) => run.name === model.get("run")).rounds;
  let [rounds, steps, shown, width] = [[], [], null, 600];
  const go = (step) => traits.set({ step });
  const choice = runs.length > 1 ? segmented("Run", runs.map((run) => [run.name, run.name]), first.run, (run) => traits.set({ run, step: 1 })) : "";
  const move = slider("Step", { min: 1, max: 2, step: 1, value: 1, format: (t) => `${t} of ${steps.length}`, oninput: go });
  const back = button("Back", () => go(model.get("step") - 1));
  const next = button("Next step", () => go(model.get("step") + 1));
  const onward = button("Next pass", () => {
    const pass = steps[model.get("step") - 1].pass;
    const at = steps.findIndex((step) => step.pass > pass);
    go(at < 0 ? steps.length : at + 1);
  });
  const text = h("p", { class: "xp-written" });
  const body = h("tbody", {});
  const table = h("table", { class: "xp-steps" }, h("caption", {}), h("thead", {}, h("tr", {},
    ...["proposal", "q", "p", "p / q", "drawn", "fate"].map((name, i) => h("th", { scope: "col", class: i % 5 ? "xp-number" : null }, name)))), body);
  const map = h("div", { class: "xp-passes" });
  const key = (look, words) => h("span", { class: `xp-piece ${look}` }, words);
  const { say } = frame(el, "Speculative decoding, step by step",
    "The draft proposes with probabilities q, the target reads all proposals in one pass and has p. Before each step: will the proposal stay?",
    h("div", { class: "xp-bar" }, choice, move.node, back, next, onward, button("Reset", () => traits.set(first))),
    h("p", { class: "xp-tree-key" }, key("xp-stays", "✓ stays"), " ", key("xp-refused", "✗ refused"), " ", key("xp-lost", "– lost with it"), " ", key("xp-own", "the target's own")),
    text, table, map,
    h("p", { class: "xp-note" }, "A column is a pass, from below: what stayed, the target's own token, what was refused and lost."));

  function write(at) {
    const pieces = [];
    rounds.slice(0, at.pass + 1).forEach((round, pass) => {
      const now = pass === at.pass;
      round.proposed.forEach((item, i) => {
        const what = now ? fate(round, i, at) : i < round.kept ? "stays" : null;
        if (what && !(now && at.ended && what !== "stays")) pieces.push(h("span", { class: `xp-piece ${LOOKS[what]}` }, item.token));
      });
      if (!now || at.ended) pieces.push(h("span", { class: "xp-piece xp-own" }, round.own));
    });
    text.replaceChildren(h("span", {}, prompt), ...pieces);
  }

  function list(at) {
    const round = rounds[at.pass];
    table.caption.textContent = `Pass ${at.pass + 1} of ${rounds.length}`;
    const rows = round.proposed.map((item, i) => {
      const what = fate(round, i, at);
      const seen = what === "stays" || what === "refused";
      const cell = (value) => h("td", { class: "xp-number" }, value);
      return h("tr", { class: LOOKS[what] }, h("th", { scope: "row" }, quote(item.token)), cell(percent(item.q)),
        cell(seen ? percent(item.p) : ""), cell(seen ? (item.p < item.q ? fixed(item.p / item.q) : "≥ 1") : ""), cell(seen ? fixed(item.drawn) : ""),
        h("td", {}, `${SIGNS[what]}\u00a0${what}`));
    });
    const own = h("tr", { class: "xp-own" }, h("th", { scope: "row" }, at.ended ? quote(round.own) : "…"),
      h("td", { colspan: 4 }), h("td", {}, "own"));
    body.replaceChildren(...rows, own);
  }

  /** One column a pass: the proposals from the bottom up, the target's own token on top of those that stayed. */
  function chart(at) {
    const most = Math.max(...rounds.map((round) => round.proposed.length)) + 1;
    const step = Math.min(CELL + GAP, (width - 2 * MARGIN) / rounds.length);
    const cell = Math.max(3, step - GAP);
    const height = most * (CELL + 2) + 2 * MARGIN;
    const boxes = rounds.slice(0, at.pass + 1).flatMap((round, pass) => {
      const when = pass === at.pass ? at : { judged: judgedOf(round), ended: true };
      const looks = round.proposed.map((_, i) => LOOKS[fate(round, i, when)]);
      if (when.ended) looks.splice(round.kept, 0, "xp-own");
      return looks.map((look, i) => s("rect", { class: look, x: MARGIN + pass * step, y: height - MARGIN - (i + 1) * (CELL + 2), width: cell, height: CELL, rx: 3 }));
    });
    const label = `The passes so far as columns: proposals that stayed, the target's own token, then what was refused and lost.`;
    map.replaceChildren(s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, ...boxes));
  }

  function sentence(at) {
    const { passes, tokens, judged, kept } = totals(rounds, at);
    const round = rounds[at.pass];
    const item = round.proposed[at.judged - 1];
    const so = `So far ${tokens} ${tokens === 1 ? "token" : "tokens"} in ${passes} ${passes === 1 ? "pass" : "passes"}; ${kept} of ${judged} judged proposals stayed.`;
    if (at.ended) {
      const why = round.kept < round.proposed.length ? "drawn from what the draft gave too little, (p − q)₊" : "drawn from p, for nothing was refused";
      return `The target adds ${quote(round.own)}, ${why}. ${so}`;
    }
    if (!at.judged) return `The draft proposes ${round.proposed.length || "no"} ${round.proposed.length === 1 ? "token" : "tokens"}; the target reads them in one pass. ${so}`;
    const ratio = item.p / item.q;
    const [limit, drawn] = [fixed(Math.min(1, ratio), 4), fixed(item.drawn, 4)];
    if (at.judged <= round.kept) return `${quote(item.token)} stays: ${ratio >= 1 ? "the target finds it at least as likely as the draft" : `the drawn ${drawn} is below p / q = ${limit}`}. ${so}`;
    return `${quote(item.token)} is refused: the drawn ${drawn} is not below p / q = ${limit}. What was proposed behind it is lost. ${so}`;
  }

  function update() {
    if (model.get("run") !== shown) {
      shown = model.get("run");
      rounds = roundsOf();
      steps = stepsOf(rounds);
      move.input.max = steps.length;
      for (const input of el.querySelectorAll("input[type=radio]")) input.checked = input.value === shown;
    }
    const now = Math.min(model.get("step"), steps.length);
    const at = steps[now - 1];
    move.show(now);
    back.disabled = now <= 1;
    next.disabled = onward.disabled = now >= steps.length;
    write(at);
    list(at);
    chart(at);
    say(sentence(at));
  }
  update();
  const still = onWidth(map, (size) => {
    width = size;
    update();
  });
  return () => {
    still();
    traits.stop();
  };
}

export default { render };
