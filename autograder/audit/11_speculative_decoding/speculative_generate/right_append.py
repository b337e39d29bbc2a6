"""Checks and appends one token at a time."""
def speculative_generate(target, draft, ids, k, max_new):
    if len(ids) == 0:
        raise ValueError("an empty prompt")
    if min(k, max_new) < 0:
        raise ValueError(f"k={k}, max_new={max_new}")
    text, passes = list(map(int, ids)), 0
    left = max_new
    while left:
        guess = list(text)
        while len(guess) - len(text) < k and len(guess) - len(text) < left - 1:
            guess.append(int(draft(guess)[-1].argmax()))
        logits = target(guess)
        passes += 1
        position = len(text) - 1
        while True:
            token = int(logits[position].argmax())
            text.append(token)
            left -= 1
            position += 1
            if position == len(guess) or guess[position] != token:
                break
    return text, passes
