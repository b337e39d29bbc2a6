"""Explicit positions."""
def text_perplexity(logits, token_ids):
    if len(token_ids) < 2 or len(token_ids) != len(logits):
        raise ValueError(f"{len(token_ids)} ids, {len(logits)} rows")
    n = len(token_ids)
    return perplexity([logits[i] for i in range(n - 1)], [token_ids[i + 1] for i in range(n - 1)])
