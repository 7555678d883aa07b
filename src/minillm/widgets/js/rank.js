/* A difference of low rank: what the nearest matrix of rank r keeps of it, and what r costs. */
import { connect, fixed, frame, h, onWidth, percent, s, segmented, slider, unpackUints } from "./shared.js";

const [PLUS, MINUS] = [[43, 140, 204], [224, 98, 36]]; // legible on both grounds

/** The decomposition with its vectors as numbers again. */
export function decomposition({ shape: [m, n], values, top, u, v }) {
  const numbers = (text) => Float32Array.from(unpackUints(text, 8), (byte) => ((byte - 127) / 127) * top);
  return { m, n, values, u: numbers(u), v: numbers(v) };
}

/** The sum of the first `rank` terms σ u vᵀ, row by row. */
export function nearest({ m, n, values, u, v }, rank) {
  const out = new Float32Array(m * n);
  for (let k = 0; k < rank; k++) {
    for (let i = 0; i < m; i++) {
      const weight = values[k] * u[k * m + i];
      for (let j = 0; j < n; j++) out[i * n + j] += weight * v[k * n + j];
    }
  }
  return out;
}

/** The share of the squared length that `rank` terms keep. */
export function kept(values, rank) {
  const sum = (list) => list.reduce((total, value) => total + value * value, 0);
  return sum(values.slice(0, rank)) / sum(values);
}

function paint(canvas, numbers, m, n, scale) {
  [canvas.width, canvas.height] = [n, m];
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(n, m);
  numbers.forEach((x, i) => image.data.set([...(x < 0 ? MINUS : PLUS), Math.min(255, (255 * Math.abs(x)) / scale)], 4 * i));
  pen.putImageData(image, 0, 0);
}

function render({ model, el }) {
  const { matrices, measured, measure } = model.get("data");
  const traits = connect(model, ["matrix", "rank"], update);
  let [shown, width] = [null, 600];
  const choice = matrices.length > 1 ? segmented("Change of", matrices.map(({ name }) => [name, name]), model.get("matrix"), (matrix) => traits.set({ matrix })) : "";
  const move = slider("Rank r", { min: 0, max: 1, step: 1, value: 0, oninput: (rank) => traits.set({ rank }) });
  const canvases = ["ΔW, what fine-tuning changed", "the nearest matrix of rank r", "what is left"].map((title) => {
    const canvas = h("canvas", { class: "xp-matrix", role: "img", "aria-label": title });
    return { canvas, node: h("div", {}, canvas, h("p", { class: "xp-note", "aria-hidden": "true" }, title)) };
  });
  const bars = h("div", { class: "xp-spectrum" });
  const { say } = frame(el, "A difference of low rank",
    "How much of the change do two thin matrices keep? Guess before you move the rank: 1, 8, half of the full rank.",
    h("div", { class: "xp-bar" }, choice, move.node), h("div", { class: "xp-matrices" }, ...canvases.map(({ node }) => node)),
    h("p", { class: "xp-note" }, "Blue is above zero, orange below. Squares of the singular values, largest first; those that rank r keeps are filled:"), bars);

  function load() {
    const parts = decomposition(matrices.find(({ name }) => name === model.get("matrix")));
    const whole = nearest(parts, parts.values.length);
    const sorted = Float32Array.from(whole, Math.abs).sort();
    shown = { ...parts, whole, name: model.get("matrix"), scale: sorted[Math.floor(0.99 * (sorted.length - 1))] || 1 };
    move.input.max = parts.values.length;
    paint(canvases[0].canvas, whole, parts.m, parts.n, shown.scale);
    for (const input of el.querySelectorAll("input[type=radio]")) input.checked = input.value === shown.name;
  }

  function spectrum(rank) {
    const { values } = shown;
    const [height, step] = [70, width / values.length];
    const boxes = values.map((value, i) => {
      const tall = Math.max(0.7, (height * value * value) / (values[0] * values[0]));
      return s("rect", { class: i < rank ? "xp-in" : "xp-out", x: i * step, y: height - tall, width: Math.max(0.8, step - 1), height: tall });
    });
    const label = `${values.length} squared singular values; the first ${rank} are filled.`;
    bars.replaceChildren(s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, ...boxes));
  }

  function sentence(rank) {
    const { m, n, values } = shown;
    const [numbers, all] = [rank * (m + n), m * n];
    const cost = numbers >= all ? `no fewer than the ${all.toLocaleString("en")} of the matrix itself` : `${percent(numbers / all)} of the ${all.toLocaleString("en")} of the matrix`;
    const share = kept(values, rank);
    const much = rank < values.length && share >= 0.995 ? "more than 99 %" : percent(share);
    const found = measured.find(([at]) => at === rank);
    const told = found ? ` With all differences cut to this rank: ${fixed(found[1], 3)} ${measure}.` : "";
    return `Rank ${rank} of ${values.length}: A and B have ${numbers.toLocaleString("en")} numbers, ${cost}, and keep at best ${much} of the squared length.${told}`;
  }

  function update() {
    if (model.get("matrix") !== shown?.name) load();
    const rank = Math.min(model.get("rank"), shown.values.length);
    const near = nearest(shown, rank);
    move.show(rank);
    paint(canvases[1].canvas, near, shown.m, shown.n, shown.scale);
    paint(canvases[2].canvas, near.map((x, i) => shown.whole[i] - x), shown.m, shown.n, shown.scale);
    spectrum(rank);
    say(sentence(rank));
  }
  update();
  const still = onWidth(bars, (size) => {
    width = size;
    spectrum(Math.min(model.get("rank"), shown.values.length));
  });
  return () => {
    still();
    traits.stop();
  };
}

export default { render };
