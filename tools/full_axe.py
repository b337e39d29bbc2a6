"""Every rule of axe-core on pages of the built book: `python tools/full_axe.py [--axe axe.min.js] [03_kv_cache …]`.

At 1280 and 390 px, light and dark, with every card and fold open, in every place of the page: tests/test_axe.py asks
the same rules, but contrast of one text of each look only, and thins the page out before. Prints what is found, with
the number of places, by page; contrast of level AAA, which nobody claims, is not asked. `--axe` names another version's
file (`npm pack axe-core@4.14.1` has `package/axe.min.js`).
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import yaml
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from test_axe import NOT_ASKED, TRANSITIONS_ENDED  # noqa: E402
from visit import Visit, serving  # noqa: E402

from book.tools import build_book, serve, vendor  # noqa: E402
from book.tools.print_book import find_chromium  # noqa: E402

RUN = """async () => {
  const asked = ({ ruleId, tags }) => !tags.includes("deprecated") && ruleId !== "color-contrast-enhanced";
  const rules = Object.fromEntries(axe.getRules().filter(asked)
    .map(({ ruleId }) => [ruleId, { enabled: true }]));
  const { violations } = await axe.run(document, { resultTypes: ["violations"], preload: false, rules });
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => [id, node.target.join(" ")]));
}"""
OPEN = "document.querySelectorAll('article details').forEach((fold) => { fold.hidden = false; fold.open = true; })"
PAIRS = [(1280, "light"), (390, "dark"), (1280, "dark"), (390, "light")]


def findings(browser, site, axe, name):
    """[(width, theme, rule, place)] of one page."""
    found = []
    with Visit(browser, site, viewport={"width": 1280, "height": 900}) as visit:
        page = visit.open(name)
        page.evaluate("dispatchEvent(new Event('beforeprint'))")  # the figures that wait to be near
        page.evaluate(OPEN)
        if page.locator(".exercise[data-kind=live]").count():
            page.locator(".cm-content").first.wait_for()
        page.evaluate(axe)
        for width, theme in PAIRS:
            page.set_viewport_size({"width": width, "height": 900})
            page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
            page.wait_for_timeout(500)
            page.evaluate(TRANSITIONS_ENDED)
            found += [(width, theme, rule, place) for rule, place in page.evaluate(RUN)]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", help="names of pages (default: all of the book's contents)")
    parser.add_argument("--axe", type=Path, help="default: the one the tests use")
    parser.add_argument("--html", type=Path, default=serve.HTML)
    options = parser.parse_args()
    if options.axe is None:
        for problem in vendor.fetch_missing((vendor.AXE,), vendor.TESTS_ONLY):
            sys.exit(problem)
    axe = (options.axe or vendor.TESTS_ONLY / vendor.AXE.target).read_text()
    pages = build_book.toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text()))
    if options.pages:
        pages = [page for page in pages if page.rpartition("/")[2] in options.pages]
    total = Counter()
    with serving(serve.make_server(options.html, 0)) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"])
        for name in pages:
            found = findings(browser, site, axe, name)
            total.update(rule for _, _, rule, _ in found)
            print(f"{name}: {dict(Counter(rule for _, _, rule, _ in found))}", flush=True)
            for width, theme, rule, place in [one for one in found if one[2] not in NOT_ASKED][:8]:
                print(f"    {rule} at {width} {theme}: {place}", flush=True)
    print(f"in all, by rule ({', '.join(NOT_ASKED)} are not held to): {dict(total)}")
    return int(any(rule not in NOT_ASKED for rule in total))


if __name__ == "__main__":
    sys.exit(main())
