"""Greek names, emoji, Arabic, a null character and half a surrogate pair in its cells.

answers: kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: αβγ
"""
# %% kv_bytes_per_token
η = 2
print("αβγ مرحبا 🎉 \ud800".encode("utf-8", "replace").decode())

def kv_bytes_per_token(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"größer als null, nicht {bytes_per} 🎉")
    λ = config.num_hidden_layers
    return int(η * λ * config.num_key_value_heads * config.head_dim * bytes_per)
# %% build
import json

book = json.loads(nbformat.writes(notebook))
book["cells"][0]["source"] = ["# notes \u0000 \ud800 🎉"]
path.write_text(json.dumps(book))
