"""A class's scores as pictures that an HTML page holds."""

import base64
import io

import matplotlib.pyplot as plt
import seaborn

OUTCOMES = {"full": "all points", "part": "some", "none": "none", "blank": "not written"}


def figures(result, exercises):
    """[(data URI, text)]: how the totals spread, and what became of every exercise."""
    totals, most = [result.total(student) for student in result.active], sum(result.worth.values())
    with seaborn.axes_style("whitegrid"):
        made = [
            (spread(totals, most), f"Histogram of the points of {len(totals)} students, of {most:g}."),
            (
                outcome(exercises),
                "Bars: students with all, some or no points in each exercise; the table has the numbers.",
            ),
        ]
    return made


def spread(totals, most):
    figure, ax = plt.subplots(figsize=(6.4, 2.8), layout="constrained")
    color = seaborn.color_palette("colorblind")[0]
    seaborn.histplot(x=totals, ax=ax, binwidth=max(1, most / 20), binrange=(0, most + 1), color=color)
    ax.set(xlabel=f"points by machine, of {most:g}", ylabel="students", title="Scores")
    ax.yaxis.get_major_locator().set_params(integer=True)
    return to_data_uri(figure)


def outcome(exercises):
    figure, ax = plt.subplots(figsize=(6.4, 1.2 + 0.36 * len(exercises)), layout="constrained")
    left, shades = [0] * len(exercises), seaborn.color_palette("cividis", len(OUTCOMES))[::-1]
    for (kind, label), color in zip(OUTCOMES.items(), shades, strict=True):
        width = [getattr(item, kind) for item in exercises]
        ax.barh([item.name for item in exercises], width, left=left, label=label, color=color, edgecolor="white")
        left = [a + b for a, b in zip(left, width, strict=True)]
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(xlabel="students", title="What became of each exercise")
    ax.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.4, -0.9 / (0.5 + 0.3 * len(exercises))), fontsize=9)
    return to_data_uri(figure)


def to_data_uri(figure):
    """The figure as a PNG; it is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=144)
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
