"""Free cells with errors of every kind, before and between right answers.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: ZeroDivisionError
"""
# %%
1 / 0
# %%
this is not Python
# %%
import a_module_that_is_not_there
