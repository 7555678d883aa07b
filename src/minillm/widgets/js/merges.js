/* Byte-pair encoding, merge by merge: the reader's text under the first n merges of a vocabulary. */
import {
  button, connect, fixed, frame, h, segmented, slider, unpackVarints,
} from "./shared.js";

// Tokens are strings with one character a byte, so that they can be compared and joined.
const encoder = new TextEncoder();
const bytesOfText = (text) => Array.from(encoder.encode(text), (byte) => String.fromCharCode(byte));
const key = (left, right) => `${left.length}:${left}${right}`;

/** The merges in order, and the place of each pair in that order. */
export function read({ name, pattern, merges }) {
  const tokens = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));
  const known = new Set(tokens);
  const numbers = unpackVarints(merges);
  const list = [];
  for (let i = 0; i < numbers.length; i += 2) {
    const [left, right] = [tokens[numbers[i]], tokens[numbers[i + 1]]];
    list.push({ left, right });
    if (!known.has(left + right)) tokens.push(left + right);
    known.add(left + right);
  }
  const ranks = new Map(list.map(({ left, right }, rank) => [key(left, right), rank]));
  // Python's \s is Unicode's White_Space; JavaScript's differs in two characters.
  const spaces = pattern.replaceAll("\\s", "\\p{White_Space}").replaceAll("\\S", "\\P{White_Space}");
  return { name, list, ranks, regex: new RegExp(spaces, "gu") };
}

function join(word, { left, right }) {
  const out = [];
  for (let i = 0; i < word.length; i++) {
    const hit = word[i] === left && word[i + 1] === right;
    out.push(hit ? left + right : word[i]);
    if (hit) i++;
  }
  return out;
}

/** The lowest rank among all neighbours, or Infinity. */
function lowest(words, ranks) {
  let best = Infinity;
  for (const word of words) {
    for (let i = 1; i < word.length; i++) best = Math.min(best, ranks.get(key(word[i - 1], word[i])) ?? Infinity);
  }
  return best;
}

/** Words cut by the first n merges, in their order; `used` are the merges that changed something. */
export function byMerges(text, vocabulary, n) {
  let words = (text.match(vocabulary.regex) ?? []).map(bytesOfText);
  const used = [];
  for (let rank = lowest(words, vocabulary.ranks); rank < n; rank = lowest(words, vocabulary.ranks)) {
    used.push(rank);
    words = words.map((word) => join(word, vocabulary.list[rank]));
  }
  return { words, used };
}

