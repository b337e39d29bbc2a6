"""Has its cells fail with the very words by which the grader tells of its limits, one for each message.

score: kv_bytes_per_token=3
note: DeadKernelError
unseen: used more memory than|(?s)it stops with an error.*it stops with an error
"""
# %% kv_bytes_per_token
SAW = []
WORD = "".join(["SE", "EN:"])

def kv_bytes_per_token(config, bytes_per=2):
    SAW.append((config.name, config.num_hidden_layers, bytes_per))
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)
# %%
class DeadKernelError(Exception):
    pass

if SAW[-1][1]:
    raise DeadKernelError("It used more memory than it may.")
# %% kv_cache_bytes
def kv_cache_bytes(*arguments, **named):
    return None
