"""How long each page of the built book keeps a slow reader waiting: `python tools/page_speed.py [03_kv_cache …]`.

Prints, for each page at 4 times CPU slowdown: the blocking time in ms (the tasks of the main thread, what each takes
beyond 50 ms, from the navigation until nothing has happened for two seconds; the median of three visits with an empty
cache), the longest task, the bytes that were loaded, and the page's height at 1280 px with its cards closed.
"""

import argparse
import statistics
import sys
from pathlib import Path

import yaml
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from visit import laid_out, serving  # noqa: E402

from book.tools import build_book, serve  # noqa: E402
from book.tools.print_book import find_chromium  # noqa: E402

SLOWDOWN, MOST_LOOKS = 4, 240  # looks, twice a second, whether a page is at rest
WATCH = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries()) longTasks.push([startTime, duration]);
}).observe({ type: "longtask", buffered: true });
"""
# asked through the debugger, since what Playwright brings along for its own questions is a long task itself
QUIET = """(() => {
  const last = longTasks.length ? longTasks.at(-1)[0] + longTasks.at(-1)[1] : 0;
  const { loadEventEnd } = performance.getEntriesByType("navigation")[0];
  return loadEventEnd > 0 && performance.now() - Math.max(last, loadEventEnd) > 2000;
})()"""


def visit(browser, address, viewport):
    """One visit with an empty cache: (blocking ms, longest task in ms, bytes loaded, height in px)."""
    context = browser.new_context(viewport=viewport)
    page = context.new_page()
    loaded = []
    page.on("response", lambda answer: loaded.append(int(answer.headers.get("content-length", 0))))
    debugger = context.new_cdp_session(page)
    debugger.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
    page.add_init_script(WATCH)
    page.goto(address, wait_until="load", timeout=120_000)
    for _ in range(MOST_LOOKS):
        if debugger.send("Runtime.evaluate", {"expression": QUIET})["result"]["value"]:
            break
        page.wait_for_timeout(500)
    else:
        raise TimeoutError(f"{address} is still at work after {MOST_LOOKS / 2:.0f} seconds")
    tasks = [duration for _, duration in page.evaluate("longTasks")]
    height = laid_out(page).evaluate("document.documentElement.scrollHeight")
    context.close()
    return sum(task - 50 for task in tasks), max(tasks, default=0), sum(loaded), height


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", help="names of pages (default: all of the book's contents)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--html", type=Path, default=serve.HTML)
    options = parser.parse_args()
    pages = build_book.toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text()))
    if options.pages:
        pages = [page for page in pages if page.rpartition("/")[2] in options.pages]
    print("| page | blocking, ms | longest task, ms | kB | height |\n|---|---|---|---|---|")
    with serving(serve.make_server(options.html, 0)) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"])
        for page in pages:
            viewport = {"width": options.width, "height": 800}
            seen = [visit(browser, f"{site}/{page}.html", viewport) for _ in range(options.rounds)]
            blocking, longest, size, height = (statistics.median(column) for column in zip(*seen, strict=True))
            print(f"| {page} | {blocking:.0f} | {longest:.0f} | {size / 1000:.0f} | {height:.0f} |", flush=True)


if __name__ == "__main__":
    main()
