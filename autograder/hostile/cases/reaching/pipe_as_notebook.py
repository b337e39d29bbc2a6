"""The notebook itself is a named pipe.

score: 0
note: (?i)special file|could not be read
"""
# %% build
import os

path.unlink()
os.mkfifo(path)
