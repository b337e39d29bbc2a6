"""A free cell before the answers never ends.

answers: kv_bytes_per_token tokens_processed
score: kv_bytes_per_token=3 tokens_processed=3
note: (?i)(too long|timeout)
"""
# %%
while True:
    time.sleep(0.1)
