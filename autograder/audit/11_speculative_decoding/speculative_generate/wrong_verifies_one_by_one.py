"""Calls the target for each drafted token."""
def speculative_generate(target, draft, ids, k, max_new):
    """Greedy decoding with k drafted tokens per round: (prompt and max_new new ids, number of calls of the target).

    target, draft: functions, list of N ids -> logits [N, V]. ids: the prompt, 1 id or more. Equal to plain greedy
    decoding of the target. Raises ValueError for an empty prompt, a negative k or a negative max_new.
    """
    if not len(ids) or k < 0 or max_new < 0:
        raise ValueError(f"cannot write {max_new} tokens with {k} drafts after a prompt of {len(ids)}")
    text, num_passes = [int(token) for token in ids], 0
    end = len(text) + max_new
    while len(text) < end:
        drafted = []
        for _ in range(min(k, end - len(text) - 1)):
            drafted.append(int(np.argmax(draft(text + drafted)[-1])))
        choice = np.argmax(target(text + drafted), axis=-1)[len(text) - 1 :]
        num_passes += 1
        for i in range(len(drafted)):
            target(text + drafted[:i])
        kept = 0
        while kept < len(drafted) and drafted[kept] == choice[kept]:
            kept += 1
        text += [*drafted[:kept], int(choice[kept])]
    return text, num_passes
