"""Multiplies the final length by the number of passes, as if the text were long from the start."""
def tokens_processed(prompt, new, cached):
    if prompt < 1:
        raise ValueError(f"a prompt has at least 1 token, got {prompt}")
    if new < 0:
        raise ValueError(f"new cannot be negative, got {new}")
    if new == 0:
        return 0
    return prompt + new - 1 if cached else new * (prompt + new)
