"""Goes on until the ratio is exceeded; equal should count as reached."""
def tokens_until_ratio(prompt, ratio):
    if prompt < 1 or ratio <= 0:
        raise ValueError(f"bad prompt or ratio: {prompt}, {ratio}")
    new = 1
    while cache_work_ratio(prompt, new) <= ratio:
        new += 1
    return new
