"""Spins in C code while its cell is defined; what came before is paid.

score: kv_bytes_per_token=3
answers: kv_bytes_per_token
note: (?i)(too long|ended|did not run|timeout)
"""
# %% kv_cache_bytes
sum(range(10**13))
