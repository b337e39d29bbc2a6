// [title, XHTML] of a page's article for one_file.py: folds open, controls and solutions out, ids and links made unique.
({ name, names, drawn }) => {
  dispatchEvent(new Event("beforeprint"));
  const live = document.querySelector("article.bd-article");
  const article = live.cloneNode(true);
  // where the book's style is not at hand, a drawing brings its own
  if (drawn) {
    const copies = article.querySelectorAll("svg *");
    live.querySelectorAll("svg *").forEach((part, i) => {
      const style = getComputedStyle(part);
      const words = part.localName === "text" || part.localName === "tspan" ? ["font-size", "font-weight", "text-anchor"] : ["stroke-dasharray"];
      copies[i].setAttribute("style", ["fill", "stroke", "stroke-width", "opacity", "display", ...words].map((key) => `${key}:${style.getPropertyValue(key)}`).join(";"));
    });
  }
  for (const starter of article.querySelectorAll(".exercise > [hidden]")) if (starter.querySelector("pre") && starter.tagName !== "DETAILS") starter.hidden = false;
  const gone = "script, style, button, form, input, select, textarea, [hidden], .headerlink, .only-dark, .exercise-tools, .exercise-checks, .exercise-solution, .exercise-state, " +
    ".live, .live-gate, .live-note, .live-tick, .fig-controls, .fig-buttons, .term-box, .copybtn, .toggle-button, details.hide, .chapter-progress, .chapter-map, .demo-bar, .demo-buttons, .visually-hidden";
  for (const part of article.querySelectorAll(gone)) part.remove();
  // folds are open for good, and a custom element is a box
  for (const [from, to] of [["details", "div"], ["summary", "div"]]) {
    for (const part of article.querySelectorAll(from)) rename(part, to);
  }
  for (const part of article.querySelectorAll("*")) if (part.localName.includes("-") && !part.closest("svg, math")) rename(part, "div");

  function rename(part, tag) {
    const box = document.createElement(tag);
    box.className = `${part.className} ${part.localName}`;
    if (part.id) box.id = part.id;
    box.append(...part.childNodes);
    part.replaceWith(box);
  }
  // what EPUB's schemas do not have: MathML 3's places for a style, words read aloud only, a map that is a group
  for (const part of article.querySelectorAll("math :is([displaystyle], [scriptlevel]):not(mstyle)")) {
    const style = document.createElementNS(part.namespaceURI, "mstyle");
    for (const key of ["displaystyle", "scriptlevel"]) {
      if (part.hasAttribute(key)) style.setAttribute(key, part.getAttribute(key));
      part.removeAttribute(key);
    }
    part.replaceWith(style);
    style.append(part);
  }
  for (const part of article.querySelectorAll("math[aria-hidden]")) part.removeAttribute("aria-hidden");
  for (const part of article.querySelectorAll("a[aria-describedby]")) part.removeAttribute("aria-describedby");
  for (const part of article.querySelectorAll("svg[role=group]")) part.setAttribute("role", "img");
  for (const link of article.querySelectorAll("svg a:not(:has(title))")) {
    const title = document.createElementNS(link.namespaceURI, "title");
    title.textContent = link.textContent.trim();
    link.prepend(title);
  }
  const unique = (id) => `${name}--${id}`;
  const seen = new Set();
  for (const part of article.querySelectorAll("*")) {
    for (const { name: key, value } of [...part.attributes]) {
      if (/^(on|data-)|^(contenteditable|tabindex|for|popovertarget)$/.test(key) || !/^[a-z][\w:-]*$/i.test(key)) part.removeAttribute(key);
      else if (["aria-labelledby", "aria-describedby", "aria-controls", "aria-owns"].includes(key)) part.setAttribute(key, value.split(/\s+/).map(unique).join(" "));
      else if (value.includes("url(#")) part.setAttribute(key, value.replaceAll("url(#", `url(#${name}--`));
    }
    if (part.id) {
      const id = unique(part.id);
      if (seen.has(id)) part.removeAttribute("id");
      else part.id = id;
      seen.add(id);
    }
    const link = part.getAttribute("href");
    if (link === null) continue;
    const [page, place] = link.split("#");
    const target = page.replace(/\.html$/, "").split("/").pop();
    if (/^[a-z]+:/i.test(link)) continue;
    if (!page && place) part.setAttribute("href", `#${unique(place)}`);
    else if (page.endsWith(".html") && names.includes(target)) part.setAttribute("href", place ? `#${target}--${place}` : `#${target}`);
    else part.removeAttribute("href");
  }
  const title = article.querySelector("h1").textContent.trim();
  return [title, [...article.childNodes].map((part) => new XMLSerializer().serializeToString(part)).join("")];
}
