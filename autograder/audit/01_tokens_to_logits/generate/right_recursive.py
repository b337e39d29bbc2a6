"""one token per call"""


def generate(step, prompt_ids, max_new_tokens, eos_id=None):
    ids = [int(i) for i in prompt_ids]
    if not ids or max_new_tokens < 0:
        raise ValueError(f"{len(ids)} prompt ids, max_new_tokens={max_new_tokens}")
    if max_new_tokens == 0:
        return ids
    token = next_token(step(ids))
    if token == eos_id:
        return ids + [token]
    return generate(step, ids + [token], max_new_tokens - 1, eos_id)
