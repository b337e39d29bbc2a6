"""Finds the end, then slices once."""
def commit_step(tokens, num_cached, draft, new_tokens, eos, max_len):
    accepted = list(new_tokens)[:-1]
    if num_cached + 1 != len(tokens) or not list(new_tokens) or len(accepted) > len(draft) or accepted != list(draft)[: len(accepted)]:
        raise ValueError("these do not fit together")
    ends = [i + 1 for i, t in enumerate(new_tokens) if t == eos]
    room = max_len - len(tokens)
    keep = min([len(new_tokens), room, *ends])
    text = list(tokens) + list(new_tokens)[:keep]
    if ends and ends[0] == keep:
        return text, len(text) - 1, "stop"
    return text, len(text) - 1, "length" if keep == room else None
