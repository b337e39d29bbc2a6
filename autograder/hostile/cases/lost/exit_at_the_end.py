"""Ends its notebook with exit() and quit().

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %% end
exit()
# %% end
quit()
