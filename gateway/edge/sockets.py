"""What is asked of the kernel about a TCP connection, beyond what transports offer."""

import select
import socket
import struct
import sys
from typing import Final, Protocol

IDLE_SECONDS: Final = (
    60  # without a byte before the first probe: the system's own 7200 are longer than firewalls remember
)
PROBE_SECONDS: Final = 10
PROBES: Final = 6
# Bytes of one read. From a socket that fills them libuv reads again, up to 32 times, before it looks at any other: with
# two hundred downloads under way others waited for 1.6 GB. Who pauses after a full read takes turns with them.
READ: Final = 256_000
# Bytes of a read that a request without a body does not fill, and that others wait a tenth of a millisecond for.
LARGE: Final = 32 * 1024


class Socket(Protocol):
    """What a transport shows of its socket."""

    @property
    def family(self) -> int: ...
    def fileno(self) -> int: ...
    def getsockopt(self, level: int, option: int, size: int, /) -> bytes: ...


def keep_alive(sock: Socket) -> None:
    """A peer that vanished without a word is found out, also where nothing is to be sent to it.

    For a connection, or for a listening socket, whose connections inherit it.
    """
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    # uvloop's own would make a socket object for each of them, which takes as long again
    one = socket.socket(sock.family, socket.SOCK_STREAM, 0, sock.fileno())
    try:
        for level, option, value in _KEEP_ALIVE:
            one.setsockopt(level, option, value)
    finally:
        one.detach()


def acknowledged(sock: Socket | None) -> int | None:
    """Bytes that the peer has acknowledged since the connection began (`tcpi_bytes_acked` of TCP_INFO, tcp(7)); None
    where the system does not tell, or it is closed."""
    if sock is None or sys.platform != "linux":
        return None
    try:
        told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED.size + _ACKED_AT)
    except (OSError, ValueError):  # ValueError: it is closed
        return None
    return int(_ACKED.unpack_from(told, _ACKED_AT)[0]) if len(told) == _ACKED.size + _ACKED_AT else None


def is_reset(sock: Socket | None) -> bool:
    """Whether the peer has broken the connection off, as the kernel knows at once (POLLERR and POLLHUP of poll(2))."""
    if sock is None:
        return False
    try:
        number = sock.fileno()
        if number < 0:
            return True
        poll = select.poll()
        poll.register(number, 0)
        return bool(poll.poll(0))
    except (OSError, ValueError):  # it is closed
        return True


_ACKED: Final = struct.Struct("Q")
_ACKED_AT: Final = 120  # bytes into `struct tcp_info`, since Linux 4.1
_TCP_KEEPIDLE: Final[int] = getattr(socket, "TCP_KEEPIDLE", 0x10)  # 0x10 is TCP_KEEPALIVE, its name on macOS
_KEEP_ALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, _TCP_KEEPIDLE, IDLE_SECONDS),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_SECONDS),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES),
)
