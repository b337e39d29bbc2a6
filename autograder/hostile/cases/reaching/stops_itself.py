"""Stops its own process with SIGSTOP, which looks like life.

score: kv_bytes_per_token=3
answers: kv_bytes_per_token
note: (?i)(too long|longer than|ended|did not run|timeout)
"""
# %% kv_cache_bytes
import os
import signal

def kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per):
    os.kill(os.getpid(), signal.SIGSTOP)
