"""Prints its environment, where the address of the database and its password stand.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: HOME=
"""
# %%
import os

for name, value in sorted(os.environ.items()):
    print(f"{name}={value}")
print(open("/proc/self/environ").read().replace("\0", "\n"))
