/* What the page asks of the model, answered in a Web Worker or, where there is none, in the page. */
import { surprise } from "./layers.js";
import { readModel } from "./model_file.js";
import { makeTokenizer } from "./tokenizer.js";
import { Transformer } from "./transformer.js";

/** A text that one form of the model (whole, or with parts off) has read. */
class Reading {
  constructor(model, off) {
    Object.assign(this, { model, off: new Set(off), key: [...off].sort().join(" ") });
    this.state = model.newState();
    Object.assign(this, { ids: [], costs: [], logits: null }); // costs: the surprise at each token
  }
  /** Keep the first `count` tokens. */
  goBack(count) {
    this.ids.length = this.costs.length = count;
    this.logits = count ? this.model.step(this.state, this.ids[count - 1], count - 1, this.off) : null;
  }
  /** Read up to the end of `ids`; what was read before and is the same is not read again. */
  read(ids) {
    let same = 0;
    while (same < ids.length && this.ids[same] === ids[same]) same++;
    if (same < this.ids.length) this.goBack(same);
    for (const id of ids.slice(this.ids.length)) {
      this.costs.push(this.logits ? surprise(this.logits, id) : NaN);
      this.logits = this.model.step(this.state, id, this.ids.length, this.off);
      this.ids.push(id);
    }
    return this.logits;
  }
  /** One token's way through the model, again and with everything noted. */
  trace(position) {
    const trace = { stream: [], normed: [], attention: [], inner: [], ffn: [], heads: [] };
    trace.logits = this.model.step(this.state, this.ids[position], position, this.off, trace);
    return trace;
  }
}

export class Engine {
  /** @param {{buffer: ArrayBuffer}} request */
  load({ buffer }) {
    const { config, tensors, tokenizer, name, start } = readModel(buffer);
    this.model = new Transformer(config, tensors);
    this.tokenizer = makeTokenizer(tokenizer);
    this.readings = new Map();
    const pieces = Array.from({ length: this.tokenizer.size }, (_, id) => this.tokenizer.decode([id]));
    const parameters = [...tensors].reduce((sum, [key, t]) => sum + (config.position === "sinusoidal" && key.includes("position") ? 0 : t.length), 0);
    return { config, name, start, pieces, parameters };
  }

  encode({ text }) { return this.tokenizer.encode(text); }
  decode({ ids }) { return this.tokenizer.decode(ids); }

  /** The reading of the whole model, or the one with parts off. @param {string[]} off */
  reading(off) {
    const slot = off.length ? "edited" : "whole";
    if (this.readings.get(slot)?.key !== [...off].sort().join(" ")) this.readings.set(slot, new Reading(this.model, off));
    return this.readings.get(slot);
  }

  /** Logits after the last token, the surprise at each, and what was written as text.
   * @param {{ids: number[], off?: string[], written?: number[]}} request */
  read({ ids, off = [], written = [] }) {
    const { vocab_size: V, context_length: T } = this.model.config;
    const wrong = ids.find((id) => !(id >= 0 && id < V));
    if (!ids.length || ids.length > T || wrong !== undefined) throw new Error(`The model reads 1 to ${T} tokens below ${V}, not ${ids.length}${wrong === undefined ? "" : ` with ${wrong}`}.`);
    const reading = this.reading(off);
    const logits = reading.read(ids);
    return { logits, costs: Float32Array.from(reading.costs), text: this.tokenizer.decode(written) };
  }

  /** Everything about one position of the text that was read last. */
  look({ position, off = [] }) {
    const trace = this.reading(off).trace(position);
    return { ...trace, lens: trace.stream.map((x) => this.model.unembed(x)) };
  }

  /** The whole map of one head (n × n, row after row), or of all heads in 8 bits. */
  attention({ layer, head, off = [] }) {
    const { state, ids: { length: n } } = this.reading(off);
    const map = new Float32Array(n * n);
    for (let q = 0; q < n; q++) map.set(this.model.look(state, layer, head, q), q * n);
    return map;
  }
  thumbnails({ off = [] }) {
    const { n_layers: L, n_heads: H } = this.model.config;
    const { state, ids: { length: n } } = this.reading(off);
    return Array.from({ length: L * H }, (_, i) => {
      const map = new Uint8Array(n * n);
      for (let q = 0; q < n; q++) {
        const row = this.model.look(state, Math.floor(i / H), i % H, q);
        for (let key = 0; key <= q; key++) map[q * n + key] = Math.round(255 * row[key]);
      }
      return map;
    });
  }
}

/** Answer the messages of a page. @param {DedicatedWorkerGlobalScope} scope */
export function serve(scope) {
  const engine = new Engine();
  scope.onmessage = ({ data: { number, call, request } }) => {
    try {
      scope.postMessage({ number, answer: engine[call](request) });
    } catch (error) {
      scope.postMessage({ number, error: error.message });
    }
  };
}
