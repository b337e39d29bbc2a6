"""Empty files without end, and folders in folders.

score: 0
note: (?i)(bigger files|more or bigger|did not run|too long|Timeout|ended|made)
bomb: yes
"""
# %% kv_bytes_per_token
import os

made = 0
try:
    for made in range(200_000):
        open(f"f{made}", "w").close()
except OSError:
    print("made", made)
try:
    for depth in range(5000):
        os.mkdir("d")
        os.chdir("d")
except OSError:
    print("made", depth)
def kv_bytes_per_token(config, bytes_per=2):
    return 1
