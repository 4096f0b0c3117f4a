"""New connections: one in each turn of the loop."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final

BACKLOG: Final = 4096
REST_SECONDS: Final = 0.1  # after an accept(2) that failed for want of descriptors or memory: the queue keeps who comes


class Acceptor:
    """Accepts on a listening socket. libuv's own server takes all that wait there at once, reads in the next turn what
    they have sent, or answers their handshakes, and for everybody else a turn is as long as the crowd.

    make: the protocol of a connection. handshake: seconds for that of TLS. report: told of what nobody foresaw, and
    once of a lack.
    """

    __slots__ = ("_coming", "_handshake", "_loop", "_make", "_report", "_resting", "_short", "_sock", "_tls")

    def __init__(
        self,
        sock: socket.socket,
        make: Callable[[], asyncio.BaseProtocol],
        tls: ssl.SSLContext | None,
        handshake: float,
        report: Callable[[BaseException], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._make = make
        self._tls = tls
        self._handshake = handshake if tls else None
        self._report = report
        self._coming: set[asyncio.Task[None]] = set()
        self._resting: asyncio.TimerHandle | None = None
        self._short = False
        sock.setblocking(False)
        sock.listen(BACKLOG)
        self._loop.add_reader(sock, self._step)

    async def close(self) -> None:
        """Who waits is let in first: with the socket they would be reset. Returns when those that speak no TLS are."""
        if self._sock.fileno() >= 0:
            if self._resting is not None:
                self._resting.cancel()
            self._loop.remove_reader(self._sock)
            with suppress(OSError):
                for _ in range(BACKLOG):
                    if not self._accept():
                        break
            self._sock.close()
        if self._tls is None:
            await asyncio.gather(*self._coming)

    def _step(self) -> None:
        try:
            self._accept()
        except OSError as error:
            if not self._short:
                self._short = True
                self._report(error)
            self._loop.remove_reader(self._sock)
            self._resting = self._loop.call_later(REST_SECONDS, self._go_on)

    def _go_on(self) -> None:
        self._resting = None
        self._loop.add_reader(self._sock, self._step)

    def _accept(self) -> bool:
        """Whether there was one. Raises OSError for want of descriptors or memory."""
        try:
            sock, _ = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False  # another process was faster, or the client has gone
        self._short = False
        sock.setblocking(False)
        task = self._loop.create_task(self._begin(sock))
        self._coming.add(task)
        task.add_done_callback(self._coming.discard)
        return True

    async def _begin(self, sock: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._make, sock, ssl=self._tls, ssl_handshake_timeout=self._handshake
            )
        except OSError:
            pass  # the client has gone, or speaks no TLS that we know
        except Exception as error:
            sock.close()
            self._report(error)
