/* Small repairs of the page that a style sheet cannot make. */
(() => {
  // A part that scrolls sideways must be reachable with the keyboard.
  const SCROLLERS = "table, .katex-display, .math, pre, .output, .table-wrap, .pst-scrollable-table-container, .cell_output";
  const markScrollers = () => {
    for (const el of document.querySelectorAll(SCROLLERS)) {
      const scrolls = el.scrollWidth > el.clientWidth + 1 && getComputedStyle(el).overflowX !== "visible";
      if (scrolls && !el.hasAttribute("tabindex")) el.setAttribute("tabindex", "0");
    }
  };
  const open = () => document.querySelectorAll("details, .toggle-hidden");
  window.addEventListener("load", markScrollers);
  window.addEventListener("resize", markScrollers);
  document.addEventListener("toggle", markScrollers, true);
  // Paper has no buttons: show what is folded.
  window.addEventListener("beforeprint", () => {
    for (const el of open()) {
      if (el.tagName === "DETAILS") el.open = true;
      else el.classList.remove("toggle-hidden");
    }
  });
})();
