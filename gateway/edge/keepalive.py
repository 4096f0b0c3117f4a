"""TCP keep-alive: a peer that vanished without a word is found out, also where nothing is to be sent to it."""

import socket
from typing import Final, Protocol

IDLE_SECONDS: Final = (
    60  # without a byte, before the first probe; the system's own 7200 outlive every firewall's memory
)
PROBE_SECONDS: Final = 10
PROBES: Final = 6


class Socket(Protocol):
    """What a transport shows of its socket."""

    family: int

    def setsockopt(self, level: int, option: int, value: int, /) -> None: ...


def keep_alive(sock: Socket | socket.socket) -> None:
    """For a connection, or for a listening socket, whose connections inherit it."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, _IDLE, IDLE_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)


_IDLE: Final[int] = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE")  # noqa: B009 - macOS
