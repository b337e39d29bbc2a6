"""Makes a fresh cache in every step and feeds the newest token to it."""
def generate(model, ids, max_new_tokens, use_cache):
    ids = torch.as_tensor(ids)
    text = ids if ids.ndim == 2 else ids[None]
    batch, prompt = text.shape
    num_fed = prompt + max_new_tokens - 1
    if prompt < 1 or max_new_tokens < 0:
        raise ValueError(f"cannot write {max_new_tokens} new tokens after a prompt of {prompt}")
    if num_fed > model.config.max_position_embeddings:
        raise ValueError(f"{num_fed} tokens to feed, the model has {model.config.max_position_embeddings} positions")
    cache = model.new_cache(num_fed, batch) if use_cache and max_new_tokens else None
    fed = text
    for _ in range(max_new_tokens):
        newest = model(fed, model.new_cache(num_fed, batch) if use_cache else None)[:, -1].argmax(dim=-1, keepdim=True)
        text = torch.cat([text, newest], dim=1)
        fed = newest if use_cache else text
    return text if ids.ndim == 2 else text[0]
