"""Solves the quadratic but rounds to the nearest instead of up."""
def tokens_until_ratio(prompt, ratio):
    if prompt < 1 or ratio <= 0:
        raise ValueError(f"bad prompt or ratio: {prompt}, {ratio}")
    half = prompt - 0.5 - ratio
    return max(1, round(-half + math.sqrt(half * half + 2 * ratio * (prompt - 1))))
