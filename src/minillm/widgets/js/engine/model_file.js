/* The file of a model: safetensors, with the config and the tokenizer in its metadata.
   Everything that the file claims is compared with the file before it is believed. */

/** @typedef {{n_layers: number, n_heads: number, n_kv_heads: number, d_model: number, d_ff: number,
 *   vocab_size: number, context_length: number, norm: string, norm_eps: number, norm_placement: string,
 *   ffn: string, position: string, rope_theta: number, bias: boolean, tie_embeddings: boolean,
 *   embedding_norm: boolean}} Config */

const WIDTH = { F16: 2, F32: 4 };
const count = (n) => n.toLocaleString("en");
const product = (shape) => shape.reduce((a, b) => a * b, 1);

function fault(text) {
  throw new Error(`The model file cannot be used: ${text}.`);
}

/** The float32 values of all 65,536 patterns of float16. */
function halfTable() {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >> 10) & 31;
    const rest = bits & 1023;
    const size = exponent ? (1 + rest / 1024) * 2 ** (exponent - 15) : rest * 2 ** -24;
    const value = exponent < 31 ? size : rest ? NaN : Infinity;
    table[bits] = bits >> 15 ? -value : value;
  }
  return table;
}

function widen(bits, halves) {
  const numbers = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) numbers[i] = halves[bits[i]];
  return numbers;
}

function readHeader(buffer) {
  if (buffer.byteLength < 8) fault(`it has ${buffer.byteLength} bytes and is cut off or empty`);
  const size = Number(new DataView(buffer).getBigUint64(0, true));
  if (size > buffer.byteLength - 8) fault(`its header claims ${count(size)} bytes, the whole file has ${count(buffer.byteLength)}`);
  try {
    return { header: JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, size))), start: 8 + size };
  } catch {
    return fault("its header is not readable");
  }
}

/** Names and shapes of all tensors of a model. @param {Config} c @returns {[string, number[]][]} */
export function shapesOf(c) {
  const [D, F, kv] = [c.d_model, c.d_ff, (c.d_model / c.n_heads) * c.n_kv_heads];
  const norm = (name) => [[`${name}.weight`, [D]], ...(c.norm === "layernorm" ? [[`${name}.bias`, [D]]] : [])];
  const linear = (name, rows, columns) => [[`${name}.weight`, [rows, columns]], ...(c.bias ? [[`${name}.bias`, [rows]]] : [])];
  const block = (i) => {
    const at = `transformer.blocks.${i}`;
    return [
      ...norm(`${at}.attention_norm`), ...norm(`${at}.ffn_norm`),
      ...linear(`${at}.attention.q_proj`, D, D), ...linear(`${at}.attention.k_proj`, kv, D),
      ...linear(`${at}.attention.v_proj`, kv, D), ...linear(`${at}.attention.o_proj`, D, D),
      ...(c.ffn === "swiglu" ? linear(`${at}.ffn.gate_proj`, F, D) : []),
      ...linear(`${at}.ffn.up_proj`, F, D), ...linear(`${at}.ffn.down_proj`, D, F),
    ];
  };
  return [
    ["transformer.embedding.token.weight", [c.vocab_size, D]],
    ...(["learned", "sinusoidal"].includes(c.position) ? [["transformer.embedding.position.weight", [c.context_length, D]]] : []),
    ...(c.embedding_norm ? norm("transformer.embedding.norm") : []),
    ...Array.from({ length: c.n_layers }, (_, i) => block(i)).flat(),
    ...(c.norm_placement === "pre" ? norm("transformer.norm") : []),
    ...(c.tie_embeddings ? [] : [["lm_head.weight", [c.vocab_size, D]]]),
  ];
}

function readTensor(buffer, start, name, entry, shape, halves) {
  if (!entry) fault(`the tensor ${name} is missing`);
  const [begin, end] = entry.data_offsets ?? [];
  const width = WIDTH[entry.dtype];
  if (!width) fault(`${name} is of type ${entry.dtype}, known are F16 and F32`);
  if (String(entry.shape) !== String(shape)) fault(`${name} has the shape ${entry.shape}, the config asks for ${shape}`);
  if (end - begin !== product(shape) * width) fault(`${name} has ${end - begin} bytes, its shape needs ${product(shape) * width}`);
  if (start + end > buffer.byteLength) fault(`it is cut off: it describes ${count(start + end)} bytes or more and has ${count(buffer.byteLength)}`);
  const bytes = buffer.slice(start + begin, start + end);
  return width === 4 ? new Float32Array(bytes) : widen(new Uint16Array(bytes), halves);
}

/** @param {ArrayBuffer} buffer
 *  @returns {{config: Config, tokenizer: object, name: string, start: number | null, tensors: Map<string, Float32Array>}} */
export function readModel(buffer) {
  const { header, start } = readHeader(buffer);
  const about = header.__metadata__ ?? {};
  if (!about.config || !about.tokenizer) fault("it holds no config or no tokenizer, so `Playground` has not made it");
  const config = JSON.parse(about.config);
  const halves = halfTable();
  const tensors = new Map(shapesOf(config).map(([name, shape]) => [name, readTensor(buffer, start, name, header[name], shape, halves)]));
  return { config, tensors, tokenizer: JSON.parse(about.tokenizer), name: about.name, start: JSON.parse(about.start) };
}
