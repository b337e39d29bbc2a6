"""Adds one token at a time until something ends the text."""
def commit_step(tokens, num_cached, draft, new_tokens, eos, max_len):
    if len(tokens) != num_cached + 1 or len(new_tokens) == 0 or len(new_tokens) > 1 + len(draft):
        raise ValueError("state and step do not fit")
    for drafted, new in zip(draft, new_tokens[:-1]):
        if drafted != new:
            raise ValueError(f"{new} was not drafted")
    text, reason = tokens[:], None
    for token in new_tokens:
        text.append(token)
        num_cached += 1
        if eos is not None and token == eos:
            reason = "stop"
            break
        if len(text) >= max_len:
            reason = "length"
            break
    return text, num_cached, reason
