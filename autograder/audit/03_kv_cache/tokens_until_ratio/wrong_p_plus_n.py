"""Compares with P + n tokens, one too many."""
def tokens_until_ratio(prompt, ratio):
    if prompt < 1 or ratio <= 0:
        raise ValueError(f"bad prompt or ratio: {prompt}, {ratio}")
    new = 1
    while sum(range(prompt, prompt + new)) < ratio * (prompt + new):
        new += 1
    return new
