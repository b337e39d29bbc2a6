"""Magics, shell lines and a package that cannot be fetched.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: hello from the shell
"""
# %%
%matplotlib inline
%load_ext autoreload
%autoreload 2
%config InlineBackend.figure_format = "svg"
!echo hello from the shell
# %%
%pip install --quiet --no-input a-package-that-cannot-be-fetched
# %% kv_cache_bytes
%time total = sum(range(10))
def kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per):
    for count in (batch, layers, tokens, kv_heads, head_dim):
        if count < 0:
            raise ValueError(f"a count cannot be negative, got {count}")
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return math.ceil(2 * batch * layers * tokens * kv_heads * head_dim * bytes_per)
# %% end
%who
%whos
%history
