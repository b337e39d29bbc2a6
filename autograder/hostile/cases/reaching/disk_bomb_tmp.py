"""Fills /tmp, /dev/shm and /var/tmp, 3 GB at most.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: (refused after|ended|did not run)
bomb: yes
"""
# %% end
import os

block, written = b"x" * (16 << 20), 0
for place in ("/tmp", "/dev/shm", "/var/tmp", "/run", os.environ.get("TMPDIR", "/tmp")):
    try:
        with open(os.path.join(place, HOST_MARK), "wb") as file:
            while written < 3 << 30:
                file.write(block)
                written += len(block)
    except OSError as error:
        print("refused after", written >> 20, "MB", type(error).__name__)
if written >= 3 << 30:
    print("REACHED", written >> 20, "MB")
