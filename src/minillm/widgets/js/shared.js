/* What the explorables share: elements, controls, a frame, number formats and small arithmetic.
   `widgets/base.py` puts this text in front of each module; nothing is fetched. */

export const PALETTE = ["blue", "vermillion", "green", "purple", "orange", "sky"];

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") node[name] = value;
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// JupyterLab takes arrow keys for its cells unless what has the focus bears this mark.
const OWN_KEYS = { "data-lm-suppress-shortcuts": true };

/** An HTML element; attributes that begin with "on" are listeners. */
export const h = (tag, attributes, ...children) =>
  fill(document.createElement(tag), tag === "input" || tag === "select" ? { ...OWN_KEYS, ...attributes } : attributes, children);

/** An SVG element. */
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// Numbers in words ---------------------------------------------------------------------------

export const fixed = (x, digits = 2) => (Number.isFinite(x) ? x.toFixed(digits).replace("-", "−") : "∞");

/** 0.9431 as "94 %"; below 10 % with one decimal. */
export function percent(p) {
  if (p > 0 && p < 0.0005) return "<0.1 %";
  return `${(100 * p).toFixed(p > 0 && p < 0.0995 ? 1 : 0)} %`;
}

/** A token as it is said: quoted, its space kept, its line break visible. */
export const quote = (token) => `“${token.replace(/ /g, "\u00a0").replace(/\n/g, "↵")}”`;

// Data ---------------------------------------------------------------------------------------

const bytesOf = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));

/** Unsigned little-endian integers of 8 or 16 bits from base64. */
export function unpackUints(text, bits) {
  const bytes = bytesOf(text);
  return bits === 8 ? bytes : Array.from({ length: bytes.length / 2 }, (_, i) => bytes[2 * i] | (bytes[2 * i + 1] << 8));
}

/** Integers in the variable-length form LEB128 from base64. */
export function unpackVarints(text) {
  const numbers = [];
  let number = 0;
  let factor = 1;
  for (const byte of bytesOf(text)) {
    number += (byte & 127) * factor;
    factor *= 128;
    if (byte < 128) {
      numbers.push(number);
      number = 0;
      factor = 1;
    }
  }
  return numbers;
}

export function softmax(scores) {
  const top = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** A generator of numbers in [0, 1) that gives the same draws for the same seed (mulberry32). */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

// Controls -----------------------------------------------------------------------------------

/** A labelled slider. `show(value)` moves it from outside. */
export function slider(label, { min, max, step, value, format = String, oninput }) {
  // The value is part of the slider for a screen reader, so the visible copy stays silent.
  const output = h("span", { class: "xp-value", "aria-hidden": "true" });
  const input = h("input", { type: "range", min, max, step, "aria-label": label.trim() });
  const show = (x) => {
    input.value = x;
    output.textContent = format(Number(x));
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => {
    show(input.value);
    oninput(Number(input.value));
  });
  show(value);
  return { node: h("label", { class: "xp-slider" }, h("span", {}, label), input, output), input, show };
}

/** A labelled choice from a list of [value, text]. */
export function select(label, options, value, onchange) {
  const input = h("select", { onchange: () => onchange(input.value) },
    ...options.map(([option, text]) => h("option", { value: option }, text)));
  input.value = value;
  return { node: h("label", { class: "xp-field" }, h("span", {}, label), input), input };
}

export function checkbox(label, checked, onchange) {
  const input = h("input", { type: "checkbox", checked, onchange: () => onchange(input.checked) });
  return { node: h("label", { class: "xp-check" }, input, label), input };
}

/** A labelled number; what is no number in the range is marked and not passed on. */
export function numberField(label, { min, max, step, value, onchange }) {
  const input = h("input", { type: "number", min, max, step, value });
  input.addEventListener("input", () => {
    const ok = input.value !== "" && input.validity.valid;
    input.setAttribute("aria-invalid", String(!ok));
    if (ok) onchange(Number(input.value));
  });
  return { node: h("label", { class: "xp-field" }, h("span", {}, label), input), input };
}

export const button = (text, onclick, attributes = {}) =>
  h("button", { type: "button", class: "xp-button", onclick, ...attributes }, text);

/** Buttons of which one is chosen (radio buttons underneath, so arrow keys work). */
export function segmented(label, options, value, onchange) {
  const name = `xp-${Math.random().toString(36).slice(2)}`;
  const inputs = options.map(([option, text]) => {
    const input = h("input", { type: "radio", name, value: option, checked: String(option) === String(value),
      onchange: () => onchange(option) });
    return h("label", {}, input, h("span", {}, text));
  });
  return h("fieldset", { class: "xp-segments" }, h("legend", {}, label), h("div", {}, ...inputs));
}

// Frame --------------------------------------------------------------------------------------

/** The box of an explorable: title, hint, then its parts, then the line that says what is seen. */
export function frame(el, title, hint, ...parts) {
  const line = h("p", { class: "xp-line", role: "status" });
  const root = h("div", { class: "explorable", role: "group", "aria-label": title },
    h("p", { class: "xp-title" }, title), h("p", { class: "xp-hint" }, hint), ...parts, line);
  el.replaceChildren(root);
  const say = (text) => {
    if (line.textContent !== text) line.textContent = text;
  };
  return { root, say };
}

/** Call `draw(width)` now and whenever the width of the node changes; returns the way to stop. */
export function onWidth(node, draw) {
  let last = 0;
  const observer = new ResizeObserver(([entry]) => {
    const width = Math.round(entry.contentRect.width);
    if (width && width !== last) draw((last = width));
  });
  observer.observe(node);
  return () => observer.disconnect();
}

/** Read and write traits; `update` runs after every change, from the page or from Python. */
export function connect(model, names, update) {
  const events = names.map((name) => `change:${name}`).join(" ");
  model.on(events, update);
  return {
    set(changes) {
      for (const [name, value] of Object.entries(changes)) model.set(name, value);
      model.save_changes();
    },
    stop: () => model.off(events, update),
  };
}

/** Drag with the pointer: `move` gets the position inside `area` as two shares from 0 to 1. */
export function draggable(handle, area, move) {
  handle.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    handle.focus();
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const box = area.getBoundingClientRect();
    move(clamp((event.clientX - box.left) / box.width, 0, 1), clamp((event.clientY - box.top) / box.height, 0, 1));
  });
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** Arrow keys as steps: `move(dx, dy)` with up positive; Shift makes steps of five. */
export function arrowKeys(node, move) {
  node.addEventListener("keydown", (event) => {
    const step = ARROWS[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const size = event.shiftKey ? 5 : 1;
    move(step[0] * size, step[1] * size);
  });
}
