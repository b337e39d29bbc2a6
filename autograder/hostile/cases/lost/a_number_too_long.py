"""A number of six thousand digits in the file's metadata, more than Python reads.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %% build
import json

notebook.metadata["odd"] = "ODD"
path.write_text(json.dumps(notebook).replace('"ODD"', "9" * 6000))
