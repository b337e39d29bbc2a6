"""No shift: asks how well row i predicts the token it has just read."""
def text_perplexity(logits, token_ids):
    if len(token_ids) < 2 or len(token_ids) != len(logits):
        raise ValueError(f"{len(token_ids)} ids, {len(logits)} rows")
    return perplexity(logits, token_ids)
