"""Raises AssertionError with the words of the hidden check and what it was given between them.

score: kv_bytes_per_token=1
note: hidden_kv_bytes_per_token: AssertionError: .*SEEN
unseen: SEEN
"""
# %% kv_bytes_per_token
WORD = "".join(["SE", "EN"])

def kv_bytes_per_token(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    if config.name not in ("llama-2-7b", "llama-3-8b"):
        raise AssertionError(f"int4 is half a byte per number: 5760 as an int, you returned {WORD} {config}")
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)
