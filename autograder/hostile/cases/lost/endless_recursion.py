"""One answer calls itself for ever; the others are right.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: test_tokens_processed: .*RecursionError
"""
# %% tokens_processed
def tokens_processed(prompt, new, cached):
    return tokens_processed(prompt, new, cached)
