"""The directives `answer-demo`, a recorded run of the real model, played by demo.js, and `gpu-answer`, the model on the
reader's own GPU.

Without JavaScript, and where less motion is wished for, the first is the whole answer with what it cost.
"""

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from book._ext.figure_data import FIGURE_DATA
from book._ext.figure_live import write_data
from book._ext.html_element import element, text
from mini_engine.config import SMOLLM2_135M
from mini_engine.gpu.webgpu.plan import weight_bytes


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


class GpuAnswer(SphinxDirective):
    """`{gpu-answer}`: a panel that gpu-answer.js fills; the weights come from the server of the page."""

    def run(self):
        words = "With JavaScript and a GPU, SmolLM2 can answer here on your own machine."
        scripts = ["gpu-decoder.js", "gpu-answer.js"]
        config = SMOLLM2_135M
        # a step reads one row of the embedding; the GPU gets the whole table
        size = f"{(weight_bytes(config) + 4 * config.vocab_size * config.hidden_size) / 1e6:.0f} MB"
        place = {"class_": "gpu-answer", "role": "group", "aria_label": "SmolLM2 on your GPU", "data_size": size}
        return [element("div", text("p", words), scripts=scripts, **place)]


def setup(app):
    app.add_directive("answer-demo", AnswerDemo)
    app.add_directive("gpu-answer", GpuAnswer)
