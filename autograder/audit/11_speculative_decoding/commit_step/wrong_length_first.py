"""Says "length" where the last token that fits is the end of the text."""
def commit_step(tokens, num_cached, draft, new_tokens, eos, max_len):
    """Follow a verification: (new text, tokens whose K and V in the cache are right, "stop", "length" or None).

    tokens: the text before, max_len tokens at most less one. num_cached: len(tokens) - 1. draft: the drafted ids.
    new_tokens: accepted drafts and one more. eos: an id or None. Raises ValueError where these do not fit together.
    """
    if num_cached != len(tokens) - 1:
        raise ValueError(f"{num_cached} tokens cached of {len(tokens)}: the newest one alone should be missing")
    if not new_tokens or new_tokens[:-1] != draft[: len(new_tokens) - 1]:
        raise ValueError(f"new tokens {new_tokens} do not follow from the draft {draft}")
    kept = new_tokens[: max_len - len(tokens)]
    if eos in kept:
        kept = kept[: kept.index(eos) + 1]
    tokens = [*tokens, *kept]
    reason = "length" if len(tokens) == max_len else "stop" if tokens[-1] == eos else None
    return tokens, num_cached + len(kept), reason
