"""The right function under a name with one Cyrillic letter: not the name that was asked for.

score: 0
note: (?i)kv_bytes_per_token: .{10}
"""
# %% kv_bytes_per_token
def kv_bуtes_per_token(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)
