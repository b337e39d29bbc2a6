"""Kills every process that it may, and by name those of the grader.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: (?i)(ended|did not run|too long|timeout)
bomb: yes
"""
# %% kv_cache_bytes
import os
import signal

for number in range(1, 400):
    if number != os.getpid():
        try:
            os.kill(number, signal.SIGKILL)
        except OSError:
            pass
os.kill(-1, signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
