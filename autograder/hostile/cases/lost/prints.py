"""Prints a line at every call, also a number as the last thing.

answers: kv_cache_bytes
score: tokens_processed=3 kv_cache_bytes=3
note: one more token
"""
# %% tokens_processed
print("one more token")

def tokens_processed(prompt, new, cached):
    print("prompt", prompt, "new", new)
    if prompt < 1 or new < 0:
        raise ValueError(f"no request with prompt {prompt} and {new} new tokens")
    print(0)
    if not new:
        return 0
    return prompt + new - 1 if cached else new * prompt + new * (new - 1) // 2
