"""Ignores every signal that can be ignored and never returns.

score: kv_bytes_per_token=3
answers: kv_bytes_per_token
note: (?i)(too long|ended|did not run|timeout)
"""
# %% kv_cache_bytes
import signal

for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
while True:
    try:
        time.sleep(3600)
    except BaseException:
        pass
