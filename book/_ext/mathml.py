"""Formulas as MathML, made at build time: the browser needs no script for them, and screen readers read them."""

from html import escape

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)
CONVERTER = LatexToMathML()


def mathml(node, displaystyle):
    """The formula of a node as a `<math>` element. One that cannot be read is a warning, which fails the build."""
    latex = node.astext()
    try:
        return CONVERTER.convert_with_local_state(latex, displaystyle=displaystyle)
    except LatexError as error:
        logger.warning("cannot read the formula %r: %s", latex, str(error).splitlines()[-1], location=node)
        return f"<code>{escape(latex)}</code>"


def visit_math(self, node):
    self.body.append(f'<span class="math">{mathml(node, False)}</span>')
    raise nodes.SkipNode


def visit_displaymath(self, node):
    self.body.append(self.starttag(node, "div", CLASS="math"))
    if node.get("number"):
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})</span>')
    self.body.append(f"{mathml(node, True)}</div>\n")
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    app.connect("config-inited", lambda app, config: setattr(config, "html_math_renderer", "mathml"))
