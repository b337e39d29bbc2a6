"""stops when eos_id stands anywhere, the prompt too"""


def generate(step, prompt_ids, max_new_tokens, eos_id=None):
    ids = [int(i) for i in prompt_ids]
    if not ids or max_new_tokens < 0:
        raise ValueError(f"{len(ids)} prompt ids, max_new_tokens={max_new_tokens}")
    for _ in range(max_new_tokens):
        if eos_id in ids:
            break
        ids.append(next_token(step(ids)))
    return ids
