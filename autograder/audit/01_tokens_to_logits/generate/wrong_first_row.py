"""chooses from the first row of the logits"""


def generate(step, prompt_ids, max_new_tokens, eos_id=None):
    ids = [int(i) for i in prompt_ids]
    if not ids or max_new_tokens < 0:
        raise ValueError(f"{len(ids)} prompt ids, max_new_tokens={max_new_tokens}")
    for _ in range(max_new_tokens):
        ids.append(int(step(ids)[0].argmax()))
        if ids[-1] == eos_id:
            break
    return ids
