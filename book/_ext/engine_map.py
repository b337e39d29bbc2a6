"""The map of the engine: one drawing whose parts lead to the chapters that build them.

`{engine-map}` puts the clickable map on a page; `small_map` is the same drawing for the head of a chapter, with the
chapters' numbers and that chapter's part lit.
"""

from html import escape

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from book._ext.chapter_pages import topic_of
from book._ext.html_element import element, text

# topic number -> (name, what it does, place in the wide drawing: x, y, width, height)
PARTS = {
    12: ("Server", "requests come in, tokens stream out", (0, 0, 616, 46)),
    18: ("Fleet", "many servers", (640, 0, 120, 46)),
    1: ("Tokenizer", "text to integers", (0, 82, 130, 62)),
    10: ("Scheduler", "who runs in this step", (160, 82, 150, 62)),
    2: ("Forward pass", "tokens to scores", (340, 82, 150, 62)),
    8: ("Sampler", "scores to a token", (520, 82, 110, 62)),
    15: ("Structure", "only valid text", (650, 82, 110, 62)),
    9: ("Blocks", "memory in pages", (0, 180, 130, 62)),
    3: ("KV cache", "what was computed stays", (160, 180, 150, 62)),
    5: ("Attention", "fewer heads, tiles", (340, 180, 110, 62)),
    7: ("Quantization", "8 and 4 bits", (470, 180, 120, 62)),
    11: ("Speculation", "draft, then verify", (610, 180, 150, 62)),
    4: ("Roofline", "what limits a step", (0, 278, 122, 62)),
    6: ("Capacity", "how many users fit", (134, 278, 122, 62)),
    13: ("CPU lab", "compiled kernels", (268, 278, 112, 62)),
    14: ("GPU lab", "from slow to the limit", (392, 278, 138, 62)),
    17: ("Variants", "after LLaMA", (542, 278, 102, 62)),
    16: ("Devices", "split over many", (656, 278, 104, 62)),
}
WIDE = 760, 340
# the narrow drawing: its rows, and () for a gap; parts whose chapter is missing leave no room behind
NARROW_ROWS = ((18,), (12,), (1, 10), (2, 8), (3, 15), (7, 5), (9, 11), (), (4, 6), (13, 14), (16, 17))
NARROW_WIDTH, NARROW_GAP, NARROW_HEIGHT = 360, 12, 56
# the way of a token through the wide drawing, as SVG paths that end in an arrow
ARROWS = (
    "M640 23H620", "M65 46V78", "M130 113H156", "M310 113H336", "M490 113H516", "M575 82V50",
    "M575 144V162H415V148", "M235 180V162H390V148",
)  # fmt: skip
CAPTION = (
    "The way of a request: the server hands it to the tokenizer; at every step the scheduler chooses who runs, the "
    "forward pass turns tokens into scores and the sampler turns scores into the next token, which goes back into the "
    "forward pass. The KV cache, its blocks, attention, quantization and speculation make that loop cheap; roofline, "
    "capacity and the labs measure it; a fleet is many such servers behind one address."
)


def chapters(env):
    """{topic number: docname of its first page} of the chapters that are in this book."""
    topics = {topic_of(name) for name in env.found_docs} - {None}
    return {int(topic[:2]): f"book/{topic}" for topic in topics}


def box(number, place, lit, words):
    x, y, width, height = place
    middle = x + width / 2
    classes = "map-part lit" if lit else "map-part"
    rect = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>'
    if words is None:
        label = f'<text class="map-number" x="{middle}" y="{y + height / 2}" dy=".36em">{number}</text>'
    else:
        name, what = map(escape, words)
        top, bottom = (y + height / 2 - 4, y + height / 2 + 15)
        label = f'<text class="map-name" x="{middle}" y="{top}">{number} · {name}</text>'
        label += f'<text class="map-what" x="{middle}" y="{bottom}">{what}</text>'
    return f'<g class="{classes}">{rect}{label}</g>'


def narrow_places(numbers):
    """({number: place}, height) of the narrow drawing with these parts."""
    places, top = {}, 0
    for row in NARROW_ROWS:
        present = [number for number in row if number in numbers]
        width = (NARROW_WIDTH + NARROW_GAP) / max(len(present), 1) - NARROW_GAP
        for column, number in enumerate(present):
            places[number] = round(column * (width + NARROW_GAP)), top, round(width), NARROW_HEIGHT
        top += NARROW_HEIGHT + 16 if present else 0 if row else 14
    return places, top - 16


def drawing(layout, links, lit=None, small=False):
    """The SVG of the map. layout: 0 wide, 1 narrow. links: {number: address}; small: numbers only, and no links."""
    places, (width, height) = {number: place for number, (_, _, place) in PARTS.items()}, WIDE
    if layout == 1:
        places, height = narrow_places(links)
        width = NARROW_WIDTH
    parts = []
    for number, (name, what, _) in PARTS.items():
        if number in links:
            drawn = box(number, places[number], number == lit, None if small else (name, what))
            parts.append(drawn if small else f'<a href="{escape(links[number])}">{drawn}</a>')
    lines = "".join(f'<path class="map-arrow" d="{d}"/>' for d in ARROWS) if layout == 0 else ""
    role = 'aria-hidden="true"' if small else 'role="group" aria-label="Map of the engine"'
    kind = "small" if small else ("wide", "narrow")[layout]
    marker = (
        '<defs><marker id="map-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="map-tip" d="M0 0 8 4 0 8z"/></marker></defs>'
    )
    inside = (marker if layout == 0 and not small else "") + lines + "".join(parts)
    return f'<svg class="engine-map map-{kind}" viewBox="-2 -2 {width + 4} {height + 4}" {role}>{inside}</svg>'


def small_map(env, topic, address):
    """The map for the head of a chapter: one link to the whole map. Empty for a chapter that has no part in it."""
    number = int(topic[:2])
    if number not in PARTS:
        return []
    picture = nodes.raw("", drawing(0, chapters(env), lit=number, small=True), format="html")
    words = f"In the engine: {PARTS[number][0]}"
    caption = text("span", words, class_="map-here")
    return [element("a", picture, caption, class_="chapter-map", href=f"{address}#engine-map")]


class EngineMap(SphinxDirective):
    """`{engine-map}`: the clickable map, wide and narrow; the style shows the one that fits."""

    def run(self):
        at = self.env.app.builder.get_relative_uri
        links = {number: at(self.env.docname, page) for number, page in chapters(self.env).items()}
        pictures = [nodes.raw("", drawing(layout, links), format="html") for layout in (0, 1)]
        caption = text("p", CAPTION, class_="map-caption")
        return [element("div", *pictures, caption, class_="engine-map-box", id="engine-map")]


def setup(app):
    app.add_directive("engine-map", EngineMap)
