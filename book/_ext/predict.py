"""The directive `predict`: the reader commits to a number or a choice before the answer is shown.

Without JavaScript the question is text and the answer is a `<details>`; book/_static/predict.js adds the form.
"""

import hashlib

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from book._ext.html_element import element, parse_markdown, text


class Predict(SphinxDirective):
    """`{predict}` with `:answer:`, `:unit:`, `:choices:` (a | b | c) and a body `question --- arithmetic`."""

    has_content = True
    option_spec = {
        "answer": directives.unchanged_required,
        "unit": directives.unchanged,
        "choices": directives.unchanged_required,
    }

    def run(self):
        answer = self.options.get("answer", "").strip()
        choices = [choice.strip() for choice in self.options.get("choices", "").split("|") if choice.strip()]
        self.check(answer, choices)
        lines = list(self.content)
        if "---" not in [line.strip() for line in lines]:
            raise self.error("predict: the body is the question, a line '---', then the arithmetic")
        cut = [line.strip() for line in lines].index("---")
        source = self.env.doc2path(self.env.docname)
        question = parse_markdown(self, lines[:cut], source, self.content_offset)
        reason = parse_markdown(self, lines[cut + 1 :], source, self.content_offset + cut + 1)
        if not question or not reason:
            raise self.error("predict: the question or the arithmetic is empty")
        unit = self.options.get("unit", "").strip()
        key = hashlib.sha256("\n".join(lines[:cut]).encode()).hexdigest()[:8]
        shown = nodes.paragraph(
            "", "", nodes.strong("", "Answer: "), nodes.Text(f"{answer} {unit}".strip()), classes=["predict-value"]
        )
        return [
            element(
                "div",
                text("p", "Predict, then reveal", class_="predict-label", id=f"predict-{key}-l"),
                element("div", *question, class_="predict-question"),
                element("details", text("summary", "Show the answer"), shown, *reason, class_="predict-answer"),
                scripts=["predict.js"],
                class_="predict",
                id=f"predict-{key}",
                role="group",
                aria_labelledby=f"predict-{key}-l",
                data_answer=answer,
                data_unit=unit or None,
                data_choices="|".join(choices) or None,
            )
        ]

    def check(self, answer, choices):
        if choices and answer not in choices:
            raise self.error(f"predict: the answer {answer!r} is not one of the choices {choices}")
        if not choices:
            try:
                float(answer.replace(",", "").replace("_", ""))
            except ValueError:
                raise self.error(f"predict: the answer {answer!r} is not a number, and there are no choices") from None


def setup(app):
    app.add_directive("predict", Predict)
