"""The directive `answer-demo`: a recorded run of the real model, played on the front page by demo.js.

Without JavaScript, and where less motion is wished for, it is the whole answer with what it cost.
"""

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from book._ext.figure_data import FIGURE_DATA
from book._ext.figure_live import write_data
from book._ext.html_element import element, text


class AnswerDemo(SphinxDirective):
    """`{answer-demo}`: the run in book/data/demo.json."""

    def run(self):
        run = FIGURE_DATA["demo"]()
        weights, steps = run["weight_bytes"], run["steps"]
        total = sum(weights + step["kv_bytes"] for step in steps)
        words = (
            f"{run['model']['name']} wrote this, {len(steps)} tokens one after another. For each of them it "
            f"read all its weights, {weights / 1e6:.0f} MB: {total / 1e9:.1f} GB for one sentence."
        )
        answer = nodes.Text("".join(step["text"] for step in steps))
        return [
            element(
                "div",
                text("p", run["question"], class_="demo-question"),
                element("p", element("span", answer), class_="demo-answer"),
                text("p", words, class_="demo-say"),
                scripts=[write_data("demo", self.env.app.outdir), "demo.js"],
                class_="demo",
                role="group",
                aria_label="A model answers, token by token",
            )
        ]


def setup(app):
    app.add_directive("answer-demo", AnswerDemo)
