"""Empties the test cells and unlocks them.

score: 0
note: test_kv_bytes_per_token: .*NotImplementedError
"""
# %% build
for c in notebook.cells:
    if c.metadata.get("nbgrader", {}).get("grade"):
        c.source = "pass"
        c.metadata.nbgrader.locked = False
write()
