"""Takes memory until it is refused, 12 GB at most, in steps that are really touched.

score: 0
note: (?i)(refused after|MemoryError|ended|did not run|KeyboardInterrupt|too long)
bomb: yes
"""
# %% kv_bytes_per_token
held = []
try:
    while len(held) < 48:
        held.append(np.ones(2**25))
    print("REACHED", len(held) / 4, "GB")
except MemoryError:
    print("refused after", len(held) / 4, "GB")
held = []
def kv_bytes_per_token(config, bytes_per=2):
    return 7
