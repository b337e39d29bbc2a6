"""Shifts by two."""
def text_perplexity(logits, token_ids):
    if len(token_ids) < 2 or len(token_ids) != len(logits):
        raise ValueError(f"{len(token_ids)} ids, {len(logits)} rows")
    return perplexity(logits[:-2], token_ids[2:]) if len(token_ids) > 2 else perplexity(logits[:1], token_ids[1:])
