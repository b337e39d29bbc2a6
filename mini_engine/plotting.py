"""One plot style for chapters, notebooks and reports.

In the book a figure becomes two pictures, for the light and the dark theme, with alt text; in a notebook one picture.
"""

import io
import os
from html import escape
from urllib.parse import quote

# (light, dark) of every colour the style uses: a dark picture is the light one with its colours exchanged. The series
# colours stay apart for colour-blind readers and keep a contrast of 3:1 or more against their background.
INK = ("#1f2328", "#e6edf3")
MUTED = ("#57606a", "#a5b1bd")
LINE = ("#d0d7de", "#454d57")
SERIES = (
    ("#0068b3", "#5eb3f0"),
    ("#c2500a", "#f28c52"),
    ("#0b7d5c", "#45c79b"),
    ("#9a3f86", "#df93cd"),
    ("#7a5c00", "#d9b64a"),
    ("#4f5b66", "#b3bec9"),
)
COLORS = tuple(light for light, _ in SERIES)
# an SVG with more bytes than this (a scatter of thousands of points) is drawn as PNG
MAX_SVG_BYTES = 400_000


def set_style():
    """Set the course's style for every figure made from here on."""
    import seaborn

    ink, muted, line = INK[0], MUTED[0], LINE[0]
    seaborn.set_theme(style="whitegrid", palette=COLORS)
    import matplotlib

    matplotlib.rcParams.update(
        {
            "figure.dpi": 100,
            "font.size": 11,
            "text.color": ink,
            "axes.labelcolor": ink,
            "axes.titlecolor": ink,
            "axes.titlesize": 12,
            "axes.titlelocation": "left",
            "axes.edgecolor": muted,
            "axes.facecolor": "none",
            "figure.facecolor": "none",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "grid.color": line,
            "grid.linewidth": 0.8,
            "xtick.color": muted,
            "ytick.color": muted,
            "xtick.labelcolor": ink,
            "ytick.labelcolor": ink,
            "legend.frameon": False,
            "legend.labelcolor": ink,
            "lines.linewidth": 2,
            "svg.hashsalt": "course",
        }
    )


def figure(rows=1, cols=1, size=(6.4, 3.8), **options):
    """Make a figure in the course's style.

    size: width and height in inches. Other options go to matplotlib's subplots. Returns (fig, ax), as that does.
    """
    set_style()
    import matplotlib.pyplot as plt

    return plt.subplots(rows, cols, figsize=size, layout="constrained", **options)


def to_svg(fig, dark=False):
    """The figure as SVG text with a transparent background, in the colours of the light or the dark theme."""
    buffer = io.StringIO()
    fig.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    if dark:
        for light, shade in (INK, MUTED, LINE, *SERIES):
            svg = svg.replace(light, shade)
    return svg


def to_png(fig, dark=False):
    """The figure as PNG bytes, transparent; in the dark theme its text, axes and grid are recoloured."""
    from matplotlib.colors import to_hex

    exchange = dict((INK, MUTED, LINE, *SERIES))
    changed = []
    if dark:
        for artist in fig.findobj(lambda a: hasattr(a, "get_color") and hasattr(a, "set_color")):
            color = artist.get_color()
            if isinstance(color, str) and to_hex(color) in exchange:
                changed.append((artist, color))
                artist.set_color(exchange[to_hex(color)])
        for axes in fig.axes:
            for spine in axes.spines.values():
                changed.append((spine, spine.get_edgecolor()))
                spine.set_color(MUTED[1])
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=160, transparent=True)
    for artist, color in changed:
        artist.set_color(color)
    return buffer.getvalue()


def to_data_uri(fig, dark=False):
    """The figure as a data URI: SVG, or PNG where the SVG would be heavy."""
    svg = to_svg(fig, dark)
    if len(svg) <= MAX_SVG_BYTES:
        return "data:image/svg+xml," + quote(svg, safe=" =:/;,.-_~()+*!@$&?'")
    import base64

    return "data:image/png;base64," + base64.b64encode(to_png(fig, dark)).decode()


def show(fig, alt):
    """Show the figure and close it.

    alt: what the picture tells, in a sentence; readers who cannot see it get this instead. Raises ValueError when it
    is empty. In the book: a light and a dark picture. In a notebook: one picture. In a plain script: nothing.
    """
    import matplotlib.pyplot as plt

    if not alt or not alt.strip():
        raise ValueError("show needs alt, a sentence that says what the figure tells")
    alt = " ".join(alt.split())
    try:
        from IPython import get_ipython
        from IPython.display import HTML, Image, display
    except ImportError:
        get_ipython = lambda: None  # noqa: E731
    if get_ipython() is not None and os.environ.get("COURSE_BOOK_BUILD"):
        width, height = fig.get_size_inches()
        pictures = "".join(
            f'<img class="only-{theme}" alt="{escape(alt)}" width="{width * 96:.0f}" height="{height * 96:.0f}" '
            f'src="{to_data_uri(fig, dark=theme == "dark")}">'
            for theme in ("light", "dark")
        )
        display(HTML(f'<div class="plot">{pictures}</div>'))
    elif get_ipython() is not None:
        buffer = io.BytesIO()
        fig.savefig(buffer, format="png", dpi=120, facecolor="white")
        display(Image(data=buffer.getvalue(), alt=alt))
    plt.close(fig)
