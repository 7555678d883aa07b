/* The sources, checked: find claims by words and by verdict. Without this script the tables stay whole. */
document.addEventListener("DOMContentLoaded", () => {
  const tables = [...document.querySelectorAll("table.sources-claims")];
  if (!tables.length) return;
  const rows = tables.flatMap((table) => [...table.tBodies[0].rows]).map((row) => ({
    row, text: row.textContent.toLowerCase(), verdict: row.querySelector(".verdict").textContent,
  }));
  const heads = document.querySelectorAll("table.sources-counts thead th");  // the verdicts in their order
  const verdicts = [...heads].map((head) => head.textContent.trim()).filter((name) => rows.some((one) => one.verdict === name));
  const element = (tag, fields, ...children) => {
    const made = Object.assign(document.createElement(tag), fields);
    made.append(...children);
    return made;
  };
  const search = element("input", { type: "search", id: "sources-words", autocomplete: "off" });
  const buttons = ["all", ...verdicts].map((name) => {
    const count = name === "all" ? rows.length : rows.filter((one) => one.verdict === name).length;
    const button = element("button", { type: "button", value: name, textContent: `${name} ${count}` });
    button.setAttribute("aria-pressed", String(name === "all"));
    return button;
  });
  const found = element("p", { className: "sources-found" });
  found.setAttribute("role", "status");
  const choice = element("div", { className: "sources-verdicts" }, ...buttons);
  choice.setAttribute("role", "group");
  choice.setAttribute("aria-label", "Verdict");
  const label = element("label", { htmlFor: search.id, textContent: "Words in a claim, its verdict or its section" });
  const form = element("form", { className: "sources-filter" }, label, search, choice, found);
  form.setAttribute("role", "search");
  form.setAttribute("aria-label", "Claims");

  const show = () => {
    const chosen = buttons.find((button) => button.getAttribute("aria-pressed") === "true").value;
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const one of rows) {
      const fits = (chosen === "all" || one.verdict === chosen) && words.every((word) => one.text.includes(word));
      one.row.hidden = !fits;
      count += fits;
    }
    for (const table of tables) {
      const none = [...table.tBodies[0].rows].every((row) => row.hidden);
      (table.closest("section") ?? table).hidden = none;
    }
    found.textContent = `${count} of ${rows.length} claims`;
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  search.addEventListener("input", show);
  choice.addEventListener("click", ({ target }) => {
    if (target.tagName !== "BUTTON") return;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button === target));
    show();
  });
  (tables[0].closest("section") ?? tables[0]).before(form);
  show();
});
