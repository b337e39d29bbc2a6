"""A docutils node for one HTML element, and the small helpers the course's directives share."""

from html import escape

from docutils import nodes
from docutils.statemachine import StringList


class html_element(nodes.Element):  # noqa: N801 (docutils names its nodes in lower case)
    """Children wrapped in an HTML tag. `tag`: its name. `attrs`: dict of attributes; None leaves one out.

    `scripts`: files under book/_static that a page holding this node loads, in order.
    """


class aside_element(nodes.Admonition, html_element):  # noqa: N801
    """An html_element that is no part of the page's text: its description for search engines leaves it out."""


def element(tag, *children, scripts=(), **attrs):
    """Make an html_element; a trailing underscore in an attribute name is dropped, others become hyphens."""
    clean = {name.rstrip("_").replace("_", "-"): value for name, value in attrs.items() if value is not None}
    return html_element("", *children, tag=tag, attrs=clean, scripts=list(scripts))


def text(tag, words, **attrs):
    """Make an element that holds plain text."""
    return element(tag, nodes.Text(words), **attrs)


def parse_markdown(directive, lines, source, offset=0):
    """Parse Markdown lines in the page's own syntax. Returns the list of nodes."""
    holder = nodes.Element()
    holder.document = directive.state.document
    directive.state.nested_parse(StringList(list(lines), source=str(source)), offset, holder)
    return holder.children


def visit_html(self, node):
    attrs = "".join(f' {name}="{escape(str(value))}"' for name, value in node["attrs"].items())
    self.body.append(f"<{node['tag']}{attrs}>")


def depart_html(self, node):
    self.body.append(f"</{node['tag']}>")


def pass_over(self, node):
    """Other writers (text, LaTeX) show the children only."""


def add_page_scripts(app, pagename, templatename, context, doctree):
    """Load on each page only the scripts that something on it asks for."""
    if doctree is None:
        return
    wanted = dict.fromkeys(script for node in doctree.findall(html_element) for script in node["scripts"])
    for position, script in enumerate(wanted):
        app.add_js_file(script, priority=600 + position, defer="defer")


def setup(app):
    quiet = (pass_over, pass_over)
    for kind in (html_element, aside_element):
        app.add_node(kind, html=(visit_html, depart_html), text=quiet, latex=quiet, man=quiet, texinfo=quiet)
    app.connect("html-page-context", add_page_scripts)
