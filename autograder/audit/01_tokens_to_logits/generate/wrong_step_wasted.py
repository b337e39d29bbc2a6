"""runs the model once more than needed"""


def generate(step, prompt_ids, max_new_tokens, eos_id=None):
    ids = [int(i) for i in prompt_ids]
    if not ids or max_new_tokens < 0:
        raise ValueError(f"{len(ids)} prompt ids, max_new_tokens={max_new_tokens}")
    logits = step(ids)
    for _ in range(max_new_tokens):
        ids.append(next_token(logits))
        if ids[-1] == eos_id:
            break
        logits = step(ids)
    return ids
