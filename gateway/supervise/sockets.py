"""The listening sockets of several workers: one each, on one address, held by the supervisor as long as it lives.

The kernel spreads connections over them (SO_REUSEPORT). A socket that is closed with its worker resets what is queued
on it (51 of 100 connections, seen); one that the supervisor holds keeps the queue for the next worker.
"""

import socket
from typing import Final

BACKLOG: Final = 4096  # as of a single process


def bind_all(host: str, port: int, count: int) -> list[socket.socket]:
    """count sockets that listen; what connects waits for a worker. Raises OSError when somebody listens there already.

    With SO_REUSEPORT alone, a second gateway of the same user would share the connections, and nobody would notice: the
    first socket listens without it, which only one of all can do, and then lets the others in.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    made: list[socket.socket] = []
    try:
        for _ in range(count):
            sock = socket.socket(family, kind, protocol)
            made.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if len(made) > 1:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(made[0].getsockname()) if len(made) > 1 else sock.bind(address)
            sock.listen(BACKLOG)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.setblocking(False)
    except BaseException:
        for sock in made:
            sock.close()
        raise
    return made
