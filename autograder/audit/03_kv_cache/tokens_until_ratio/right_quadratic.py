"""Solves the quadratic, then steps to the exact neighbour."""
def tokens_until_ratio(prompt, ratio):
    if prompt < 1:
        raise ValueError(f"prompt {prompt}")
    if ratio <= 0:
        raise ValueError(f"ratio {ratio}")
    half = prompt - 0.5 - ratio
    new = max(1, int(-half + math.sqrt(half * half + 2 * ratio * (prompt - 1))) - 2)
    while 2 * prompt * new + new * (new - 1) < 2 * ratio * (prompt + new - 1):
        new += 1
    return new
