"""Left the debugger on and a breakpoint in a free cell.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %%
%pdb on
# %%
breakpoint()
# %%
1 / 0
