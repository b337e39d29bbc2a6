"""The directive `drawing`: an SVG file put into the page itself, so that it takes the colours of the theme.

`{drawing} pipeline` shows book/_static/drawings/pipeline.svg; a body becomes its caption. A drawing has `viewBox`,
`role="img"`, a `<title>` and a `<desc>` (what a reader who cannot see it gets), text of 11 units or more, and at most
420 units of width, so that it can be read on a phone. Colours are `currentColor`, `none`, the variables of course.css
or the classes of drawings/drawing.css.
"""

import re
from pathlib import Path
from xml.etree import ElementTree

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from book._ext.html_element import element, parse_markdown

DRAWINGS = Path(__file__).resolve().parents[1] / "_static" / "drawings"
SVG = "{http://www.w3.org/2000/svg}"
MAX_WIDTH = 420
MIN_FONT = 11
COLOR = re.compile(r"none|currentColor|var\(--fig-[a-z0-9]+\)|url\(#[a-z0-9-]+\)")
FORBIDDEN = ("script", "style", "image", "foreignObject")


def problems(source):
    """What keeps this SVG text from being a drawing of the book: a list of sentences."""
    try:
        root = ElementTree.fromstring(source)
    except ElementTree.ParseError as error:
        return [f"it is not well-formed XML: {error}"]
    found = [f"<{tag}> has no place in a drawing" for tag in FORBIDDEN if root.find(f".//{SVG}{tag}") is not None]
    for tag in ("title", "desc"):
        if not (root.findtext(f"{SVG}{tag}") or "").strip():
            found.append(f"it has no <{tag}> with words in it")
    if root.get("role") != "img":
        found.append('the <svg> needs role="img"')
    box = (root.get("viewBox") or "").split()
    if len(box) != 4 or float(box[2]) > MAX_WIDTH:
        found.append(f"it needs a viewBox of at most {MAX_WIDTH} units of width")
    for node in root.iter():
        for name in ("fill", "stroke", "color"):
            if not COLOR.fullmatch(node.get(name, "none")):
                found.append(f"{name}={node.get(name)!r} is not a colour that follows the theme")
        if float(node.get("font-size", MIN_FONT)) < MIN_FONT:
            found.append(f"text of {node.get('font-size')} units is too small to read")
    return found


def inline(source, prefix):
    """The SVG text as it goes into a page: its ids made unique by prefix, title its label, desc its description."""
    source = re.sub(r"<\?xml.*?\?>|<!--.*?-->", "", source, flags=re.S).strip()
    source = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', source)
    source = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", source)
    source = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', source)
    title = re.search(r"<title>(.*?)</title>", source, flags=re.S).group(1).replace('"', "&quot;")
    source = source.replace("<desc>", f'<desc id="{prefix}-d">', 1)
    source = source.replace("<svg ", f'<svg aria-label="{title}" aria-describedby="{prefix}-d" ', 1)
    return re.sub(r"\n\s*", "\n", source)


class Drawing(SphinxDirective):
    """`{drawing} name`, with a caption as its body, or without."""

    has_content = True
    required_arguments = 1

    def run(self):
        name = self.arguments[0].strip()
        path = DRAWINGS / f"{name}.svg"
        if not path.is_file():
            raise self.error(f"drawing: there is no file book/_static/drawings/{name}.svg")
        self.env.note_dependency(str(path))
        source = path.read_text(encoding="utf-8")
        for problem in problems(source):
            raise self.error(f"drawing: {name}.svg: {problem}")
        prefix = f"drawing-{name}-{self.env.new_serialno('drawing')}"
        parts = [nodes.raw("", inline(source, prefix), format="html")]
        if self.content:
            caption = parse_markdown(self, self.content, self.env.doc2path(self.env.docname), self.content_offset)
            parts.append(element("figcaption", *caption))
        return [element("figure", *parts, class_="drawing")]


def setup(app):
    app.add_css_file("drawings/drawing.css")
    app.add_directive("drawing", Drawing)
