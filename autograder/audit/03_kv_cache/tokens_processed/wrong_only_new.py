"""Leaves the prompt out with a cache: somebody has to fill the cache first."""
def tokens_processed(prompt, new, cached):
    if prompt < 1:
        raise ValueError(f"a prompt has at least 1 token, got {prompt}")
    if new < 0:
        raise ValueError(f"new cannot be negative, got {new}")
    return new if cached else sum(range(prompt, prompt + new))
