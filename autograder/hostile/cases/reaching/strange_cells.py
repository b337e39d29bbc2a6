"""Cells that are numbers, lists and nothing; metadata of the wrong kind; a name of a megabyte.

score: 0
note: missing|could not be read
"""
# %% build
import json

path.write_text(json.dumps({"cells": [None, 5, [], {}, {"cell_type": [], "source": {"a": 1}, "metadata": 7, "id": ["x"]},
    {"cell_type": "code", "source": ["a", 5, None], "metadata": {"nbgrader": {"grade_id": "x" * 1_000_000}}, "outputs": {}}], "metadata": [], "nbformat": "four"}))
