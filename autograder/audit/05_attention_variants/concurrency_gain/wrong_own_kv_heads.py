"""Compares with the KV heads that the model has, not with MHA."""
def concurrency_gain(config, n_kv_heads, free_bytes, context):
    if context < 1 or n_kv_heads < 1:
        raise ValueError(f"context and n_kv_heads must be at least 1, got {context} and {n_kv_heads}")
    if config.num_attention_heads % n_kv_heads:
        raise ValueError(f"{config.num_attention_heads} query heads cannot share {n_kv_heads} KV heads evenly")

    def requests(kv_heads):
        return free_bytes // (2 * config.num_hidden_layers * kv_heads * config.head_dim * 2 * context)

    before = requests(config.num_key_value_heads)
    if before < 1:
        raise ValueError(f"{free_bytes} bytes do not hold one request of {context} tokens with MHA")
    return requests(n_kv_heads) / before
