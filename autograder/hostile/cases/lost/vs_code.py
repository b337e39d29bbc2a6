"""Saved by VS Code: its metadata, no ids, format 4.2, another kernel.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %% build
import json

book = json.loads(nbformat.writes(notebook))
book |= {"nbformat": 4, "nbformat_minor": 2}
book["metadata"] = {"kernelspec": {"display_name": ".venv", "language": "python", "name": "python3"}, "orig_nbformat": 4, "vscode": {"interpreter": {"hash": "0"}}}
for c in book["cells"]:
    c.pop("id", None)
    c["metadata"]["vscode"] = {"languageId": "python"}
path.write_text(json.dumps(book))
