/* Stand-in for RequireJS, for bertviz only. It defines no global `define`, so that libraries which
   look for one (jQuery, D3) still attach themselves to the window. */
(() => {
  if (window.requirejs) return;
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
  const requirejs = async (names, callback) => {
    const libraries = [];
    for (const name of names) libraries.push(await load(name));
    callback(...libraries);
  };
  requirejs.config = ({ paths }) => Object.assign(urls, paths);
  window.require = window.requirejs = requirejs;
})();
