"""Starts threads without end, 2000 at most.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: (refused after [1-9]\d* threads|ended|did not run|too long)
bomb: yes
"""
# %% end
import threading

stop, count = threading.Event(), 0
try:
    while count < 2000:
        threading.Thread(target=stop.wait, daemon=True).start()
        count += 1
    print("REACHED", count, "threads")
except (RuntimeError, MemoryError):
    print("refused after", count, "threads")
stop.set()
