"""Turns knobs of Python and NumPy that nobody thinks of: collector, switches, locale, variables, mask of files.

answers: kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %%
import gc, locale, os, signal, sys

gc.disable()
gc.freeze()
sys.setswitchinterval(1e-6)
sys.set_int_max_str_digits(640)
os.umask(0o777)
os.environ.clear()
locale.setlocale(locale.LC_ALL, "C")
np.seterr(all="raise")
np.set_printoptions(threshold=1, precision=0)
signal.signal(signal.SIGINT, signal.SIG_DFL)
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)
