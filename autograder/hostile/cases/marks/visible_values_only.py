"""Knows the numbers of the visible checks and nothing else.

score: kv_bytes_per_token=1
note: hidden_kv_bytes_per_token: .*23040
"""
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"{bytes_per}")
    return {"Llama-2-7B": 524_288, "Llama-3-8B": 131_072}.get(config.name, 0)
