"""Counts P + n with a cache: feeds the last new token back although nobody reads the result."""
def tokens_processed(prompt, new, cached):
    if prompt < 1:
        raise ValueError(f"a prompt has at least 1 token, got {prompt}")
    if new < 0:
        raise ValueError(f"new cannot be negative, got {new}")
    if new == 0:
        return 0
    return prompt + new if cached else sum(range(prompt, prompt + new))
