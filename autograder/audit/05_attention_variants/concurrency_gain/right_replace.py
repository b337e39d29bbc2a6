"""Replaces the KV heads in the spec and asks the engine's accounting."""
import dataclasses
from mini_engine.accounting import concurrent_users
def concurrency_gain(config, n_kv_heads, free_bytes, context):
    if n_kv_heads < 1 or context < 1:
        raise ValueError(f"n_kv_heads={n_kv_heads}, context={context}")
    grouped, plain = (dataclasses.replace(config, num_key_value_heads=n) for n in (n_kv_heads, config.num_attention_heads))
    most, least = (concurrent_users(spec, free_bytes, context, 2) for spec in (grouped, plain))
    if least == 0:
        raise ValueError(f"free_bytes={free_bytes} hold no request")
    return most / least
