/* The arithmetic of a Transformer on single vectors; sums are kept in double precision. */

/** y = W x + b, with W given row after row.
 * @param {Float32Array} W @param {Float32Array | undefined} b @param {Float32Array} x @param {Float32Array} y */
export function linear(W, b, x, y) {
  const [width, rows] = [x.length, y.length];
  const whole = width - (width % 4);
  for (let row = 0, at = 0; row < rows; row++, at += width) {
    let [p, q, r, s] = [0, 0, 0, 0]; // four sums keep a processor busier than one
    for (let i = 0; i < whole; i += 4) {
      p += W[at + i] * x[i];
      q += W[at + i + 1] * x[i + 1];
      r += W[at + i + 2] * x[i + 2];
      s += W[at + i + 3] * x[i + 3];
    }
    for (let i = whole; i < width; i++) p += W[at + i] * x[i];
    y[row] = p + q + r + s + (b ? b[row] : 0);
  }
  return y;
}

/** y[n] = scale · x · (the vector that begins at first + n · stride of `rows`). */
export function dotRows(x, rows, first, stride, scale, y) {
  const width = x.length;
  for (let n = 0, at = first; n < y.length; n++, at += stride) {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += x[i] * rows[at + i];
    y[n] = sum * scale;
  }
}

/** x / √(mean x² + ε) · weight */
export function rmsNorm(x, weight, _bias, eps, y = new Float32Array(x.length)) {
  let squares = 0;
  for (const value of x) squares += value * value;
  const scale = 1 / Math.sqrt(squares / x.length + eps);
  for (let i = 0; i < x.length; i++) y[i] = x[i] * scale * weight[i];
  return y;
}

/** (x − mean) / √(variance + ε) · weight + bias */
export function layerNorm(x, weight, bias, eps, y = new Float32Array(x.length)) {
  let [mean, variance] = [0, 0];
  for (const value of x) mean += value / x.length;
  for (const value of x) variance += (value - mean) ** 2 / x.length;
  const scale = 1 / Math.sqrt(variance + eps);
  for (let i = 0; i < x.length; i++) y[i] = (x[i] - mean) * scale * weight[i] + bias[i];
  return y;
}

/** The error function to 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26). */
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - tail * Math.exp(-x * x));
}

const silu = (x) => x / (1 + Math.exp(-x));

/** The activations of a feed-forward network, by the name in the config. */
export const ACTIVATIONS = {
  relu: (x) => Math.max(0, x),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  gelu_tanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  swiglu: silu,
};

/** Softmax in place over the first `count` numbers. */
export function softmaxInPlace(x, count = x.length) {
  let [top, sum] = [-Infinity, 0];
  for (let i = 0; i < count; i++) top = Math.max(top, x[i]);
  for (let i = 0; i < count; i++) sum += x[i] = Math.exp(x[i] - top);
  for (let i = 0; i < count; i++) x[i] /= sum;
  return x;
}

/** −ln softmax(logits)[id]: what a token cost, in nats. */
export function surprise(logits, id) {
  let [top, sum] = [-Infinity, 0];
  for (const z of logits) top = Math.max(top, z);
  for (const z of logits) sum += Math.exp(z - top);
  return top + Math.log(sum) - logits[id];
}

/** Rotary positions: turn each pair (i, i + E/2) of every head by position · θ^(−2i/E). */
export function rotate(x, heads, position, theta) {
  const E = x.length / heads;
  for (let i = 0; i < E / 2; i++) {
    // Rounded to float32 where `minillm` rounds.
    const angle = Math.fround(position * Math.fround(theta ** -Math.fround((2 * i) / E)));
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    for (let head = 0, a = i; head < heads; head++, a += E) {
      const [x1, x2] = [x[a], x[a + E / 2]];
      x[a] = x1 * cos - x2 * sin;
      x[a + E / 2] = x2 * cos + x1 * sin;
    }
  }
}
