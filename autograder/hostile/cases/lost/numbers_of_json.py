"""Numbers in the file that JSON allows and others do not: not a number, endless, of thousands of digits.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %% build
import json

notebook.metadata["odd"] = [float("nan"), float("inf"), -0.0, "ODD"]
notebook.cells[2]["execution_count"] = 1e30
path.write_text(json.dumps(notebook).replace('"ODD"', "1e999, -1E400"))
