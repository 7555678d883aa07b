/* The text, what the model has read of it, and what it says: the state that all parts draw from. */
import { openEngine, weightsOf } from "./client.js";

const NO_TEXT = "There is no text yet: type at least one character, and the model says what may follow it.";

/** Run `work` now, and once more if it was asked for meanwhile. */
export function latest(work) {
  let [running, again] = [null, false];
  return () => {
    if (running) again = true;
    running ??= (async () => {
      do {
        again = false;
        await work();
      } while (again);
    })().finally(() => { running = null; });
    return running;
  };
}

export class Reader {
  engine = null;
  info = null; // config, pieces of the vocabulary, start token
  wanted = null; // what was typed and has not been read yet
  text = "";
  base = ""; // the text without what the model has written
  written = []; // ids that the model has written
  ids = []; // what the model reads: start token, typed text, written text; the last part if that is long
  typed = 0; // how many of the ids were typed
  dropped = 0; // how many are too far back to be read
  costs = []; // the surprise at each id, in nats
  logits = null; // after the last id
  look = null; // everything about the chosen position
  position = 0;
  follow = true; // the chosen position is the last one, whatever is appended
  off = []; // parts of the model that are switched off
  writing = false;

  ask = (call, request) => this.engine.ask(call, request);

  /** Fetch the model and start it, once. @param {object} model  the explorable's */
  async open(model) {
    const engine = await openEngine(model.get("engine"), await weightsOf(model));
    Object.assign(this, { engine, info: engine.info });
  }
  close() {
    this.writing = false;
    this.engine?.stop();
    this.engine = null;
  }

  /** A text was typed: it is read when `catchUp` is called, and the writing stops. */
  retype(text) { Object.assign(this, { wanted: text, writing: false }); }
  catchUp = latest(async () => {
    if (this.wanted === null) return;
    const text = this.wanted;
    await this.start(text);
    if (this.wanted === text) this.wanted = null;
  });

  async start(text) {
    const { start, config: { context_length: room } } = this.info;
    const encoded = await this.ask("encode", { text });
    const all = start === null ? encoded : [start, ...encoded];
    if (!all.length) throw new Error(NO_TEXT);
    const ids = all.slice(-room);
    Object.assign(this, { text, base: text, written: [], ids, typed: ids.length, dropped: all.length - ids.length, follow: true, position: ids.length - 1 });
    await this.read();
  }

  async read() {
    const { logits, costs, text } = await this.ask("read", { ids: this.ids, off: this.off, written: this.written });
    Object.assign(this, { logits, costs, text: this.base + text });
    if (this.follow || this.position >= this.ids.length) this.position = this.ids.length - 1;
  }

  choose(position) { Object.assign(this, { position, follow: position === this.ids.length - 1, writing: false }); }

  /** Append one token; false at the end of the text, or if the reader has typed meanwhile. */
  async append(id) {
    await this.catchUp();
    if (id === this.info.start) return false;
    const { context_length: room } = this.info.config;
    Object.assign(this, { ids: [...this.ids, id], written: [...this.written, id], follow: true });
    if (this.ids.length > room) { // as `minillm.generate`: the last half is read afresh
      const cut = this.ids.length - Math.max(1, Math.floor(room / 2));
      Object.assign(this, { ids: this.ids.slice(cut), typed: Math.max(0, this.typed - cut), dropped: this.dropped + cut });
    }
    this.position = this.ids.length - 1;
    await this.read();
    return this.wanted === null;
  }

  /** Take the last token away, unless it is the only one. */
  async takeBack() {
    await this.catchUp();
    const hasStart = this.ids[0] === this.info.start;
    if (this.ids.length < (hasStart ? 2 : 1) + (this.info.start === null ? 1 : 0)) return;
    if (this.written.length) {
      Object.assign(this, { ids: this.ids.slice(0, -1), written: this.written.slice(0, -1), follow: true });
      await this.read();
    } else await this.start(await this.ask("decode", { ids: this.ids.slice(hasStart ? 1 : 0, -1) }));
  }
}
