"""Scales by the size of the folded axis."""
def gqa_attention(q, k, v, causal=False):
    num_heads, num_new, head_dim = q.shape
    num_kv_heads, num_keys, _ = k.shape
    if num_heads % num_kv_heads:
        raise ValueError(f"{num_heads} query heads cannot share {num_kv_heads} KV heads evenly")
    folded = q.reshape(num_kv_heads, -1, head_dim)  # [H_kv, group * N, d_h]
    scores = folded @ k.swapaxes(1, 2) / np.sqrt(folded.shape[1]).astype(q.dtype)
    if causal:
        may_look = np.tri(num_new, num_keys, num_keys - num_new, dtype=bool)
        scores = np.where(may_look, scores.reshape(num_kv_heads, -1, num_new, num_keys), -np.inf)
        scores = scores.reshape(num_kv_heads, -1, num_keys)
    weight = np.exp(scores - scores.max(axis=-1, keepdims=True))
    out = weight @ v / weight.sum(axis=-1, keepdims=True)
    return out.reshape(num_heads, num_new, -1)
