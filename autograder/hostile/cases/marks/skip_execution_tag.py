"""Writes nothing and asks for the test cells not to be run, which nbgrader pays in full.

score: 0
note: test_kv_bytes_per_token: .*NotImplementedError
"""
# %% build
for c in notebook.cells:
    c.metadata["tags"] = ["skip-execution"]
write()
