/* Small repairs of the page that a style sheet cannot make. */
(() => {
  // A part that scrolls sideways must be reachable with the keyboard.
  const SCROLLERS = "table, .katex-display, .math, pre, .output, .table-wrap, .pst-scrollable-table-container, .cell_output";
  const mark = (el) => {
    const scrolls = el.scrollWidth > el.clientWidth + 1 && getComputedStyle(el).overflowX !== "visible";
    if (scrolls && !el.hasAttribute("tabindex")) el.setAttribute("tabindex", "0");
  };
  // Measured when they come near: all at once would lay out the whole page at load.
  const near = new IntersectionObserver((seen) => {
    for (const entry of seen) if (entry.isIntersecting) mark(entry.target);
  }, { rootMargin: "300px" });
  const markNear = () => document.querySelectorAll(SCROLLERS).forEach((el) => {
    near.unobserve(el);
    near.observe(el);
  });
  const open = () => document.querySelectorAll("details, .toggle-hidden");
  window.addEventListener("load", markNear);
  window.addEventListener("resize", markNear);
  document.addEventListener("toggle", markNear, true);
  // A link may lead into something folded: open what lies around its goal.
  const unfold = () => {
    const goal = document.getElementById(location.hash.slice(1));
    for (let el = goal; el; el = el.parentElement) {
      if (!el.matches(".toggle-hidden, details:not([open])")) continue;
      if (el.tagName === "DETAILS") el.open = true;
      else el.querySelector(".toggle-button").click();
      goal.scrollIntoView();
    }
  };
  window.addEventListener("load", unfold);
  window.addEventListener("hashchange", unfold);
  // Paper has no buttons: show what is folded.
  window.addEventListener("beforeprint", () => {
    for (const el of open()) {
      if (el.tagName === "DETAILS") el.open = true;
      else el.classList.remove("toggle-hidden");
    }
  });
})();
