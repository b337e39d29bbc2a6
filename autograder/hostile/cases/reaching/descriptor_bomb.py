"""Opens files until there are no descriptors left, and keeps them.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: refused after \d+ files
bomb: yes
"""
# %% end
import os

held = []
try:
    while len(held) < 100_000:
        held.append(os.open("/dev/null", os.O_RDONLY))
    print("REACHED", len(held), "files")
except OSError:
    opened = len(held)
    while held:
        os.close(held.pop())
    print("refused after", opened, "files")
