"""Answers with a partial, a cached function, a lambda and an object that can be called.

score: kv_bytes_per_token=3 kv_cache_bytes=3 tokens_processed=3 cache_work_ratio=2
note: -
"""
# %% kv_bytes_per_token
import functools

def general(factor, config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return int(factor * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)

kv_bytes_per_token = functools.partial(general, 2)
# %% kv_cache_bytes
@functools.lru_cache
def kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per):
    for count in (batch, layers, tokens, kv_heads, head_dim):
        if count < 0:
            raise ValueError(f"a count cannot be negative, got {count}")
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return math.ceil(2 * batch * layers * tokens * kv_heads * head_dim * bytes_per)
# %% tokens_processed
class Counter:
    def __call__(self, prompt, new, cached):
        if prompt < 1 or new < 0:
            raise ValueError(f"no request with prompt {prompt} and {new} new tokens")
        if not new:
            return 0
        return prompt + new - 1 if cached else new * prompt + new * (new - 1) // 2

tokens_processed = Counter()
# %% cache_work_ratio
def refuse(value):
    raise ValueError(f"got {value}")

cache_work_ratio = lambda prompt, new: refuse(new) if new < 1 else tokens_processed(prompt, new, False) / tokens_processed(prompt, new, True)
