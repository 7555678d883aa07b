/* One Transformer for all configs of `minillm.CausalLM`, one token at a time with a cache. */
import { ACTIVATIONS, dotRows, layerNorm, linear, rmsNorm, rotate, softmaxInPlace } from "./layers.js";

/** What is switched off: "2.1" is head 1 of layer 2; "2.attention" and "2.ffn" are its sublayers.
 * @typedef {Set<string>} Off */

/** What one token's way through the model leaves behind.
 * @typedef {{stream: Float32Array[], normed: Float32Array[], attention: Float32Array[], inner: Float32Array[],
 *   ffn: Float32Array[], heads: Float32Array[][]}} Trace */

export class Transformer {
  /** @param {import("./model_file.js").Config} config @param {Map<string, Float32Array>} tensors */
  constructor(config, tensors) {
    Object.assign(this, { config, tensors });
    this.headDim = config.d_model / config.n_heads;
    this.kvDim = this.headDim * config.n_kv_heads;
    this.inScale = config.position === "sinusoidal" ? Math.sqrt(config.d_model) : 1;
  }

  /** Queries, keys and values of what has been read, layer by layer. */
  newState() {
    const room = (width) => Array.from({ length: this.config.n_layers }, () => new Float32Array(this.config.context_length * width));
    return { queries: room(this.config.d_model), keys: room(this.kvDim), values: room(this.kvDim) };
  }

  weight(name) { return this.tensors.get(`transformer.${name}.weight`); }
  bias(name) { return this.tensors.get(`transformer.${name}.bias`); }

  linear(name, x, width) {
    return linear(this.weight(name), this.bias(name), x, new Float32Array(width));
  }

  norm(name, x) {
    const normalise = this.config.norm === "rmsnorm" ? rmsNorm : layerNorm;
    return normalise(x, this.weight(name), this.bias(name), this.config.norm_eps);
  }

  embed(id, position) {
    const D = this.config.d_model;
    const row = this.weight("embedding.token").subarray(id * D, (id + 1) * D);
    const places = this.weight("embedding.position");
    const x = row.map((value, i) => value * this.inScale + (places ? places[position * D + i] : 0));
    return this.config.embedding_norm ? this.norm("embedding.norm", x) : x;
  }

  /** Scores of the next token from a vector of the stream. */
  unembed(x) {
    const y = this.config.norm_placement === "pre" ? this.norm("norm", x) : x;
    const rows = this.config.tie_embeddings ? this.weight("embedding.token") : this.tensors.get("lm_head.weight");
    return linear(rows, undefined, y, new Float32Array(this.config.vocab_size));
  }

  /** Read one token; what stands before `position` is in the state already.
   * @param {Off} off @param {Trace} [trace] @returns {Float32Array} logits (V) */
  step(state, id, position, off, trace) {
    let x = this.embed(id, position);
    trace?.stream.push(x);
    for (let layer = 0; layer < this.config.n_layers; layer++) {
      x = this.add(x, `blocks.${layer}.attention_norm`, off.has(`${layer}.attention`), (h) => this.attend(state, layer, h, position, off, trace), trace?.attention, trace?.normed);
      x = this.add(x, `blocks.${layer}.ffn_norm`, off.has(`${layer}.ffn`), (h) => this.feed(layer, h, trace), trace?.ffn);
      trace?.stream.push(x);
    }
    return this.unembed(x);
  }

  /** x + sublayer(norm(x)), or norm(x + sublayer(x)); a sublayer that is off adds nothing. */
  add(x, norm, isOff, sublayer, written, read) {
    const pre = this.config.norm_placement === "pre";
    const h = pre ? this.norm(norm, x) : x;
    const y = sublayer(h);
    if (isOff) y.fill(0);
    written?.push(y);
    read?.push(h);
    const sum = x.map((value, i) => value + y[i]);
    return pre ? sum : this.norm(norm, sum);
  }

  attend(state, layer, h, position, off, trace) {
    const { n_heads: H, n_kv_heads: K, d_model: D, position: kind, rope_theta: theta } = this.config;
    const at = `blocks.${layer}.attention`;
    const [q, k, v] = [this.linear(`${at}.q_proj`, h, D), this.linear(`${at}.k_proj`, h, this.kvDim), this.linear(`${at}.v_proj`, h, this.kvDim)];
    if (kind === "rope") {
      rotate(q, H, position, theta);
      rotate(k, K, position, theta);
    }
    state.queries[layer].set(q, position * D);
    state.keys[layer].set(k, position * this.kvDim);
    state.values[layer].set(v, position * this.kvDim);
    const y = new Float32Array(D);
    const rows = Array.from({ length: H }, (_, head) => this.look(state, layer, head, position));
    rows.forEach((row, head) => { if (!off.has(`${layer}.${head}`)) this.gather(state, layer, head, row, y); });
    trace?.heads.push(rows);
    return this.linear(`${at}.o_proj`, y, D);
  }

  /** The weights of one query on all keys up to its own: softmax(q · k / √E). */
  look(state, layer, head, position) {
    const { d_model: D, n_heads, n_kv_heads } = this.config;
    const E = this.headDim;
    const first = Math.floor((head * n_kv_heads) / n_heads) * E;
    const query = state.queries[layer].subarray(position * D + head * E, position * D + (head + 1) * E);
    const row = new Float32Array(position + 1);
    dotRows(query, state.keys[layer], first, this.kvDim, 1 / Math.sqrt(E), row);
    return softmaxInPlace(row);
  }

  /** Add what one head gathers to its slice of y. */
  gather(state, layer, head, row, y) {
    const E = this.headDim;
    const values = state.values[layer];
    const first = Math.floor((head * this.config.n_kv_heads) / this.config.n_heads) * E;
    for (let i = 0; i < E; i++) {
      let sum = 0;
      for (let key = 0, v = first + i; key < row.length; key++, v += this.kvDim) sum += row[key] * values[v];
      y[head * E + i] = sum;
    }
  }

  feed(layer, h, trace) {
    const { d_ff: F, d_model: D, ffn } = this.config;
    const at = `blocks.${layer}.ffn`;
    const inner = this.linear(`${at}.up_proj`, h, F);
    const activation = ACTIVATIONS[ffn];
    const gate = ffn === "swiglu" ? this.linear(`${at}.gate_proj`, h, F) : null;
    for (let i = 0; i < F; i++) inner[i] = gate ? activation(gate[i]) * inner[i] : activation(inner[i]);
    trace?.inner.push(inner);
    return this.linear(`${at}.down_proj`, inner, D);
  }
}
