"""A loop for each way, over Python lists."""
def generate(model, ids, max_new_tokens, use_cache):
    given = torch.as_tensor(ids)
    rows = given.tolist() if given.ndim == 2 else [given.tolist()]
    length = len(rows[0])
    if not length or max_new_tokens < 0 or length + max_new_tokens > 1 + model.config.max_position_embeddings:
        raise ValueError(f"{length} prompt tokens and {max_new_tokens} new ones cannot be")
    if use_cache and max_new_tokens:
        cache = model.new_cache(length + max_new_tokens - 1, len(rows))
        new = model(torch.tensor(rows), cache=cache)[:, -1, :].max(-1).indices
        for row, token in zip(rows, new.tolist()):
            row.append(token)
        for _ in range(max_new_tokens - 1):
            new = model(new[:, None], cache=cache)[:, -1, :].max(-1).indices
            for row, token in zip(rows, new.tolist()):
                row.append(token)
    else:
        for _ in range(max_new_tokens):
            for row, token in zip(rows, model(torch.tensor(rows))[:, -1, :].max(-1).indices.tolist()):
                row.append(token)
    return torch.tensor(rows if given.ndim == 2 else rows[0])
