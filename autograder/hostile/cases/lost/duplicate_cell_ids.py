"""Every cell has the same id, after a copy by hand.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %% build
import json

book = json.loads(nbformat.writes(notebook))
for c in book["cells"]:
    c["id"] = "same"
path.write_text(json.dumps(book))
