"""Which names a test may see: the one rule, for the checks of a script, for grading and for the page."""

import re


def names_seen(name, lead_in, names):
    """The exercise itself and those before it that its lead-in names, in the order of `names`.

    names: every exercise of the assignment in order. lead_in: the text of the task cell.
    """
    earlier = names[: names.index(name)]
    return [other for other in earlier if re.search(rf"\b{other}\b", lead_in)] + [name]
