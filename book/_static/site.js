// Opened from disk, a page may not read the other pages: search then lists its hits without an excerpt of each.
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// Paper cannot open a fold: hints and revealed answers are printed, solutions and checks stay in the book.
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("article details:not(.exercise-solution, .exercise-checks, .hide)")) {
    fold.hidden = false;
    fold.open = true;
  }
});

document.addEventListener("DOMContentLoaded", () => {
  // The theme's folds in the table of contents have an icon and no name.
  for (const summary of document.querySelectorAll("nav details > summary")) {
    const page = summary.closest("li")?.querySelector("a")?.textContent.trim();
    summary.setAttribute("aria-label", page ? `Pages under ${page}` : "More pages");
  }
  // Names that hide the words a reader sees, a side bar that is no landmark, and head cells without a word.
  for (const named of document.querySelectorAll("summary[aria-label='Toggle hidden content'], .search-button-field")) named.removeAttribute("aria-label");
  const sidebar = document.querySelector(".bd-sidebar-primary .sidebar-primary-items__start");
  if (sidebar) { sidebar.setAttribute("role", "region"); sidebar.setAttribute("aria-label", "The book"); }
  for (const head of document.querySelectorAll("article th")) {
    const words = head.textContent.trim();
    const formulas = head.querySelectorAll("math");
    if (words && !formulas.length) continue;
    for (const formula of formulas) formula.setAttribute("aria-hidden", "true");
    head.append(Object.assign(document.createElement("span"), { className: "visually-hidden", textContent: words || "Row" }));
  }
  // docutils puts entries of a role that is no list item into a list
  for (const entry of document.querySelectorAll(".citation-list > .citation")) entry.setAttribute("role", "listitem");
});

// What scrolls in a box of its own must scroll by keyboard, too: also where a fold or a narrower window makes it overflow later.
(() => {
  const boxes = "article pre, article div.math, article table, .pst-scrollable-table-container, .fig-scroll";
  const marked = new WeakSet();
  const goesOn = (box) => box.clientWidth > 0 && box.scrollLeft + box.clientWidth < box.scrollWidth - 1;
  const mark = (place) => {
    // All is measured before anything is written, so that the page is laid out once; what is folded away or not laid
    // out yet is not measured.
    const isShown = (box) => (box.checkVisibility ? box.checkVisibility({ contentVisibilityAuto: true }) : !box.closest("details:not([open])"));
    const shown = [...place.querySelectorAll(boxes)].filter((box) => (marked.has(box) || !box.hasAttribute("tabindex")) && isShown(box));
    const overflows = (box) => box.clientWidth && (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight + 1);
    for (const [box, is, isCut] of shown.map((box) => [box, overflows(box), goesOn(box)])) {
      box.classList.toggle("goes-on", isCut);
      if (is) {
        marked.add(box);
        box.tabIndex = 0;
      } else if (marked.delete(box)) box.removeAttribute("tabindex");
    }
  };

  // A part of the page is laid out when it comes near, and its boxes are looked at then.
  const idle = window.requestIdleCallback || setTimeout;
  addEventListener("load", () => idle(() => mark(document)));
  document.addEventListener("contentvisibilityautostatechange", ({ target, skipped }) => {
    if (!skipped) idle(() => mark(target));
  }, true);

  let soon;
  const again = () => { clearTimeout(soon); soon = setTimeout(() => mark(document), 150); };
  addEventListener("resize", again);
  document.addEventListener("toggle", again, true);
  document.addEventListener("scroll", ({ target }) => {
    if (marked.has(target)) target.classList.toggle("goes-on", goesOn(target));
  }, { capture: true, passive: true });
  // There the arrow keys scroll; the theme would turn the page.
  document.querySelector("article")?.addEventListener("keydown", (event) => {
    const sideways = event.key === "ArrowLeft" || event.key === "ArrowRight";
    if (sideways && event.target.closest(`${boxes}, .figure-live, .exercise, .predict`)) event.stopPropagation();
  });
})();
