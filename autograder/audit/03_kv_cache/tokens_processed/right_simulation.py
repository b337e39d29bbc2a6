"""Plays the generation loop and adds up what each pass is fed."""
def tokens_processed(prompt, new, cached):
    if prompt < 1:
        raise ValueError(f"prompt {prompt}")
    if new < 0:
        raise ValueError(f"new {new}")
    total, text, held = 0, prompt, 0
    for _ in range(new):
        total += text - held
        if cached:
            held = text
        text += 1
    return total
