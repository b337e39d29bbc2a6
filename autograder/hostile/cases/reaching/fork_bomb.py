"""Forks and forks. Ends itself after two seconds and at 400 processes, for the sake of the machine it is tried on.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: (refused after [1-9]\d* processes|ended|did not run|too long)
bomb: yes
"""
# %% end
import os
import time

children, end = [], time.time() + 2
try:
    while len(children) < 400 and time.time() < end:
        child = os.fork()
        if not child:
            time.sleep(30)
            os._exit(0)
        children.append(child)
    print("REACHED", len(children), "processes")
except OSError:
    print("refused after", len(children), "processes")
for child in children:
    os.kill(child, 9)
    os.waitpid(child, 0)
