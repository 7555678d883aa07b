// Reads {css, folder} as JSON, writes the css without the rules that no page or script can use.
const fs = require("fs");
const path = require("path");
const from = (name) => require(path.join(process.argv[2], name));
const { PurgeCSS } = from("purgecss");
const CleanCSS = from("clean-css");

// Classes and states that scripts set: by name, or anywhere in a selector.
const standard = [
  /^show$/, /^fade/, /^collaps/, /^modal/, /^tooltip/, /^bs-/, /^dropdown/, /^toggle/, /^o-tooltip/, /^copybtn/,
  /^success/, /^scrolled/, /^active/, /^open/, /^search/, /^kind-/, /^context/, /^highlight/, /^pst-/, /^only-/,
  /^scrolling/, /^is-/, /^hint/, /^hidden/, /^replaced/, /^anywidget/,
];
const greedy = [/data-theme/, /data-mode/, /^dialog/, /:is/, /:where/, /:has/, /:not/];

(async () => {
  const { css, folder } = JSON.parse(fs.readFileSync(0, "utf8"));
  const content = ["/**/*.html", "/_static/*.js", "/_static/scripts/*.js"].map((glob) => folder + glob);
  const options = { variables: true, keyframes: true, safelist: { standard, greedy } };
  const [{ css: used }] = await new PurgeCSS().purge({ content, css: [{ raw: css }], ...options });
  const small = new CleanCSS({ level: 1 }).minify(used);
  if (small.errors.length) throw new Error(small.errors.join("; "));
  process.stdout.write(small.styles);
})().catch((error) => { console.error(error.message); process.exit(1); });
