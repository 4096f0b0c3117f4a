"""What a service manager is told and hands over: sd_notify(3), sd_listen_fds(3). Nothing without its variables."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Final

FIRST: Final = 3  # SD_LISTEN_FDS_START

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"


class Notify:
    """Messages for the service manager. environ: NOTIFY_SOCKET and WATCHDOG_USEC are read once."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "").replace("@", "\0", 1)
        ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._watched = int(environ.get("WATCHDOG_USEC", "0")) / 1e6 if ours else 0.0

    def tell(self, *lines: str) -> None:
        """A manager that does not listen is not a fault."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            pass

    def reloading(self) -> None:
        """To be followed by READY. The time is what `Type=notify-reload` goes by."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    async def watch(self, well: Callable[[], bool] = lambda: True) -> None:
        """Says that the event loop turns, twice as often as is asked for. Returns at once where nobody asks.

        well: asked each time; while it is not, nothing is said.
        """
        while self._watched:
            if well():
                self.tell("WATCHDOG=1")
            await asyncio.sleep(self._watched / 2)


def activated(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """Sockets that the service manager listens on for this process; what is started from here does not get them."""
    mine = environ.get("LISTEN_PID") == str(os.getpid())
    count = int(environ.get("LISTEN_FDS", "0")) if mine else 0
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(name, None)
    found = [socket.socket(fileno=number) for number in range(FIRST, FIRST + count)]
    for sock in found:
        sock.set_inheritable(False)
        sock.setblocking(False)
    return found
