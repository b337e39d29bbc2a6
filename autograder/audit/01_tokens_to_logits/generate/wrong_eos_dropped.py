"""stops before eos_id is appended, so that the end is missing"""


def generate(step, prompt_ids, max_new_tokens, eos_id=None):
    ids = [int(i) for i in prompt_ids]
    if not ids or max_new_tokens < 0:
        raise ValueError(f"{len(ids)} prompt ids, max_new_tokens={max_new_tokens}")
    for _ in range(max_new_tokens):
        token = next_token(step(ids))
        if token == eos_id:
            break
        ids.append(token)
    return ids
