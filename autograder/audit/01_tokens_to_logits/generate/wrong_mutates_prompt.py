"""appends to the caller's prompt"""


def generate(step, prompt_ids, max_new_tokens, eos_id=None):
    if len(prompt_ids) == 0 or max_new_tokens < 0:
        raise ValueError(f"max_new_tokens={max_new_tokens}")
    ids = prompt_ids if isinstance(prompt_ids, list) else list(map(int, prompt_ids))
    for _ in range(max_new_tokens):
        ids.append(next_token(step(ids)))
        if ids[-1] == eos_id:
            break
    return ids
