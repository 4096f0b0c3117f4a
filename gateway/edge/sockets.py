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
# Bytes that the kernel holds of what is not on its way yet (TCP_NOTSENT_LOWAT); what is, the windows bound. One read.
UNSENT: Final = 256 * 1024
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


def tune(sock: Socket) -> None:
    """A peer that vanished without a word is found out, also where nothing is to be sent to it; and the kernel takes
    little more for a peer than what is on its way: who does not read holds up less memory, and fewer reads.

    For a connection, or for a listening socket, whose connections inherit it.
    """
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    # uvloop's own would make a socket object for each of them, which takes as long again
    one = socket.socket(sock.family, socket.SOCK_STREAM, 0, sock.fileno())
    try:
        for level, option, value in _OPTIONS:
            one.setsockopt(level, option, value)
    finally:
        one.detach()


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
_OPTIONS: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, _TCP_KEEPIDLE, IDLE_SECONDS),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_SECONDS),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES),
    (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT),
)
