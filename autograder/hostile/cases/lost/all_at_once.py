"""Everything right, in a notebook that was moved, stripped, tagged and run out of order.

answers: all
score: all
note: -
"""
# %% build
import random

for c in notebook.cells:
    c.metadata["tags"] = ["skip-execution"]
    c.metadata.get("nbgrader", {}).pop("checksum", None)
tail = notebook.cells[10:]
random.Random(1).shuffle(tail)
notebook.cells[10:] = tail
for c in notebook.cells:
    if c.cell_type == "code":
        c.execution_count = 77
write()
