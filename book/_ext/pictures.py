"""Plots as files of their own, which a browser fetches when the reader comes near, and only those of the theme.

A cell's output holds its plots as data URIs: half of a page's bytes, all decoded while it is parsed.
"""

import hashlib
import re
from pathlib import Path
from urllib.parse import unquote

FOLDER = "_plots"
DATA_URI = re.compile(r'src="data:image/svg\+xml,([^"]*)"')


def write_plots(app, pagename, templatename, context, doctree):
    body = context.get("body")
    if not body or app.builder.format != "html":
        return
    found = []

    def write(match):
        svg = unquote(match[1].replace("&amp;", "&"))
        found.append(svg)
        path = Path(app.outdir) / FOLDER / f"{pagename.replace('/', '-')}-{len(found)}.svg"
        path.parent.mkdir(exist_ok=True)
        path.write_text(svg, encoding="utf-8")
        digest = hashlib.sha256(svg.encode()).hexdigest()[:8]
        return f'src="{context["pathto"](f"{FOLDER}/{path.name}", 1)}?v={digest}" loading="lazy" decoding="async"'

    context["body"] = DATA_URI.sub(write, body)


def setup(app):
    app.connect("html-page-context", write_plots)
