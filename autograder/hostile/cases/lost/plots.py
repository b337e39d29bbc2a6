"""Plots in the cell and in the function, with figures left open.

answers: kv_cache_bytes
score: cache_work_ratio=2 tokens_processed=3 kv_cache_bytes=3
note: Figure
"""
# %% tokens_processed
import matplotlib.pyplot as plt

plt.plot([1, 2, 3])
plt.show()
plt.figure()

def tokens_processed(prompt, new, cached):
    if prompt < 1 or new < 0:
        raise ValueError(f"no request with prompt {prompt} and {new} new tokens")
    if not new:
        return 0
    return prompt + new - 1 if cached else new * prompt + new * (new - 1) // 2
# %% cache_work_ratio
def cache_work_ratio(prompt, new):
    if new < 1:
        raise ValueError(f"new must be at least 1, got {new}")
    if prompt == 3:
        plt.plot([prompt, new])
        plt.show()
    return tokens_processed(prompt, new, False) / tokens_processed(prompt, new, True)
