// Glossary words: the definition in a small box, on hover and on keyboard focus. Without JavaScript it is the link's title.
(function () {
  "use strict";

  const links = [...document.querySelectorAll("a[title]")].filter((link) => link.querySelector(".std-term"));
  if (!links.length) return;
  const box = Object.assign(document.createElement("div"), { id: "term-box", className: "term-box", hidden: true });
  box.setAttribute("role", "tooltip");
  document.body.append(box);

  let shown = null;
  const hide = () => { box.hidden = true; shown = null; };
  const show = (link) => {
    shown = link;
    box.textContent = link.dataset.definition;
    box.hidden = false;
    const at = link.getBoundingClientRect();
    const left = Math.max(8, Math.min(at.left, document.documentElement.clientWidth - box.offsetWidth - 8));
    const below = at.bottom + 6 + box.offsetHeight < innerHeight;
    box.style.left = `${left}px`;
    box.style.top = `${below ? at.bottom + 6 : at.top - box.offsetHeight - 6}px`;
  };
  for (const link of links) {
    link.dataset.definition = link.title;
    link.removeAttribute("title");
    link.setAttribute("aria-describedby", box.id);
    link.addEventListener("mouseenter", () => show(link));
    link.addEventListener("focus", () => show(link));
    link.addEventListener("mouseleave", hide);
    link.addEventListener("blur", hide);
  }
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  // Focus by keyboard scrolls the word into view: its box goes along.
  addEventListener("scroll", () => { if (shown && shown === document.activeElement) show(shown); else hide(); }, { passive: true });
})();
