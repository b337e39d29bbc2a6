"""A right function whose name is written in full-width letters, which are the same to Python, in a free cell.

score: kv_bytes_per_token=3
note: -
"""
# %% build
place = next(i for i, c in enumerate(notebook.cells) if c.metadata.get("nbgrader", {}).get("grade_id") == "kv_bytes_per_token")
text = """def ｋｖ_bytes_per_token(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)"""
notebook.cells.insert(place + 1, code(text))
write()
