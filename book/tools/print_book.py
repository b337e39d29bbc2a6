"""Print pages of the built book to PDF, one file each: `python book/tools/print_book.py [03_kv_cache ...]`.

Without names, every page of the table of contents but the notebooks. The files go to _build/pdf. It needs Chromium.
"""

import shutil
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from book.tools.build_book import (  # noqa: E402 (the script may be started from anywhere)
    BuildError,
    reader_of_pages,
    require_pages,
    toc_pages,
)

READY = "document.fonts.ready.then(() => true)"


def find_chromium():
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


def print_pages(html, pages, folder):
    """Print pages of the built book in the folder html. Yields the path of each PDF as it is there."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_context(color_scheme="light").new_page()
        for name in pages:
            tab.goto((html / f"{name}.html").as_uri(), wait_until="load")
            tab.evaluate(READY)
            # the printed page has what a reader on paper cannot open: see site.js
            tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
            path = folder / f"{Path(name).name}.pdf"
            margins = dict.fromkeys(("top", "bottom", "left", "right"), "16mm")
            tab.pdf(path=path, format="A4", margin=margins, print_background=True, tagged=True, outline=True)
            yield path
        browser.close()


def pages_to_open(args, advice):
    """The built pages that were asked for, by default those of the book.

    Raises BuildError where one is missing, or Chromium: then with the advice.
    """
    pages = [page for page in toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text())) if page.startswith("book/")]
    if args.chapters:
        pages = [f"book/{Path(chapter).stem}" for chapter in args.chapters]
    require_pages(args.html, pages)
    if find_chromium() is None:
        raise BuildError(f"no Chromium found; {advice}")
    return pages


def main(argv=None):
    args = reader_of_pages(__doc__, "pdf").parse_args(argv)
    try:
        pages = pages_to_open(args, "in any browser, the page's own print command gives the same")
    except BuildError as error:
        print(f"print: {error}", file=sys.stderr)
        return 1
    for path in print_pages(args.html.resolve(), pages, args.folder):
        print(path, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
