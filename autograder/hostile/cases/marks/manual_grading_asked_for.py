"""Turns a test into a cell that a person must grade, which keeps the point open.

score: 0
note: test_kv_bytes_per_token: .*NotImplementedError
"""
# %% build
for c in notebook.cells:
    marks = c.metadata.get("nbgrader", {})
    if marks.get("grade"):
        marks["task"], marks["solution"], marks["cell_type"] = True, True, "markdown"
write()
