"""Saved by a program that still writes format 3: worksheets, inputs, no ids.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %% build
import json

old = json.loads(nbformat.writes(notebook))
for c in old["cells"]:
    c.pop("id", None)
    if c["cell_type"] == "code":
        c["input"], c["language"], c["prompt_number"] = c.pop("source"), "python", c.pop("execution_count")
path.write_text(json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": old["cells"], "metadata": {}}]}))
