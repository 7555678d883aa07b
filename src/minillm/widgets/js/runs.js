/* Stored training runs: choose by settings, see curves beside baselines, guess the end first. */
import {
  PALETTE, arrowKeys, button, clamp, connect, draggable, fixed, frame, h, onWidth, s, segmented, select,
} from "./shared.js";

const HEIGHT = 300;
const EDGE = { left: 42, right: 14, top: 26, bottom: 24 };
const SHOWN = 0.3; // share of the steps that the guess may see
const DASHES = ["", "7 4", "2 4", "10 3 2 3"];

/** Runs whose every setting is among the chosen values. */
export function matching(runs, options, chosen) {
  const keys = Object.keys(options);
  return runs.filter((run) => keys.every((key, i) => chosen[key]?.includes(options[key][run.settings[i]])));
}

/** Axis marks at round numbers: 1, 2 or 5 times a power of ten apart. */
export function ticks(low, high, count) {
  const raw = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw);
  const marks = [];
  for (let n = Math.ceil(low / step); n * step <= high + step * 1e-9; n++) marks.push(Number((n * step).toPrecision(12)));
  return marks;
}

/** The last loss, or null if the run broke. */
export const final = (run) => run.loss.at(-1);

function limits(runs, baselines) {
  const values = [...runs.flatMap((run) => run.loss.filter((x) => x !== null)), ...Object.values(baselines)];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const pad = 0.06 * (high - low || 1);
  return { low: low - pad, high: high + pad, last: Math.max(...runs.map((run) => run.steps.at(-1)), 1) };
}

function path(run, x, y, until) {
  let pen = "M";
  return run.steps.map((step, i) => {
    if (run.loss[i] === null || step > until) return (pen = "M", "");
    const piece = `${pen}${x(step).toFixed(1)} ${y(run.loss[i]).toFixed(1)}`;
    pen = "L";
    return piece;
  }).join("");
}

function filters(data, traits, model) {
  return Object.entries(data.options).map(([key, values]) => {
    if (data.mode === "switches") {
      return segmented(key, values.map((value) => [value, value]), model.get("chosen")[key]?.[0],
        (value) => traits.set({ chosen: { ...model.get("chosen"), [key]: [value] } }));
    }
    const toggle = (value) => (event) => {
      const old = model.get("chosen")[key] ?? [];
      const next = old.includes(value) ? old.filter((other) => other !== value) : [...old, value];
      event.currentTarget.setAttribute("aria-pressed", String(next.includes(value)));
      traits.set({ chosen: { ...model.get("chosen"), [key]: values.filter((other) => next.includes(other)) } });
    };
    return h("fieldset", { class: "xp-toggles" }, h("legend", {}, key), h("div", {}, ...values.map((value) =>
      button(value, toggle(value), { "aria-pressed": String(model.get("chosen")[key]?.includes(value)) }))));
  });
}

