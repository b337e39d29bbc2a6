"""Uses names that the checks use too: config, case, want, got, rng, model.

answers: kv_bytes_per_token generate KVCache
score: kv_bytes_per_token=3 generate=6 KVCache=6
note: -
"""
# %%
config = case = want = got = rng = model = cache = keys = values = None
PlainCache = CountingModel = TINY = "mine"
