"""The whole built book as one PDF in _build/pdf, or with --epub as one EPUB. It needs Chromium.

    python book/tools/one_file.py [--epub] [03_kv_cache ...]     with names, only these pages

Each page is opened in Chromium, so that the figures are drawn; what cannot be used on paper is taken out, and links
between pages become links within the file. Solutions stay in the book, as on a printed page.
"""

import base64
import hashlib
import re
import sys
import urllib.parse
import uuid
import zipfile
from functools import partial
from html import escape
from pathlib import Path
from string import Template

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from book.tools.build_book import BuildError, reader_of_pages  # noqa: E402
from book.tools.print_book import READY, find_chromium, pages_to_open  # noqa: E402

TITLE = "LLM inference by hand"
HERE = Path(__file__).parent
# takes a page's article apart in the page itself: see the file
READ_ARTICLE = (HERE / "read_article.js").read_text(encoding="utf-8")
FOOTER = '<div style="width:100%;text-align:center;font-size:8px">$page</div>'


def read_articles(browser, html, pages, drawn=False):
    """Yields (name, title, XHTML of the article) of built pages, in order. drawn: drawings bring their own style."""
    tab = browser.new_context(color_scheme="light", viewport={"width": 1000, "height": 1000}).new_page()
    names = [Path(page).name for page in pages]
    for page in pages:
        tab.goto((html / f"{page}.html").as_uri(), wait_until="load")
        tab.evaluate(READY)
        title, text = tab.evaluate(READ_ARTICLE, {"name": Path(page).name, "names": names, "drawn": drawn})
        yield Path(page).name, title, text


def contents(articles, address):
    """A list of links to the articles, as XHTML."""
    lines = [f'<li><a href="{address(name)}">{escape(title)}</a></li>' for name, title, _ in articles]
    return f'<ol class="contents">{"".join(lines)}</ol>'


def write_pdf(browser, html, articles, path):
    """Print all articles in one go. The page that is printed lies beside the built ones, for their style."""
    style = re.findall(r'<link [^>]*rel="stylesheet"[^>]*>', (html / "book" / "intro.html").read_text(encoding="utf-8"))
    front = f'<div class="whole-front"><h1>{TITLE}</h1>{contents(articles, "#{}".format)}</div>'
    body = "".join(f'<article class="bd-article" id="{name}">{text}</article>' for name, _, text in articles)
    whole = html / "book" / "_whole.html"
    whole.write_text(
        '<!doctype html><html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8">'
        f"<title>{TITLE}</title>{''.join(style)}<style>article {{ break-before: page }}</style></head>"
        f"<body>{front}{body}</body></html>",
        encoding="utf-8",
    )
    try:
        tab = browser.new_context(color_scheme="light").new_page()
        tab.goto(whole.as_uri(), wait_until="load")
        tab.evaluate(READY)
        footer = FOOTER.replace("$page", '<span class="pageNumber"></span>')
        margins = dict.fromkeys(("top", "bottom", "left", "right"), "16mm")
        options = {"print_background": True, "tagged": True, "outline": True, "display_header_footer": True}
        tab.pdf(path=path, format="A4", margin=margins, header_template="<i></i>", footer_template=footer, **options)
    finally:
        whole.unlink()


XHTML = Template(
    '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml" '
    'xmlns:epub="http://www.idpf.org/2007/ops" lang="en" xml:lang="en"><head><title>$title</title>'
    '<link rel="stylesheet" href="book.css"/></head><body>$body</body></html>\n'
)
PACKAGE = Template(
    '<?xml version="1.0" encoding="utf-8"?>\n<package xmlns="http://www.idpf.org/2007/opf" version="3.0" '
    'unique-identifier="id" xml:lang="en"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
    '<dc:identifier id="id">urn:uuid:$id</dc:identifier><dc:title>$title</dc:title><dc:language>en</dc:language>'
    '<meta property="dcterms:modified">2026-01-01T00:00:00Z</meta></metadata>'
    "<manifest>$manifest</manifest><spine>$spine</spine></package>\n"
)
CONTAINER = (
    '<?xml version="1.0"?>\n<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
    '<rootfiles><rootfile full-path="book/package.opf" media-type="application/oebps-package+xml"/></rootfiles>'
    "</container>\n"
)
DATA_URI = re.compile(r'src="data:image/(svg\+xml|png)(;base64)?,([^"]*)"')
PLOT = re.compile(r'src="\.\./(_plots/[\w-]+\.svg)[^"]*"( loading="lazy")?( decoding="async")?')
KINDS = {"svg+xml": "svg", "png": "png"}


