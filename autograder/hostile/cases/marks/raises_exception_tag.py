"""Tags every cell as one that is expected to raise.

score: 0
note: test_kv_bytes_per_token: .*NotImplementedError
"""
# %% build
for c in notebook.cells:
    c.metadata["tags"] = ["raises-exception", "remove-cell", "nbgrader-ignore"]
    c.metadata["nbclient"] = {"allow_errors": True}
notebook.metadata["execute"] = {"allow_errors": True}
write()
