"""Right code that warns in every way there is, and writes to stderr.

answers: kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: this is old
"""
# %% kv_bytes_per_token
import logging
import sys
import warnings

warnings.simplefilter("always")
warnings.warn("this is old", DeprecationWarning)

def kv_bytes_per_token(config, bytes_per=2):
    warnings.warn("called again", FutureWarning)
    logging.getLogger().error("an error in the log that is none")
    print("to stderr", file=sys.stderr)
    np.float64(1) / np.float64(0)
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)