function render({ model, el }) {
  const data = model.get("data");
  const keys = Object.keys(data.options);
  const scale = limits(data.runs, data.baselines);
  const traits = connect(model, ["chosen", "predict", "color_by"], update);
  const state = { focus: null, guess: null, revealed: false, width: 0 };

  const picture = s("svg", { height: HEIGHT, width: "100%", "aria-hidden": "true" });
  const handle = h("button", { type: "button", class: "xp-guess", role: "slider", "aria-label": "Your guess of the final loss" }, "↕");
  const stage = h("div", { class: "xp-chart" }, picture, handle);
  const body = h("tbody", {});
  const table = h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "run"),
    h("th", { scope: "col", class: "xp-number" }, "final"), h("th", { scope: "col", class: "xp-number" }, "best"))), body);
  const colour = select("Colour by", keys.map((key) => [key, key]), model.get("color_by"), (key) => traits.set({ color_by: key }));
  const mode = button("", () => {
    Object.assign(state, { revealed: false, guess: null });
    traits.set({ predict: !model.get("predict") });
  });
  const reveal = button("Reveal the end", () => { state.revealed = true; update(); }, { class: "xp-button xp-strong" });
  const { say } = frame(el, data.mode === "switches" ? "Build it and see" : "Choose a run",
    data.mode === "switches" ? "Set the switches; the stored run with these settings is drawn." : "Switch values on and off; choose a row of the table to find its curve.",
    h("div", { class: "xp-bar" }, ...filters(data, traits, model)),
    h("div", { class: "xp-bar" }, keys.length > 1 && data.mode === "filter" ? colour.node : "", mode, reveal),
    stage, h("div", { class: "xp-table" }, table));

  const x = (step) => EDGE.left + (step / scale.last) * (state.width - EDGE.left - EDGE.right);
  const y = (loss) => EDGE.top + ((scale.high - loss) / (scale.high - scale.low)) * (HEIGHT - EDGE.top - EDGE.bottom);
  const guessAt = (loss) => {
    state.guess = clamp(Math.round(loss * 100) / 100, scale.low, scale.high);
    update();
  };
  const shown = () => matching(data.runs, data.options, model.get("chosen"));
  const asked = (runs) => runs.find((run) => run.name === state.focus) ?? runs[0];
  draggable(handle, picture, (_, v) => guessAt(scale.high - ((v * HEIGHT - EDGE.top) / (HEIGHT - EDGE.top - EDGE.bottom)) * (scale.high - scale.low)));
  arrowKeys(handle, (dx, dy) => guessAt(state.guess + 0.01 * (dx + dy)));

  function paint(run) {
    const by = keys.indexOf(model.get("color_by"));
    const value = run.settings[by] ?? 0;
    const alike = data.runs.filter((other) => (other.settings[by] ?? 0) === value).indexOf(run);
    return { stroke: `var(--xp-${PALETTE[value % PALETTE.length]})`, "stroke-dasharray": DASHES[alike % DASHES.length] };
  }

  function axes() {
    const parts = ticks(scale.low, scale.high, 5).flatMap((loss) => [
      s("line", { x1: EDGE.left, x2: state.width - EDGE.right, y1: y(loss), y2: y(loss), stroke: "currentColor", "stroke-opacity": 0.13 }),
      s("text", { x: EDGE.left - 6, y: y(loss) + 4, "text-anchor": "end" }, String(loss))]);
    const steps = ticks(0, scale.last, state.width < 420 ? 3 : 6).map((step) =>
      s("text", { x: x(step), y: HEIGHT - EDGE.bottom + 16, "text-anchor": "middle" }, String(step)));
    const names = [s("text", { x: 0, y: 12 }, data.unit), s("text", { x: 0, y: HEIGHT - EDGE.bottom + 16 }, "step")];
    return [...parts, ...steps, ...names];
  }

  function lines() {
    let above = -Infinity; // names of close baselines must not cover each other
    return Object.entries(data.baselines).sort((a, b) => b[1] - a[1]).flatMap(([name, loss]) => {
      above = Math.max(y(loss) - 4, above + 14);
      return [s("line", { x1: EDGE.left, x2: state.width - EDGE.right, y1: y(loss), y2: y(loss), stroke: "currentColor", "stroke-dasharray": "3 3", "stroke-opacity": 0.7 }),
        s("text", { x: EDGE.left + 4, y: above, class: "xp-halo" }, `${name} ${fixed(loss)}`)];
    });
  }

  function draw(runs) {
    const guessing = model.get("predict") && runs.length > 0;
    const hidden = guessing && !state.revealed;
    const one = guessing ? asked(runs) : null;
    const until = hidden ? SHOWN * scale.last : Infinity;
    const behind = data.mode === "switches" && !guessing ? data.runs.filter((run) => !runs.includes(run)) : [];
    const curve = (run, look) => s("path", { d: path(run, x, y, until), fill: "none", "stroke-linejoin": "round", ...look });
    const faded = behind.map((run) => curve(run, { stroke: "currentColor", "stroke-opacity": 0.16, "stroke-width": 1.2 }));
    const live = (guessing ? [one] : runs).map((run) => curve(run, { ...paint(run),
      "stroke-width": run.name === state.focus || guessing || runs.length === 1 ? 3.2 : 1.9,
      "stroke-opacity": guessing || !state.focus || run.name === state.focus ? 1 : 0.3 }));
    const ends = (guessing ? [one] : runs).flatMap((run) => broken(run, until));
    const guess = guessing ? [s("line", { class: "xp-guess-line", x1: x(hidden ? until : 0), x2: state.width - EDGE.right, y1: y(state.guess), y2: y(state.guess) })] : [];
    picture.replaceChildren(...axes(), ...faded, ...live, ...ends, ...lines(), ...guess);
  }

  function broken(run, until) {
    const at = run.loss.indexOf(null);
    if (at < 1 || run.steps[at] > until) return [];
    return [s("text", { x: x(run.steps[at - 1]), y: y(run.loss[at - 1]) + 5, "text-anchor": "middle", style: "font-size:18px;font-weight:700" }, "×")];
  }

  function fillTable(runs) {
    const hide = model.get("predict") && !state.revealed;
    const ranked = [...runs].sort((a, b) => (final(a) ?? Infinity) - (final(b) ?? Infinity));
    body.replaceChildren(...(hide ? [...runs] : ranked).map((run) => {
      const { stroke, "stroke-dasharray": dash } = paint(run);
      const choose = () => {
        Object.assign(state, { focus: state.focus === run.name ? null : run.name, revealed: false, guess: null });
        update();
        body.querySelector(`[data-run="${CSS.escape(run.name)}"]`)?.focus();
      };
      const best = Math.min(...run.loss.filter((loss) => loss !== null));
      return h("tr", {}, h("th", { scope: "row" },
        h("button", { type: "button", class: "xp-run", "data-run": run.name, "aria-pressed": String(run.name === state.focus), onclick: choose },
          s("svg", { width: 26, height: 10, "aria-hidden": "true" }, s("line", { x1: 0, x2: 26, y1: 5, y2: 5, "stroke-width": 3, stroke, "stroke-dasharray": dash })), run.name)),
      h("td", { class: "xp-number" }, hide ? "?" : final(run) === null ? "diverged" : fixed(final(run), 3)),
      h("td", { class: "xp-number" }, hide ? "?" : fixed(best, 3)));
    }));
  }

  function update() {
    const runs = shown();
    const guessing = model.get("predict") && runs.length > 0;
    const one = guessing && asked(runs);
    mode.textContent = model.get("predict") ? "Show all curves" : "Guess the end first";
    reveal.hidden = !guessing || state.revealed;
    handle.hidden = reveal.hidden;
    if (guessing) state.guess ??= clamp(one.loss.find((loss) => loss !== null), scale.low, scale.high);
    if (state.width) draw(runs);
    handle.style.top = `${y(state.guess ?? scale.high)}px`;
    for (const [name, value] of [["min", scale.low], ["max", scale.high], ["now", state.guess ?? scale.high]]) handle.setAttribute(`aria-value${name}`, value.toFixed(2));
    fillTable(runs);
    say(sentence(runs, guessing && one));
  }

  function sentence(runs, one) {
    if (!runs.length) return "No stored run has these settings.";
    if (one && !state.revealed) return `Where will “${one.name}” end? You say ${fixed(state.guess)}. Drag the handle or use the arrow keys, then reveal.`;
    const end = one && final(one);
    if (one) return end === null ? `You said ${fixed(state.guess)}; “${one.name}” diverged. ${one.note}` : `You said ${fixed(state.guess)}; “${one.name}” ended at ${fixed(end, 3)}, ${fixed(Math.abs(end - state.guess))} ${end > state.guess ? "higher" : "lower"}. ${one.note}`;
    const best = [...runs].filter((run) => final(run) !== null).sort((a, b) => final(a) - final(b))[0];
    const told = runs.find((run) => run.name === state.focus) ?? (runs.length === 1 ? runs[0] : best);
    if (!told) return `All ${runs.length} runs diverged. ${runs[0].note}`;
    const lead = runs.length === 1 ? "" : `${runs.length} runs. ${told === best ? "The best is " : ""}`;
    if (final(told) === null) return `${lead}“${told.name}” diverged. ${told.note}`;
    const worse = Object.entries(data.baselines).filter(([, loss]) => loss > final(told)).sort((a, b) => a[1] - b[1])[0];
    const against = !Object.keys(data.baselines).length ? "" : worse ? `, better than ${worse[0]}` : ", worse than every baseline";
    return `${lead}“${told.name}” ends at ${fixed(final(told), 3)}${against}. ${told.note}`;
  }
  const unwatch = onWidth(stage, (width) => { state.width = width; update(); });
  update();
  return () => { traits.stop(); unwatch(); };
}

export default { render };
