"""What is asked of the kernel about a TCP connection, beyond what transports offer."""

import fcntl
import select
import socket
import struct
import termios
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
    def setsockopt(self, level: int, option: int, value: int, /) -> None: ...


def keep_alive(sock: Socket) -> None:
    """A peer that vanished without a word is found out, also where nothing is to be sent to it.

    For a connection, or for a listening socket, whose connections inherit it.
    """
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_KEEPIDLE, IDLE_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)


def unsent(sock: Socket | None) -> int:
    """Bytes that the kernel holds and the peer has not acknowledged (SIOCOUTQ of tcp(7)); 0 where it does not tell."""
    try:
        return int(_INT.unpack(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(_INT.size)))[0]) if sock else 0
    except (OSError, ValueError):  # ValueError: it is closed
        return 0


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


_INT: Final = struct.Struct("i")
_TCP_KEEPIDLE: Final[int] = getattr(socket, "TCP_KEEPIDLE", 0x10)  # 0x10 is TCP_KEEPALIVE, its name on macOS
