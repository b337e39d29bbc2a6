"""Puts a copy of each test cell, with the same name and no content, before and behind the real one.

score: 0
note: test_kv_bytes_per_token: .*NotImplementedError
"""
# %% build
import copy

doubled = []
for c in notebook.cells:
    if c.metadata.get("nbgrader", {}).get("grade"):
        empty = copy.deepcopy(c)
        empty.source = "pass"
        doubled += [empty, c, copy.deepcopy(empty)]
    else:
        doubled.append(c)
notebook.cells = doubled
write()
