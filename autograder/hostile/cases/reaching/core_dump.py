"""Crashes with a core file as large as it may be.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: (?i)(ended|did not run)
"""
# %% kv_cache_bytes
import os
import resource

try:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
except (OSError, ValueError):
    pass
os.abort()
