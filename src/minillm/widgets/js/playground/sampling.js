/* From scores to one token, as `minillm.inference.sampling` does it. */

/** @typedef {{temperature: number, topK: number, topP: number}} Sampling  topK 0 and topP 1 are off */

function shares(logits, temperature) {
  let top = -Infinity;
  for (const z of logits) top = Math.max(top, z);
  const powers = new Float64Array(logits.length);
  let sum = 0;
  for (let id = 0; id < powers.length; id++) sum += powers[id] = Math.exp((logits[id] - top) / temperature);
  for (let id = 0; id < powers.length; id++) powers[id] /= sum;
  return powers;
}

/** The ids of the `count` highest scores, highest first. */
export function best(logits, count) {
  const ids = [];
  for (let id = 0; id < logits.length; id++) {
    if (ids.length === count && logits[id] <= logits[ids[count - 1]]) continue;
    let at = ids.length === count ? count - 1 : ids.length;
    for (; at > 0 && logits[ids[at - 1]] < logits[id]; at--) ids[at] = ids[at - 1];
    ids[at] = id;
  }
  return ids;
}

/** The model's own probabilities, and those after temperature and filters.
 * @param {Float32Array} logits @param {Sampling} sampling */
export function distribution(logits, { temperature, topK, topP }) {
  const before = shares(logits, 1);
  if (temperature === 0) {
    const [first] = best(logits, 1);
    return { before, after: before.map((_, id) => Number(id === first)) };
  }
  const after = shares(logits, temperature);
  if (!topK && topP === 1) return { before, after };
  const kept = topK ? best(logits, topK) : [...after.keys()].sort((a, b) => logits[b] - logits[a]);
  const within = kept.reduce((sum, id) => sum + after[id], 0);
  let [count, mass] = [0, 0];
  // A token stays if those before it have less than p together; p = 1 keeps all.
  while (count < kept.length && (topP === 1 || mass < topP * within)) mass += after[kept[count++]];
  const drawn = new Float64Array(after.length);
  for (const id of kept.slice(0, count)) drawn[id] = after[id] / mass;
  return { before, after: drawn };
}

/** One id by its probability. @param {Float64Array} after @param {number} u  from 0 to 1 */
export function drawOne(after, u) {
  let rest = u;
  let last = 0;
  for (let id = 0; id < after.length; id++) {
    if (after[id] === 0) continue;
    last = id;
    rest -= after[id];
    if (rest < 0) return id;
  }
  return last;
}
