"""A TCP listener for an aiohttp application: the admin listener, and the demo's echo upstream."""

import socket
from typing import Final

from aiohttp import web

FIELD_LIMIT: Final = 16 * 1024  # bytes: aiohttp's own 8190 is less than the edge forwards


class Listener:
    """address: (host, port) as bound, known after start. sock: a bound one, in the place of host and port; it is closed
    at the end.
    """

    def __init__(self, application: web.Application, host: str, port: int, sock: socket.socket | None = None) -> None:
        self._runner = web.AppRunner(
            application,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=1.0,
            max_line_size=FIELD_LIMIT,
            max_field_size=FIELD_LIMIT,
        )
        self._host = host
        self._port = port
        self._sock = sock
        self.address: tuple[str, int] = (host, port)

    async def start(self) -> None:
        """Binds; port 0 takes a free one. Raises OSError when the address is taken or not ours."""
        await self._runner.setup()
        try:
            await self._site().start()
        except BaseException:
            await self._runner.cleanup()
            raise
        self.address = self._runner.addresses[0][:2]

    def _site(self) -> web.BaseSite:
        if self._sock is not None:
            return web.SockSite(self._runner, self._sock)
        return web.TCPSite(self._runner, self._host, self._port)

    async def aclose(self) -> None:
        """Stops accepting, ends what runs within a second."""
        await self._runner.cleanup()
