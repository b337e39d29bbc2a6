"""A class's scores as a picture that an HTML page holds."""

import base64
import io

import matplotlib.pyplot as plt
import seaborn


def figures(result):
    """[(data URI, text)]: how the totals of a class spread; empty where nobody wrote anything."""
    totals, most = [result.total(student) for student in result.active], sum(result.worth.values())
    if not totals:
        return []
    with seaborn.axes_style("whitegrid"):
        return [(spread(totals, most), f"Histogram of the points of {len(totals)} students, of {most:g}.")]


def spread(totals, most):
    figure, ax = plt.subplots(figsize=(8, 2.6), layout="constrained")
    seaborn.histplot(x=totals, ax=ax, binwidth=max(1, most / 20), binrange=(0, most + 1), color="#0068b3")
    ax.set(xlabel=f"points by machine, of {most:g}", ylabel="students")
    ax.grid(axis="x", visible=False)
    ax.yaxis.get_major_locator().set_params(integer=True)
    return to_data_uri(figure)


def to_data_uri(figure):
    """The figure as a PNG; it is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
