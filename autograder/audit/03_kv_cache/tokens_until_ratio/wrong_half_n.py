"""Inverts the limit n / 2, which holds only for answers much longer than the prompt."""
def tokens_until_ratio(prompt, ratio):
    if prompt < 1 or ratio <= 0:
        raise ValueError(f"bad prompt or ratio: {prompt}, {ratio}")
    return max(1, math.ceil(2 * ratio))
