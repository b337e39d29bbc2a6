"""What nbgrader's formgrader shows of a student's work, without anything that could run in the marker's browser.

The formgrader answers from Jupyter's own address, so a script in a student's output or answer could use the whole
server. What a student displayed is cut down to text, pictures and plain tables, and Markdown of theirs to plain
HTML. Neither keeps an `id` or a class: the formgrader finds its input boxes by them.
"""

import bleach
from jinja2 import pass_context
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors import Preprocessor
from nbformat.v4 import new_output
from nbgrader import utils

PICTURES = ("image/png", "image/jpeg")
TAGS = frozenset(
    "b blockquote br code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i kbd li ol p pre s span strong sub summary "
    "sup table tbody td tfoot th thead tr u ul".split()
)
NOT_SHOWN = "(an output that only a browser could show: open the notebook in JupyterLab)"


class SafeOutputs(Preprocessor):
    """Cuts the outputs of every code cell down to what `safe_output` leaves."""

    def preprocess(self, nb, resources):
        nb.metadata.pop("widgets", None)
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.outputs = [safe_output(output) for output in cell.outputs]
                if not isinstance(cell.execution_count, int):  # the kernel's word, which a student's code may forge
                    cell.execution_count = None
        return nb, resources


def safe_output(output):
    """A new output with the same text and pictures, and none of the metadata, which the page puts into attributes."""
    if output.output_type == "stream":
        return new_output("stream", name=str(output.name), text=str(output.text))
    if output.output_type == "error":
        return new_output("error", ename="", evalue="", traceback=[str(line) for line in output.traceback])
    data = {kind: output.data[kind] for kind in (*PICTURES, "text/plain") if kind in output.data}
    if "text/html" in output.data:
        data["text/html"] = clean(str(output.data["text/html"]))
    return new_output("display_data", data=data or {"text/plain": NOT_SHOWN})


@pass_context
def safe_markdown(context, source):
    """The filter `markdown2html` of the formgrader's page. Locked cells are the course's own and stay as they are.

    A student's HTML is shown as the text that it is: what stands between "a<b" and "c>d" does not vanish as a tag.
    """
    ours = utils.is_locked(context["cell"])
    html = MarkdownWithMath(renderer=IPythonRenderer(escape=not ours, exclude_anchor_links=True)).render(source)
    return html if ours else clean(html)


def clean(html):
    """HTML with plain tags only, without attributes; the text of any other tag stays."""
    return bleach.clean(html, TAGS, {}, strip=True)
