"""Leaves shared memory, message queues and semaphores behind, where the next student could find them.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: (shared|refused)
"""
# %%
import ctypes
import os
from multiprocessing import shared_memory

libc = ctypes.CDLL(None, use_errno=True)
try:
    block = shared_memory.SharedMemory(name=HOST_MARK[-20:], create=True, size=1 << 20)
    print("shared", block.name)
except OSError as error:
    print("refused: shared", type(error).__name__)
for path in ("/tmp", "/dev/shm", "/var/tmp"):
    try:
        open(os.path.join(path, HOST_MARK), "w").close()
    except OSError:
        pass
