/* A language model in the page: the text, what comes next, and views into the model. */
import { button, connect, frame, h, quote } from "../shared.js";
import { attentionPart, lensPart, switchesPart } from "./inside.js";
import { nextPart, samplingPart, textPart, tokensPart } from "./parts.js";
import { Reader, latest } from "./reader.js";
import { tabs } from "./tabs.js";
import { tourPart } from "./tour.js";
import { writeOn } from "./writer.js";

const MOST_WRITTEN = 200; // tokens that one press of "Write on" writes
const NEAR = { rootMargin: "600px" };

/** The weights come after everything that the page needs to be read. */
const whenLoaded = (work) => (document.readyState === "complete" ? work() : addEventListener("load", work, { once: true }));

function whenNear(node, work) {
  const near = new IntersectionObserver((seen) => {
    if (!seen.some((entry) => entry.isIntersecting)) return;
    near.disconnect();
    whenLoaded(work);
  }, NEAR);
  near.observe(node);
}

/** The views into the model, as tabs. */
function insidePart(reader, on) {
  const views = [
    ["Attention", attentionPart(reader.ask, on.choose, on.redraw)],
    ["Layer by layer", lensPart()],
    ["Switch parts off", switchesPart(reader.ask, on.switchOff)],
    ["One token's way", tourPart(on.step, on.redraw)],
  ];
  const { node, chosen } = tabs("Look inside", views.map(([name, part]) => [name, part.node]), on.redraw);
  return { node, update: (view) => views[chosen()][1].update(view) };
}

const expects = ({ follow }, { best, share, kept }) => (follow ? `The model expects ${best} with ${share}; ${kept} token${kept > 1 ? "s" : ""} can be drawn. ` : "");

/** All parts in their frame, and how they are drawn from what the reader knows. */
function layOut(el, { model, reader, on, sliders }) {
  const data = model.get("data");
  const sampling = () => ({ temperature: model.get("temperature"), topK: model.get("top_k"), topP: model.get("top_p") });
  const text = textPart({ text: model.get("text"), examples: data.examples, small: data.small }, on);
  const [tokens, next, controls, inside] = [tokensPart(on.choose), nextPart(on.append, data.small ? 5 : 8), samplingPart(model, sliders), insidePart(reader, on)];
  const warning = h("p", { class: "pg-warning", role: "alert", hidden: true });
  const off = h("p", { class: "pg-off", hidden: true }, "Parts of the model are off. ", button("Everything on", () => on.switchOff([])));
  const more = data.small ? [next.node] : [tokens.node, h("div", {}, next.node, controls.node), inside.node];
  const { root, say } = frame(el, data.title, data.hint, text.node, warning, off, ...more);
  root.classList.add("pg");

  function draw() {
    text.update(reader);
    off.hidden = !reader.off.length;
    if (!data.small) tokens.update(reader);
    const last = reader.position === reader.ids.length - 1;
    return next.update({ ...reader, logits: last ? reader.logits : reader.look.logits, sampling: sampling() });
  }
  /** Everything beyond the text: the chosen place, and the view that is open. */
  const describe = latest(async () => {
    if (!data.small) reader.look = await reader.ask("look", { position: reader.position, off: reader.off });
    const told = draw();
    const seen = data.small ? "" : await inside.update({ ...reader, sampling: sampling() });
    if (!reader.writing) say(`${expects(reader, told)}${seen}`);
  });
  function warn(message) {
    warning.textContent = message ?? "";
    warning.hidden = !message;
  }
  return { root, say, warn, draw, describe, sampling, text, controls, preview: () => next.preview(data.first) };
}

function render({ model, el }) {
  const data = model.get("data");
  const reader = new Reader();
  const words = connect(model, ["text"], heard);
  const sliders = connect(model, ["temperature", "top_k", "top_p"], () => {
    page.controls.update();
    if (reader.logits && !reader.writing) guarded(page.describe);
  });
  let queue = Promise.resolve();
  let pace = 20;

  /** One thing after the other; errors become sentences, and what was there stays usable. */
  function guarded(work) {
    queue = queue.then(async () => {
      try {
        await open();
        await reader.catchUp();
        await work();
        page.warn(null);
      } catch (error) {
        if (error.noWorker) reader.close();
        page.text.update(Object.assign(reader, { writing: false }));
        page.warn(error.message);
      }
      if (reader.wanted === null && reader.engine) words.set({ text: reader.text });
    });
    return queue;
  }
  async function open() {
    if (reader.engine) return;
    page.say(`The model is being loaded (${(data.bytes / 1e6).toFixed(1)} MB).`);
    await reader.open(model).catch((error) => {
      page.say("The model is not running.");
      throw error;
    });
    await reader.catchUp();
    await page.describe();
    Object.assign(page.root.dataset, { worker: reader.engine.worker, ready: true });
  }
  function retype(now) {
    reader.retype(now);
    words.set({ text: now });
    guarded(page.describe);
  }
  function heard() {
    const now = model.get("text");
    if (now === reader.text || now === page.text.area.value) return;
    page.text.area.value = now;
    retype(now);
  }
  async function write(most) {
    page.say("Writing.");
    const from = reader.text.length;
    const { draw, sampling, describe: look } = page;
    const { count, seconds, ended } = await writeOn(reader, { most, pace: () => (most > 1 ? pace : 0), sampling, draw, look });
    page.root.dataset.speed = (count / seconds).toFixed(1);
    await page.describe();
    const told = most > 1 && reader.wanted === null ? `${count} tokens in ${seconds.toFixed(1)} s: ${quote(reader.text.slice(from).trim())}. ` : "";
    if (told || ended) page.say(`${told}${ended ? "Here the model ended its text." : ""}`);
  }
  const redraw = (change) => guarded(async () => { await change(); await page.describe(); });
  const page = layOut(el, { model, reader, sliders: sliders.set, on: {
    type: retype,
    example(now) { page.text.area.value = now; retype(now); page.text.area.focus(); },
    write() { if (reader.writing) reader.writing = false; else guarded(() => write(MOST_WRITTEN)); },
    step: () => guarded(() => write(1)),
    back: () => redraw(() => reader.takeBack()),
    pace(now) { pace = now; },
    append: (id) => redraw(() => reader.append(id)),
    choose(i) { reader.choose(i); guarded(page.describe); },
    redraw: () => guarded(page.describe),
    switchOff(off) { Object.assign(reader, { off, writing: false }); redraw(() => reader.read()); },
  } });
  reader.retype(model.get("text"));
  page.preview();
  if (!data.small) whenNear(page.root, () => guarded(async () => {}));
  page.say(data.small ? "The model is loaded when you type or let it write." : "The model is loaded as soon as this part comes near.");
  return () => { words.stop(); sliders.stop(); reader.close(); };
}

export default { render };
