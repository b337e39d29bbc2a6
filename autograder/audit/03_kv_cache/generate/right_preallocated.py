"""Writes into a tensor of the final size and feeds slices of it."""
def generate(model, ids, max_new_tokens, use_cache):
    ids = torch.as_tensor(ids, dtype=torch.long)
    if ids.numel() == 0:
        raise ValueError("an empty prompt")
    text = ids.reshape(-1, ids.shape[-1])
    start, end = text.shape[1], text.shape[1] + max_new_tokens
    if max_new_tokens < 0 or end - 1 > model.config.max_position_embeddings:
        raise ValueError(f"max_new_tokens={max_new_tokens}")
    out = torch.cat([text, torch.zeros(text.shape[0], max_new_tokens, dtype=torch.long)], 1)
    cache = None
    if use_cache and max_new_tokens > 0:
        cache = model.new_cache(end, text.shape[0]) if end <= model.config.max_position_embeddings else model.new_cache(end - 1, text.shape[0])
    done = 0
    for at in range(start, end):
        logits = model(out[:, done:at], cache)
        out[:, at] = logits[:, -1].argmax(-1)
        done = at if use_cache else 0
    return out.reshape(*ids.shape[:-1], end)
