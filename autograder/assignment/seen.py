"""Which names a test may see: the one rule, for the checks of a script, for grading and for the page."""

import re


def names_seen(exercise, lead_in, given):
    """All that the exercise's own cell defines, and of the cells before it what its lead-in names, in their order.

    given: {exercise: names that its solution cell defines}, every exercise of the assignment in order.
    lead_in: the text of the task cell.
    """
    seen = []
    for other, names in given.items():
        if other == exercise:
            return [*seen, *names]
        seen += [name for name in names if re.search(rf"\b{name}\b", lead_in)]
    raise KeyError(exercise)
