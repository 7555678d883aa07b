/* Where the engine runs: in a Web Worker, or in the page where there is none. */

const asUrl = (source) => URL.createObjectURL(new Blob([source], { type: "text/javascript" }));

/** An engine in a worker of its own, so that the page stays quick. */
function inWorker(source) {
  const worker = new Worker(asUrl(`${source}\nserve(self);`));
  const waiting = new Map();
  let last = 0;
  worker.onmessage = ({ data: { number, answer, error } }) => {
    const { done, failed } = waiting.get(number);
    waiting.delete(number);
    if (error) failed(new Error(error));
    else done(answer);
  };
  worker.onerror = () => {
    for (const { failed } of waiting.values()) failed(Object.assign(new Error("The worker stopped."), { noWorker: true }));
    waiting.clear();
  };
  return {
    ask: (call, request = {}) => new Promise((done, failed) => {
      waiting.set(++last, { done, failed });
      worker.postMessage({ number: last, call, request });
    }),
    stop: () => worker.terminate(),
  };
}

/** An engine in the page: it answers between two frames. */
async function inPage(source) {
  const { Engine } = await import(asUrl(`${source}\nexport { Engine };`));
  const engine = new Engine();
  return {
    ask: async (call, request = {}) => {
      await new Promise((done) => { setTimeout(done); });
      return engine[call](request);
    },
    stop() {},
  };
}

/** Start the engine and let it read a model; where a worker cannot be started, in the page.
 * @param {string} source @param {ArrayBuffer} buffer
 * @returns {Promise<{ask: (call: string, request?: object) => Promise<any>, stop: () => void, info: object, worker: boolean}>} */
export async function openEngine(source, buffer) {
  try {
    const engine = inWorker(source);
    return { ...engine, info: await engine.ask("load", { buffer }), worker: true };
  } catch (error) {
    if (typeof Worker === "function" && !error.noWorker && error.name === "Error") throw error;
    const engine = await inPage(source);
    return { ...engine, info: await engine.ask("load", { buffer }), worker: false };
  }
}

/** The bytes of the model: they came with the explorable, or the page fetches them now. */
export async function weightsOf(model) {
  const held = model.get("weights");
  const view = typeof held === "function" ? await held() : held;
  if (!view?.byteLength) throw new Error("This page holds no weights for the model.");
  return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
}
