"""Rolls the ids, so that the last row should predict the first token."""
def text_perplexity(logits, token_ids):
    if len(token_ids) < 2 or len(token_ids) != len(logits):
        raise ValueError(f"{len(token_ids)} ids, {len(logits)} rows")
    return perplexity(logits, np.roll(token_ids, -1))