def take_pictures(text, pictures, html):
    """The XHTML with its pictures named as files; `pictures` gets {file name: (media type, bytes)}."""

    def name_of(match):
        kind, is_base64, data = match.groups()
        data = urllib.parse.unquote_to_bytes(data.replace("&amp;", "&"))
        if is_base64:
            data = base64.b64decode(data)
        return keep(kind, data)

    def keep(kind, data):
        data = re.sub(rb"<path (?![^>]*\bd=)", b'<path d="" ', data)  # a space's glyph, which has no outline
        name = f"picture-{len(pictures) + 1}.{KINDS[kind]}"
        pictures[name] = f"image/{kind}", data
        return f'src="{name}"'

    return PLOT.sub(lambda match: keep("svg+xml", (html / match[1]).read_bytes()), DATA_URI.sub(name_of, text))


def write_epub(html, articles, path):
    """An EPUB 3 of the articles: a file each, the pictures, a table of contents."""
    pictures, chapters = {}, []
    for name, title, text in articles:
        text = re.sub(r'href="#([a-z0-9_]+?)(--[^"]*)?"', partial(address_in_epub, name), text)
        chapters.append((name, title, take_pictures(text, pictures, html)))
    nav = f'<nav epub:type="toc"><h1>{TITLE}</h1>{contents(articles, "{}.xhtml".format)}</nav>'
    files = {"nav.xhtml": XHTML.substitute(title=TITLE, body=nav)}
    items = ['<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>']
    items.append('<item id="css" href="book.css" media-type="text/css"/>')
    for name, title, text in chapters:
        files[f"{name}.xhtml"] = XHTML.substitute(title=escape(title), body=f'<section id="{name}">{text}</section>')
        has = " ".join(kind for kind, mark in (("mathml", "<math"), ("svg", "<svg")) if mark in text)
        extra = f' properties="{has}"' if has else ""
        items.append(f'<item id="page-{name}" href="{name}.xhtml"{extra} media-type="application/xhtml+xml"/>')
    items += [f'<item id="{n[:-4]}" href="{n}" media-type="{kind}"/>' for n, (kind, _) in pictures.items()]
    spine = "".join(f'<itemref idref="{name}"/>' for name in ("nav", *(f"page-{chapter[0]}" for chapter in chapters)))
    digest = hashlib.sha256("".join(files.values()).encode()).hexdigest()
    names = {"id": uuid.uuid5(uuid.NAMESPACE_URL, digest), "title": TITLE}
    files["package.opf"] = PACKAGE.substitute(names, manifest="".join(items), spine=spine)
    files["book.css"] = (HERE / "epub.css").read_text(encoding="utf-8")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        archive.writestr("META-INF/container.xml", CONTAINER)
        for name, text in files.items():
            archive.writestr(f"book/{name}", text)
        for name, (_, data) in pictures.items():
            archive.writestr(f"book/{name}", data)


def address_in_epub(here, link):
    page, place = link[1], link[2] or ""
    return f'href="{"" if page == here and place else page + ".xhtml"}{"#" + page + place if place else ""}"'


def main(argv=None):
    from playwright.sync_api import sync_playwright

    parser = reader_of_pages(__doc__, "pdf")
    parser.add_argument("--epub", action="store_true", help="an EPUB in place of a PDF")
    args = parser.parse_args(argv)
    try:
        pages = pages_to_open(args, "on Debian and Ubuntu: sudo apt-get install chromium")
    except BuildError as error:
        print(f"one_file: {error}", file=sys.stderr)
        return 1
    args.folder.mkdir(parents=True, exist_ok=True)
    path = args.folder / f"llm-inference-by-hand.{'epub' if args.epub else 'pdf'}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"])
        articles = list(read_articles(browser, args.html.resolve(), pages, drawn=args.epub))
        if args.epub:
            write_epub(args.html.resolve(), articles, path)
        else:
            write_pdf(browser, args.html.resolve(), articles, path)
        browser.close()
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
