"""In the Landlock jail, as `sitecustomize`: connecting to a socket of the exchange goes through the warden.

Landlock does not ask who connects to a unix socket, and any user's machine has sockets that would start programs for
him. So the jail refuses `connect`; the warden connects to what lies in the exchange, and hands the connection over.
"""

import os
import socket
import threading

LOCK = threading.Lock()
STOCK_CONNECT = socket.socket.connect


def connect(self, address):
    try:
        return STOCK_CONNECT(self, address)
    except PermissionError:
        if self.family != socket.AF_UNIX or "COURSE_DOOR" not in os.environ:
            raise
    with LOCK, socket.socket(fileno=os.dup(int(os.environ["COURSE_DOOR"]))) as door:
        door.sendall(os.path.basename(os.fsencode(address)))
        _, descriptors, _, _ = socket.recv_fds(door, 1, 1)
    if not descriptors:
        raise ConnectionRefusedError(f"no socket {address} in the exchange")
    os.dup2(descriptors[0], self.fileno(), inheritable=False)
    os.close(descriptors[0])


socket.socket.connect = connect
