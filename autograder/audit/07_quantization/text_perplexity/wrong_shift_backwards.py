"""Shifts the wrong way: row i + 1 is compared with id i."""
def text_perplexity(logits, token_ids):
    if len(token_ids) < 2 or len(token_ids) != len(logits):
        raise ValueError(f"{len(token_ids)} ids, {len(logits)} rows")
    return perplexity(logits[1:], token_ids[:-1])
