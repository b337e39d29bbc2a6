"""Sends datagrams to a port of the host.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: (refused|sent): udp
"""
# %%
import socket

for place in ("127.0.0.1", "10.0.2.2", "255.255.255.255"):
    try:
        door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        door.sendto(HOST_KNOCK, (place, HOST_UDP))
        print("sent: udp", place)
    except OSError as error:
        print("refused: udp", place, type(error).__name__)
