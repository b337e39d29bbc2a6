"""Accessibility: axe-core on every page of the served book, light and dark, at 1280 and 390 px."""

from pathlib import Path

import pytest
import yaml
from visit import Visit

from book.tools import build_book, vendor

ROOT = Path(__file__).resolve().parents[1]
PAGES = build_book.toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text()))


@pytest.fixture(scope="module")
def axe():
    """The source of axe-core."""
    problems = vendor.fetch_missing((vendor.AXE,), vendor.TESTS_ONLY)
    if problems:
        pytest.skip(f"no axe-core: accessibility is NOT checked. {problems[0]}")
    return (vendor.TESTS_ONLY / vendor.AXE.target).read_text()


# rules that are not asked for: contrast of level AAA, and an experiment that wants a role on every box that scrolls
NOT_ASKED = ["color-contrast-enhanced", "focus-order-semantics"]
# A rule that can only ask a person to look ("incomplete"), never find a violation, and takes a seventh of the time.
ASKS_A_PERSON = ["hidden-content"]

# Contrast takes most of the time, text by text: it is asked of one text of each look. A look is what the verdict
# depends on: the colours, size and weight of the text and of what it stands in, and every ground behind it.
AXE_RUN = """async (left_out) => {
  const font = (s) => [s.color, s.fontSize, s.fontWeight, s.textDecorationLine, s.textShadow, s.borderBottom];
  const ground = (s) => [s.backgroundColor, s.backgroundImage, s.opacity, s.filter, s.mixBlendMode, s.position];
  const grounds = new Map([[null, ""]]);
  const behind = (node) => {
    if (!grounds.has(node)) grounds.set(node, behind(node.parentElement) + "/" + ground(getComputedStyle(node)));
    return grounds.get(node);
  };
  const looks = new Set();
  const has_text = (node) => [...node.childNodes].some((part) => part.nodeType === 3 && part.data.trim());
  for (const node of document.body.querySelectorAll("*")) {
    delete node.dataset.look;
    const has_words = has_text(node) || ["INPUT", "SELECT", "TEXTAREA"].includes(node.tagName);
    if (!has_words || !node.getClientRects().length || getComputedStyle(node).visibility !== "visible") continue;
    const around = [node, node.parentElement].map((part) => font(getComputedStyle(part)));
    const look = [node.tagName, ...around, behind(node)].join();
    if (!looks.has(look)) node.dataset.look = looks.add(look).size;
  }
  axe.configure({ rules: [
    { id: "color-contrast", selector: "[data-look]" },
    { id: "link-in-text-block", selector: "a[href][data-look]" },
  ] });
  const asked = ({ ruleId, tags }) => !left_out.includes(ruleId) && !tags.includes("deprecated");
  const rules = Object.fromEntries(axe.getRules().map((rule) => [rule.ruleId, { enabled: asked(rule) }]));
  const { violations } = await axe.run(document, { resultTypes: ["violations"], preload: false, rules });
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id}: ${help}: ${node.target.join(" ")} ${node.html}`));
}"""

# What axe has to walk through and says nothing about: of the thousands of code tokens one of each kind on each ground
# stays marked up, a formula is its text, and a drawing keeps its words and what can be operated.
THIN = """() => {
  const seen = new Set(), spare = [];  // all is looked at before anything changes: the page is laid out once
  for (const token of document.querySelectorAll("pre span[class]")) {
    if (!token.textContent.trim() || !token.getClientRects().length) continue;
    const inside = [".exercise", ".cell_output"].map((box) => Boolean(token.closest(box)));
    const kind = [token.className, token.closest("[class*=highlight-]")?.className, ...inside].join();
    if (seen.has(kind)) spare.push(token);
    seen.add(kind);
  }
  for (const token of spare) token.replaceWith(...token.childNodes);
  for (const formula of document.querySelectorAll("math")) {
    const words = document.createElementNS(formula.namespaceURI, "mtext");
    words.textContent = formula.textContent;
    formula.replaceChildren(words);
  }
  const drawn = "path, rect, line, circle, ellipse, polyline, polygon, use";
  for (const shape of document.querySelectorAll(drawn)) {
    if (shape.closest("svg") && !shape.closest("svg a, svg [role], svg [tabindex]")) shape.remove();
  }
}"""

# A button's colours move from theme to theme: on a busy machine half a second shows them half-way.
TRANSITIONS_ENDED = """() => document.getAnimations().forEach((moving) => {
  if (moving instanceof CSSTransition) moving.finish();
})"""


@pytest.fixture(scope="module")
def visit(site, browser):
    with Visit(browser, site, viewport={"width": 1280, "height": 900}) as visit:
        yield visit


@pytest.mark.parametrize("name", PAGES)
def test_no_accessibility_violation(visit, axe, name):
    page = visit.open(name)
    page.evaluate("document.querySelectorAll('article details').forEach(d => { d.hidden = false; d.open = true; })")
    if page.locator(".exercise[data-kind=live]").count():
        page.locator(".exercise[data-kind=live]").first.scroll_into_view_if_needed()
        page.locator(".cm-content").first.wait_for()
    page.evaluate(THIN)
    page.evaluate(axe)
    for width, theme in ((1280, "light"), (1280, "dark"), (390, "dark"), (390, "light")):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        page.wait_for_timeout(500)  # the theme and site.js answer a resize after a moment
        page.evaluate(TRANSITIONS_ENDED)
        found = page.evaluate(AXE_RUN, [*NOT_ASKED, *ASKS_A_PERSON])
        assert not found, f"{name}, {theme}, {width} px:\n" + "\n".join(line[:300] for line in found[:12])
    visit.assert_clean()
