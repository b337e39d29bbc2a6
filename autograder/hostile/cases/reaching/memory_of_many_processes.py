"""Takes 1 GB in each of 12 children, so that a limit on each alone does not help.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: (refused|ended|did not run|held by \d+ children)
bomb: yes
"""
# %% end
import os
import time

children = []
for number in range(12):
    try:
        child = os.fork()
    except OSError:
        print("refused")
        break
    if not child:
        try:
            held = bytearray(os.urandom(1 << 20)) * 1000
            time.sleep(1.5)
            os._exit(0)
        except BaseException:
            os._exit(1)
    children.append(child)
ends = [os.waitpid(child, 0)[1] for child in children]
print("held by", sum(end == 0 for end in ends), "children of", len(ends))
