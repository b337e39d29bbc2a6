"""a while loop over a tuple"""


def generate(step, prompt_ids, max_new_tokens, eos_id=None):
    ids = [int(i) for i in prompt_ids]
    if not ids or max_new_tokens < 0:
        raise ValueError(f"{len(ids)} prompt ids, max_new_tokens={max_new_tokens}")
    start, ids = len(ids), tuple(ids)
    while len(ids) - start < max_new_tokens:
        row = list(step(list(ids))[-1])
        ids += (row.index(max(row)),)
        if eos_id is not None and ids[-1] == eos_id:
            return list(ids)
    return list(ids)