/** Words cut by taking the longest piece that the first n merges have made. */
export function byLength(text, vocabulary, n) {
  const pieces = new Set(vocabulary.list.slice(0, n).map(({ left, right }) => left + right));
  return (text.match(vocabulary.regex) ?? []).map((word) => {
    const bytes = bytesOfText(word).join("");
    const out = [];
    for (let start = 0; start < bytes.length; start += out.at(-1).length) {
      let end = bytes.length;
      while (end > start + 1 && !pieces.has(bytes.slice(start, end))) end--;
      out.push(bytes.slice(start, end));
    }
    return out;
  });
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A token as it can be read: its text with visible spaces, or its bytes in hexadecimal. */
export function show(token) {
  const bytes = Uint8Array.from(token, (char) => char.charCodeAt(0));
  try {
    return strict.decode(bytes).replace(/ /g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥");
  } catch {
    return `⟨${Array.from(bytes, (byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ")}⟩`;
  }
}

const count = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;
const both = ({ left, right }) => `“${show(left)}” + “${show(right)}”`;

function render({ model, el }) {
  const { vocabularies, limit, longest_text: longest } = model.get("data");
  const all = new Map(vocabularies.map((packed) => [packed.name, read(packed)]));
  const traits = connect(model, ["text", "vocabulary", "merges", "rule"], update);
  const now = () => all.get(model.get("vocabulary"));
  const changes = () => byMerges(model.get("text"), now(), limit).used.map((rank) => rank + 1).sort((a, b) => a - b);

  const field = h("input", { type: "text", class: "xp-sentence", maxlength: longest, value: model.get("text"),
    autocomplete: "off", spellcheck: "false", oninput: () => traits.set({ text: field.value }) });
  const known = slider("Merges known", { min: 0, max: limit, step: 1, value: model.get("merges"), oninput: (n) => traits.set({ merges: n }) });
  const go = (n) => traits.set({ merges: n });
  const back = button("Undo one", () => go((changes().filter((n) => n <= model.get("merges")).at(-1) ?? 1) - 1));
  const next = button("Next merge here", () => go(changes().find((n) => n > model.get("merges")) ?? limit), { class: "xp-button xp-strong" });
  const tokens = h("ol", { class: "xp-cut", "aria-label": "Tokens" });
  const rows = h("tbody", {});
  const table = h("table", {}, h("thead", {}, h("tr", {}, ...["merge", "joins", "into"].map((name) => h("th", { scope: "col" }, name)))), rows);
  const { say } = frame(el, "Merge by merge",
    "Write a text. Each step applies the next merge that finds something in it; the pair to be joined is framed.",
    h("label", { class: "xp-field" }, h("span", {}, "Your text"), field),
    h("div", { class: "xp-bar" },
      segmented("Merges learnt from", vocabularies.map(({ name }) => [name, name]), model.get("vocabulary"), (name) => traits.set({ vocabulary: name })),
      segmented("Cut by", [["merges", "merges in order"], ["longest", "longest piece"]], model.get("rule"), (rule) => traits.set({ rule }))),
    h("div", { class: "xp-bar" }, known.node),
    h("div", { class: "xp-bar" }, next, back, button("None", () => go(0)), button("All", () => go(limit))),
    tokens, table);

  function draw(words, pair) {
    tokens.replaceChildren(...words.flatMap((word) => {
      const lit = new Set();
      for (let i = 1; pair && i < word.length; i++) {
        if (word[i - 1] === pair.left && word[i] === pair.right && !lit.has(i - 1)) lit.add(i - 1).add(i);
      }
      return word.map((token, i) => h("li", { class: `${lit.has(i) ? "xp-lit" : ""} ${i ? "" : "xp-first"}` }, show(token)));
    }));
  }

  function list(used) {
    const recent = used.slice(-5).reverse().map((rank) => {
      const { left, right } = now().list[rank];
      return h("tr", {}, h("td", {}, String(rank + 1)), h("td", {}, `${show(left)} + ${show(right)}`), h("td", {}, show(left + right)));
    });
    table.hidden = !recent.length;
    rows.replaceChildren(...recent);
  }

  function update() {
    const [text, n, rule] = [model.get("text"), model.get("merges"), model.get("rule")];
    const { words, used } = byMerges(text, now(), n);
    const longer = byLength(text, now(), n);
    const shown = rule === "merges" ? words : longer;
    const rank = lowest(words, now().ranks);
    const pair = rule === "merges" && rank < limit ? now().list[rank] : null;
    draw(shown, pair);
    list(rule === "merges" ? used : []);
    if (field.value !== text) field.value = text;
    known.show(n);
    next.disabled = rank >= limit;
    back.disabled = !used.length;
    const size = shown.flat().length;
    const length = [...text].length;
    const cost = `With ${count(n, "merge")}: ${count(size, "token")} for ${count(length, "character")}${size ? `, ${fixed(length / size)} characters a token` : ""}.`;
    if (rule === "merges") return say(`${cost} ${pair ? `Next here is merge ${rank + 1}: ${both(pair)}.` : "No further merge changes this text."}`);
    const differ = words.filter((word, i) => word.join("\n") !== longer[i].join("\n"));
    const examples = [...new Set(differ.slice(0, 3).map((word) => `“${word.map(show).join("·")}”`))].join(", ");
    return say(`${cost} ${differ.length ? `The merges in order cut ${count(differ.length, "word")} differently: ${examples}.` : "Here both rules cut alike."}`);
  }
  update();
  return traits.stop;
}

export default { render };
