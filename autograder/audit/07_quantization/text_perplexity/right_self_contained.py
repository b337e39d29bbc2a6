"""Does not use perplexity."""
def text_perplexity(logits, token_ids):
    if len(token_ids) < 2 or len(token_ids) != len(logits):
        raise ValueError(f"{len(token_ids)} ids, {len(logits)} rows")
    z = np.asarray(logits, float)[: len(token_ids) - 1]
    top = z.max(1)
    surprise = top + np.log(np.exp(z - top[:, None]).sum(1)) - z[np.arange(len(z)), np.asarray(token_ids)[1:]]
    return float(np.exp(surprise.sum() / len(surprise)))
