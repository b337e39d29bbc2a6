"""torch, one request at a time, KV heads repeated"""


def ragged_attention(q, keys, values, lengths):
    for length in lengths:
        if not 1 <= length <= keys.shape[2]:
            raise ValueError(f"a length must be from 1 to {keys.shape[2]}, got {length}")
    rows = []
    for one, k, v, n in zip(q, keys, values, lengths, strict=True):
        k, v = (torch.tensor(part[:, : int(n)]).repeat_interleave(len(one) // len(part), 0) for part in (k, v))
        rows.append(F.scaled_dot_product_attention(torch.tensor(one)[:, None], k, v)[:, 0].numpy())
    return np.stack(rows)
