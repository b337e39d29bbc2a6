"""Looks names up, by the system's resolver and by a question to public name servers.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: refused: name
"""
# %%
import socket

socket.setdefaulttimeout(1)
for name in ("pypi.org", "example.com"):
    try:
        print("REACHED", name, socket.getaddrinfo(name, 443)[0][4])
    except OSError as error:
        print("refused: name", name, type(error).__name__)
try:
    door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    door.sendto(b"\x12\x34\1\0\0\1\0\0\0\0\0\0\4pypi\3org\0\0\1\0\1", ("1.1.1.1", 53))
    print("REACHED a name server", len(door.recv(512)))
except OSError as error:
    print("refused: name server", type(error).__name__)
