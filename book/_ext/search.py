"""What the search page ranks by, beside Sphinx's own score: how often a page uses the words, and its kind.

Sphinx's index knows only whether a word is on a page. `_static/search_counts.js` of the built book has the counts, and
book/_static/search_scorer.js uses them.
"""

import json
import re
from collections import Counter
from pathlib import Path

from docutils import nodes

from book._ext.nbexercise import exercise_card

SCORER = Path(__file__).resolve().parents[1] / "_static" / "search_scorer.js"
LEAST = 3
WORD = re.compile(r"[^\W_]+")


def count_words(app, doctree, docname):
    """Count the stems of a page's own text, its exercises and raw pictures left out."""
    indexer = app.builder.indexer if hasattr(app.builder, "indexer") else None
    if indexer is None or not docname.startswith("book/"):
        return
    counts = Counter()

    def walk(node):
        if isinstance(node, exercise_card | nodes.raw):
            return
        if isinstance(node, nodes.Text):
            counts.update(indexer.lang.stem(word.lower()) for word in WORD.findall(node))
        for child in node.children:
            walk(child)

    walk(doctree)
    common = {word: count for word, count in counts.items() if count >= LEAST and not word.isdigit()}
    app.search_counts[docname] = {"": sum(counts.values()), **common}


def start(app):
    app.search_counts = {}


def write_counts(app, error):
    if error or app.builder.format != "html" or not app.search_counts:
        return
    path = Path(app.outdir) / "_static" / "search_counts.js"
    counts = json.dumps(app.search_counts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    path.write_text(f"window.searchCounts = {counts};\n", encoding="utf-8")


def load_counts(app, pagename, templatename, context, doctree):
    if pagename == "search":
        app.add_js_file("search_counts.js")


def use_scorer(app, config):
    config.html_search_scorer = str(SCORER)


def setup(app):
    app.connect("config-inited", use_scorer)
    app.connect("builder-inited", start)
    app.connect("doctree-resolved", count_words)
    app.connect("html-page-context", load_counts)
    app.connect("build-finished", write_counts)
