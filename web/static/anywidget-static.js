/* Shows anywidget views in a page that has no kernel.
   The saved state of a page's widgets is in the page (MyST-NB writes it there), or in a file of its
   own, which is loaded when the first of them comes near (the book's extension moves it there). Each view whose model has `_esm` is mounted with a model that
   keeps its traits in memory. Until a view is mounted, and whenever it fails, its fallback (a
   sentence, a picture) stays in place. */
(() => {
  const STATE = 'script[type="application/vnd.jupyter.widget-state+json"]';
  const FILE = 'meta[name="widget-state"]';
  const VIEW = 'script[type="application/vnd.jupyter.widget-view+json"]';
  const models = new Map();
  const modules = new Map();
  const styled = new Set();

  class Model {
    #state;
    #listeners = new Map();
    constructor(state) { this.#state = state; }
    get(name) { return this.#state[name]; }
    set(name, value) {
      const changes = typeof name === "object" ? name : { [name]: value };
      let changed = false;
      for (const [key, next] of Object.entries(changes)) {
        if (Object.is(this.#state[key], next)) continue;
        this.#state[key] = next;
        changed = true;
        this.#emit(`change:${key}`, this, next);
      }
      if (changed) this.#emit("change", this);
    }
    on(names, callback) {
      for (const name of names.trim().split(/\s+/)) {
        if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
        this.#listeners.get(name).add(callback);
      }
    }
    off(names, callback) {
      if (!names) return this.#listeners.clear();
      for (const name of names.trim().split(/\s+/)) {
        if (callback) this.#listeners.get(name)?.delete(callback);
        else this.#listeners.delete(name);
      }
    }
    save_changes() {}
    send() { console.warn("this page has no kernel: a widget's message was dropped"); }
    get widget_manager() { return { get_model: findModel }; }
    #emit(name, ...args) { for (const call of [...(this.#listeners.get(name) ?? [])]) call(...args); }
  }

  async function findModel(reference) {
    const model = models.get(reference.replace(/^IPY_MODEL_/, ""));
    if (!model) throw new Error(`no model ${reference} in this page`);
    return model;
  }

  function decode({ data, encoding = "base64" }) {
    const bytes = encoding === "hex"
      ? Uint8Array.from(data.match(/../g) ?? [], (pair) => parseInt(pair, 16))
      : Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
    return new DataView(bytes.buffer);
  }

  function readState(saved) {
    for (const [id, entry] of Object.entries(saved.state)) {
      for (const buffer of entry.buffers ?? []) {
        const path = [...buffer.path];
        const last = path.pop();
        let place = entry.state;
        for (const step of path) place = place[step] ??= {};
        place[last] = decode(buffer);
      }
      for (const [name, value] of Object.entries(entry.state)) {
        if (value?.bookBytes) entry.state[name] = () => bytesOf(value);
      }
      models.set(id, new Model(entry.state));
    }
  }

  // A large value of a state, such as the weights of a model, is in files of its own: the state
  // holds a function that loads one of them. From a server it is the packed bytes; a page that is
  // opened from a disk may load scripts alone, so there it is a script that calls bookBytes. What
  // is cut off, or is not what it should be, cannot be unpacked.
  const arrived = new Map();
  window.bookBytes = (name, packed) => arrived.set(name, Uint8Array.from(atob(packed), (char) => char.charCodeAt(0)));

  async function bytesOf({ bookBytes: name, file }) {
    try {
      if (!arrived.has(name)) await bring(name, file);
      // A damaged copy may be the browser's own, so it is asked for once more.
      return await unpack(name).catch(() => bring(name, file, "reload").then(() => unpack(name)));
    } catch (error) {
      arrived.delete(name);
      const [what, how] = error.absent
        ? ["could not be loaded", "Look at your connection and try again."]
        : ["is damaged or incomplete", "Reload the page to fetch it again."];
      throw new Error(`The file of the model, ${file}, ${what}. ${how}`, { cause: error });
    }
  }

  async function bring(name, file, cache = "default") {
    try {
      if (location.protocol === "file:") return await load(`${file}.js`);
      const answer = await fetch(`${file}.bin`, { cache });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      arrived.set(name, await answer.arrayBuffer());
    } catch (error) {
      throw Object.assign(error, { absent: true });
    }
  }

  async function unpack(name) {
    const stream = new Blob([arrived.get(name)]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new DataView(await new Response(stream).arrayBuffer());
  }

  function loadModule(source) {
    if (!modules.has(source)) {
      const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
      modules.set(source, import(url).then(async (module) => {
        const widget = module.default ?? module;
        return typeof widget === "function" ? widget() : widget;
      }));
    }
    return modules.get(source);
  }

  function addStyle(css) {
    if (!css || styled.has(css)) return;
    styled.add(css);
    const style = document.createElement("style");
    style.textContent = css;
    document.head.append(style);
  }

  const fallbackOf = (script) => {
    const next = script.parentElement.querySelector(".widget-fallback");
    return next ?? script.closest(".output, .cell_output")?.querySelector(".widget-fallback");
  };

  async function mount(script) {
    const model = models.get(JSON.parse(script.textContent).model_id);
    if (!model?.get("_esm")) return; // a core ipywidget: it does nothing without a kernel
    const el = document.createElement("div");
    el.className = "anywidget-static";
    el.hidden = true;
    script.after(el);
    try {
      addStyle(model.get("_css"));
      const widget = await loadModule(model.get("_esm"));
      const { signal } = new AbortController();
      const experimental = { invoke: async () => { throw new Error("this page has no kernel"); } };
      await widget.initialize?.({ model, signal, experimental });
      el.hidden = false; // before render, so that a view can measure itself
      await widget.render?.({ model, el, signal, experimental });
      const fallback = fallbackOf(script);
      if (fallback) fallback.classList.add("replaced");
      el.dataset.mounted = "true";
    } catch (error) {
      el.remove();
      script.parentElement.dataset.widgetFailed = "true";
      console.error("an interactive part could not start; its picture is shown instead.", error);
    }
  }

  // What the file with the saved state calls.
  window.bookWidgets = (...saved) => {
    saved.forEach(readState);
    document.querySelectorAll(VIEW).forEach(mount);
  };

  const load = (file) => new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = file;
    script.onload = done;
    script.onerror = () => failed(new Error(`${file} could not be loaded`));
    document.head.append(script);
  });

  function start() {
    const inside = [...document.querySelectorAll(STATE)].map((script) => JSON.parse(script.textContent));
    if (inside.length) window.bookWidgets(...inside);
    const file = document.querySelector(FILE)?.content;
    if (!file) return;
    const near = new IntersectionObserver((seen) => {
      if (!seen.some((entry) => entry.isIntersecting)) return;
      near.disconnect();
      load(file).catch(({ message }) => console.error(`${message}: pictures are shown instead.`));
    }, { rootMargin: "1500px" });
    const watch = () => document.querySelectorAll(".widget-fallback").forEach((view) => near.observe(view));
    // The page itself comes first.
    if (document.readyState === "complete") watch();
    else addEventListener("load", watch, { once: true });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
