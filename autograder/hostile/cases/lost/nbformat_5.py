"""Says that it is format 5, as a future program may.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %% build
import json

book = json.loads(nbformat.writes(notebook))
book |= {"nbformat": 5, "nbformat_minor": 0}
path.write_text(json.dumps(book))
