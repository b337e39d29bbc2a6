"""The directive `figure-live`: an interactive figure as a custom element, with its text alternative inside.

`{figure-live} kv-calculator` puts `<figure-kv-calculator>` on the page and loads book/_static/figures/kv-calculator.js
there, after figures/lib.js. The body is what a reader without JavaScript sees.
"""

import json
import re
from pathlib import Path

from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from book._ext.figure_data import FIGURE_DATA
from book._ext.html_element import element, parse_markdown

FIGURES = Path(__file__).resolve().parents[1] / "_static" / "figures"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def write_data(name, outdir):
    """Write one data set as a script that fills window.figureData. Returns its path under _static."""
    relative = f"figures/data/{name}.js"
    path = Path(outdir) / "_static" / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    value = json.dumps(FIGURE_DATA[name](), allow_nan=False, separators=(",", ":"))
    path.write_text(
        f"window.figureData = window.figureData || {{}};\nwindow.figureData[{json.dumps(name)}] = {value};\n"
    )
    return relative


class FigureLive(SphinxDirective):
    """`{figure-live} name` with `:data:` (names of figure_data.FIGURE_DATA, by spaces) and a text alternative."""

    has_content = True
    required_arguments = 1
    option_spec = {"data": directives.unchanged_required}

    def run(self):
        name = self.arguments[0].strip()
        script = FIGURES / f"{name}.js"
        if not NAME.fullmatch(name) or not script.is_file():
            raise self.error(f"figure-live: there is no script book/_static/figures/{name}.js")
        if f'Figure.define("{name}"' not in script.read_text():
            raise self.error(f'figure-live: book/_static/figures/{name}.js has no Figure.define("{name}", …)')
        if not self.content:
            raise self.error(f"figure-live: {name} has no body; write there what the figure shows, in words")
        self.env.note_dependency(str(script))
        data = []
        for wanted in self.options.get("data", "").split():
            if wanted not in FIGURE_DATA:
                raise self.error(f"figure-live: figure_data.py has no {wanted!r}")
            data.append(write_data(wanted, self.env.app.outdir))
        body = parse_markdown(self, self.content, self.env.doc2path(self.env.docname), self.content_offset)
        return [
            element(
                f"figure-{name}",
                element("div", *body, class_="figure-static"),
                scripts=["figures/lib.js", *data, f"figures/{name}.js"],
                class_="figure-live",
            )
        ]


def setup(app):
    app.add_directive("figure-live", FigureLive)
