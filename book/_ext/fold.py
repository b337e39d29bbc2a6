"""The directive `fold`: what follows it in its section, up to the next heading, opens at a click on the given words.

Cells may stand in the part, which a `dropdown` cannot hold.
"""

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective

from book._ext.html_element import element, text


class fold_mark(nodes.Element):  # noqa: N801 (docutils names its nodes in lower case)
    """Where a fold begins; `words`: what it is opened by."""


class Fold(SphinxDirective):
    required_arguments = 1
    final_argument_whitespace = True

    def run(self):
        return [fold_mark(words=self.arguments[0])]


class Folds(SphinxTransform):
    default_priority = 870

    def apply(self, **kwargs):
        for mark in list(self.document.findall(fold_mark)):
            parent, start = mark.parent, mark.parent.index(mark)
            is_end = (isinstance(node, nodes.section | fold_mark) for node in parent[start + 1 :])
            stop = next((start + 1 + i for i, end in enumerate(is_end) if end), len(parent))
            inside = parent[start + 1 : stop]
            parent[start:stop] = [element("details", text("summary", mark["words"]), *inside, class_="part-fold")]


def setup(app):
    app.add_directive("fold", Fold)
    app.add_transform(Folds)
