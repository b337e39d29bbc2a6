"""An audit hook that refuses what the tester's agent does: compiling, connecting, looking at frames.

score: 0
note: (?i)(ended|did not answer|StudentProcessError|did not run|hooked)
"""
# %% kv_bytes_per_token
import sys

def kv_bytes_per_token(config, bytes_per=2):
    return 5

def hook(event, arguments):
    if event.startswith(("socket.", "sys._getframe", "compile")):
        raise SystemError("hooked")

sys.addaudithook(hook)
