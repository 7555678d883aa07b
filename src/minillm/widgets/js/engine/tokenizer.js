/* Text to ids and back, cut for cut and merge for merge as `minillm.tokenizer` does it. */

// `minillm` counts Unicode's white space and the line break U+0085; `\s` of JavaScript differs.
const WHITE = "\\t-\\r \\x85\\p{Z}";

/** The pattern of a `Splitter` as a regular expression of JavaScript. @param {string} pattern */
export function splitter(pattern) {
  const source = pattern.replace(/\[(?:\\.|[^\]\\])*\]|\\[sS]/g, (part) => {
    if (part[0] === "[") return part.replaceAll("\\s", WHITE);
    return part === "\\s" ? `[${WHITE}]` : `[^${WHITE}]`;
  });
  return new RegExp(source, "gu");
}

/** GPT-2's printable characters, each with the byte that it stands for. */
function byteAlphabet() {
  const bytes = new Map();
  let hidden = 0;
  for (let byte = 0; byte < 256; byte++) {
    const visible = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    bytes.set(String.fromCharCode(visible ? byte : 0x100 + hidden++), byte);
  }
  return bytes;
}

/** A heap of numbers: the smallest comes out first. */
class Heap {
  items = [];
  push(item) {
    const { items } = this;
    let i = items.push(item) - 1;
    for (let up; i > 0 && items[(up = (i - 1) >> 1)] > item; i = up) items[i] = items[up];
    items[i] = item;
  }
  pop() {
    const { items } = this;
    const first = items[0];
    const last = items.pop();
    const count = items.length;
    if (!count) return first;
    let i = 0;
    for (let down; (down = 2 * i + 1) < count; i = down) {
      if (down + 1 < count && items[down + 1] < items[down]) down++;
      if (items[down] >= last) break;
      items[i] = items[down];
    }
    items[i] = last;
    return first;
  }
}

const PLACES = 2 ** 26; // a candidate of the heap is rank · PLACES + place

/** Merge neighbours until none can be: lowest rank first, of equal ranks the leftmost.
 * @param {number[]} ids  the tokens of one word, at first its bytes
 * @param {(left: number, right: number) => {rank: number, id: number} | undefined} find */
export function applyMerges(ids, find) {
  const out = [...ids];
  const count = out.length;
  const after = out.map((_, i) => i + 1);
  const before = out.map((_, i) => i - 1);
  const heap = new Heap();
  const offer = (i) => {
    const merge = i >= 0 && after[i] < count && find(out[i], out[after[i]]);
    if (merge) heap.push(merge.rank * PLACES + i);
  };
  for (let i = 0; i + 1 < count; i++) offer(i);
  while (heap.items.length) {
    const candidate = heap.pop();
    const [i, rank] = [candidate % PLACES, Math.floor(candidate / PLACES)];
    const j = after[i];
    const merge = out[i] >= 0 && j < count && find(out[i], out[j]);
    if (!merge || merge.rank !== rank) continue; // one of the two was merged with another neighbour
    [out[i], out[j], after[i]] = [merge.id, -1, after[j]];
    if (after[i] < count) before[after[i]] = i;
    offer(before[i]);
    offer(i);
  }
  return out.filter((id) => id >= 0);
}

/** Byte-level BPE from what `BPETokenizer.save` writes. */
class BytePairs {
  constructor({ pattern, special, tokens, merges }) {
    this.split = splitter(pattern);
    const bytes = byteAlphabet();
    const utf8 = new TextEncoder();
    const names = new Set(special);
    this.bytes = tokens.map((token) => names.has(token) ? utf8.encode(token) : Uint8Array.from(token, (c) => bytes.get(c)));
    const ids = new Map();
    tokens.forEach((token, id) => { if (!names.has(token)) ids.set(token, id); });
    this.byteIds = [];
    for (const [char, byte] of bytes) this.byteIds[byte] = ids.get(char);
    this.merges = new Map();
    this.size = tokens.length;
    merges.forEach((merge, rank) => {
      const [left, right] = merge.split(" ");
      this.merges.set(ids.get(left) * this.size + ids.get(right), { rank, id: ids.get(left + right) });
    });
    this.find = (left, right) => this.merges.get(left * this.size + right);
    this.known = new Map(); // word → ids
  }
  /** @param {string} text @returns {number[]} */
  encode(text) {
    const ids = [];
    for (const word of text.match(this.split) ?? []) for (const id of this.word(word)) ids.push(id);
    return ids;
  }
  word(word) {
    if (!this.known.has(word)) {
      const start = Array.from(new TextEncoder().encode(word), (byte) => this.byteIds[byte]);
      this.known.set(word, applyMerges(start.filter((id) => id !== undefined), this.find));
    }
    return this.known.get(word);
  }
  /** @param {number[]} ids @returns {string} what is not UTF-8 becomes U+FFFD */
  decode(ids) {
    const parts = ids.map((id) => this.bytes[id]);
    const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(all);
  }
}

/** One id a character, from what `CharTokenizer.save` writes. */
class Characters {
  constructor({ alphabet }) {
    this.characters = [...alphabet];
    this.size = this.characters.length;
    this.ids = new Map(this.characters.map((char, id) => [char, id]));
  }
  encode(text) {
    return Array.from(text, (char) => {
      if (!this.ids.has(char)) throw new Error(`The alphabet of this model has no “${char}”: it knows ${this.size} characters.`);
      return this.ids.get(char);
    });
  }
  decode(ids) { return ids.map((id) => this.characters[id]).join(""); }
}

/** @param {{type: string}} saved  what a tokenizer of `minillm` writes */
export const makeTokenizer = (saved) => saved.type === "bpe" ? new BytePairs(saved) : new Characters(saved);
