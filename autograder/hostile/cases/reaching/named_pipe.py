"""Hands in a named pipe where a reader would wait for ever, and a socket.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: was set aside: a special file
"""
# %% build
import os
import socket

os.mkfifo(folder / "data.txt")
os.mkfifo(folder / "timestamp.txt")
socket.socket(socket.AF_UNIX).bind(str(folder / "s"))
