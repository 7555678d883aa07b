/* Writing on: token after token, at a pace, drawn as often as an eye can follow. */
import { distribution, drawOne } from "./sampling.js";

const REST = 9; // the views into the model get one part of the time, the text so many
const FRAME = 40; // ms between two drawings of the text at least
const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });

/** Call `draw` in frames that are not too close to each other, while the reader writes. */
function inFrames(reader, draw, last = 0) {
  requestAnimationFrame((now) => {
    if (!reader.writing) return;
    const due = now - last >= FRAME;
    if (due) draw();
    inFrames(reader, draw, due ? now : last);
  });
}

/** A function that starts `look` again when it has rested long enough. */
function rarely(look) {
  let rested = 0;
  return async () => {
    const began = performance.now();
    if (began < rested) return;
    rested = Infinity;
    await look();
    rested = performance.now() + REST * (performance.now() - began);
  };
}

/** Write until `reader.writing` is taken back, the text ends, or there are `most` tokens.
 * @param {import("./reader.js").Reader} reader
 * @param {{most: number, pace: () => number, sampling: () => object, draw: () => void, look: () => Promise<void>}} how
 * @returns {Promise<{count: number, seconds: number, ended: boolean}>} */
export async function writeOn(reader, { most, pace, sampling, draw, look }) {
  await reader.catchUp();
  reader.writing = true;
  const began = performance.now();
  const lookInside = rarely(look);
  inFrames(reader, draw);
  let [count, due, going] = [0, began, true];
  while (going && reader.writing && count < most) {
    const { after } = distribution(reader.logits, sampling());
    going = await reader.append(drawOne(after, Math.random()));
    count += going;
    lookInside().catch(() => {}); // a fault of the engine comes back from `append`, too
    due += pace() ? 1000 / pace() : 0;
    if (due > performance.now()) await wait(due - performance.now());
  }
  const ended = !going && reader.wanted === null;
  reader.writing = false;
  return { count, ended, seconds: (performance.now() - began) / 1000 };
}
