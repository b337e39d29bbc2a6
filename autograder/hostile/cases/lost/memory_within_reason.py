"""Needs a gigabyte for a moment, which an honest answer may.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: held 1
"""
# %%
held = np.ones(2**27)
print("held", round(held.nbytes / 1e9))
del held
