/* Tabs: one stop of the Tab key, arrow keys between them (the pattern of WAI-ARIA). */
import { h } from "../shared.js";
import { reach, toolbar } from "./parts.js";

/** @param {string} label @param {[string, Node][]} panels @param {() => void} changed */
export function tabs(label, panels, changed) {
  const stem = `pg-${Math.random().toString(36).slice(2)}`;
  let at = 0;
  const buttons = panels.map(([name], i) => h("button", { type: "button", role: "tab", id: `${stem}-tab-${i}`, "aria-controls": `${stem}-${i}`, class: "pg-tab", onclick: () => choose(i) }, name));
  const list = h("div", { role: "tablist", "aria-label": label, class: "pg-tabs", "data-lm-suppress-shortcuts": true }, ...buttons);
  const boxes = panels.map(([, node], i) => h("div", { role: "tabpanel", id: `${stem}-${i}`, "aria-labelledby": `${stem}-tab-${i}`, class: "pg-panel" }, node));
  function show(i) {
    at = i;
    buttons.forEach((node, n) => node.setAttribute("aria-selected", String(n === i)));
    boxes.forEach((node, n) => { node.hidden = n !== i; });
    reach(buttons, i);
  }
  function choose(i) {
    if (i === at) return;
    show(i);
    changed();
  }
  toolbar(list, choose);
  show(0);
  return { node: h("div", {}, h("p", { class: "pg-label" }, label), list, ...boxes), chosen: () => at };
}
