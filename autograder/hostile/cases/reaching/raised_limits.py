"""Raises the limits that were put on it.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: refused: limit
bomb: yes
"""
# %%
import resource

for name in ("RLIMIT_AS", "RLIMIT_NPROC", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_CPU"):
    kind = getattr(resource, name)
    soft, hard = resource.getrlimit(kind)
    if hard == resource.RLIM_INFINITY:
        print("no limit:", name)
        continue
    try:
        resource.setrlimit(kind, (hard + 1000, hard + 1000))
        print("REACHED", name)
    except (OSError, ValueError) as error:
        print("refused: limit", name, type(error).__name__)
