/* Stand-in for RequireJS, for bertviz only. It defines no global `define`, so that libraries which
   look for one (jQuery, D3) still attach themselves to the window. They are loaded when a view comes
   near. */
(() => {
  if (window.requirejs) return;
  const VIEWS = '[id^="bertviz-"]';
  const urls = {};
  const loaded = new Map();
  const globals = { jquery: "jQuery" };
  const load = (name) => {
    if (!loaded.has(name)) {
      loaded.set(name, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = `${urls[name]}.js`;
        script.onload = () => resolve(window[globals[name] ?? name]);
        script.onerror = () => reject(new Error(`${script.src} could not be loaded`));
        document.head.append(script);
      }));
    }
    return loaded.get(name);
  };
  const near = () => new Promise((resolve) => {
    const observer = new IntersectionObserver((seen) => {
      if (!seen.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      resolve();
    }, { rootMargin: "1500px" });
    document.querySelectorAll(VIEWS).forEach((view) => observer.observe(view));
  });
  const requirejs = async (names, callback) => {
    await near();
    const libraries = [];
    for (const name of names) libraries.push(await load(name));
    callback(...libraries);
    for (const view of document.querySelectorAll(VIEWS)) {
      view.closest(".output")?.setAttribute("tabindex", "0"); // wide pictures scroll, by keyboard too
    }
  };
  requirejs.config = ({ paths }) => Object.assign(urls, paths);
  window.require = window.requirejs = requirejs;
})();
