"""Point Sphinx at the book's own copy of MathJax, or say plainly that formulas will be loaded from outside."""

from sphinx.util import logging

from book.tools.vendor import MATHJAX, present

logger = logging.getLogger(__name__)


def choose_mathjax(app, config):
    """Use the vendored file when it is there; otherwise keep Sphinx's public address and say so."""
    if present(MATHJAX):
        config.mathjax_path = f"vendor/{MATHJAX.target}"
        config.mathjax_options = {"defer": "defer"}
    else:
        logger.info("MathJax is not in book/_static/vendor: formulas will be loaded from a public address")
        logger.info("  to serve them from the book itself, run: python -m book.tools.vendor")


def setup(app):
    app.connect("config-inited", choose_mathjax)
