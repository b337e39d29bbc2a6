"""The closed form of the sum, in integers."""
def tokens_processed(prompt, new, cached):
    if prompt < 1 or new < 0:
        raise ValueError(f"prompt must be at least 1 and new at least 0, got {prompt} and {new}")
    if cached:
        return prompt + new - 1 if new else 0
    return new * (2 * prompt + new - 1) // 2
