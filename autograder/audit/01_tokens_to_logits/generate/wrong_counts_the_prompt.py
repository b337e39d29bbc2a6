"""takes max_new_tokens for the length of prompt and answer together"""


def generate(step, prompt_ids, max_new_tokens, eos_id=None):
    ids = [int(i) for i in prompt_ids]
    if not ids or max_new_tokens < 0:
        raise ValueError(f"{len(ids)} prompt ids, max_new_tokens={max_new_tokens}")
    while len(ids) < max_new_tokens:
        ids.append(next_token(step(ids)))
        if ids[-1] == eos_id:
            break
    return ids
