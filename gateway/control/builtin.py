"""Our own application as an upstream: reached over socket pairs, so there is no port and nobody else can connect."""

import asyncio
import socket
from typing import Final

from aiohttp import http_parser, web, web_app

# Above what the edge lets through (design: 8 KiB a field and a target, 100 fields), so that a request which the edge
# has admitted is never refused here in other words. The edge adds five fields of its own.
LINE_LIMIT: Final = 64 * 1024
FIELDS_LIMIT: Final = 256

# The edge closes idle connections first, so that a request never meets a connection that is just being closed.
KEEP_ALIVE: Final = 3600.0


class PureParserError(RuntimeError):
    """aiohttp runs on its parser in Python, which is lenient where ours is strict, and slow."""


def require_c_parser(parser: type[object] = http_parser.HttpRequestParser) -> None:
    """Raises PureParserError unless aiohttp's compiled parser is in use. Call it before anything listens."""
    if parser is http_parser.HttpRequestParserPy:
        raise PureParserError(
            "aiohttp has no compiled HTTP parser here: unset AIOHTTP_NO_EXTENSIONS, or install aiohttp from a wheel "
            "for this Python."
        )


class Builtin:
    """Serves one application on socket pairs. start, then connect as often as connections are wanted, then aclose."""

    def __init__(self, application: web.Application) -> None:
        self._runner = web.AppRunner(
            application,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=KEEP_ALIVE,
            tcp_keepalive=False,
            max_line_size=LINE_LIMIT,
            max_field_size=LINE_LIMIT,
            max_headers=FIELDS_LIMIT,
            auto_decompress=False,
            handler_cancellation=True,
        )

    async def start(self) -> None:
        """Runs the application's own start-up."""
        await self._runner.setup()

    async def connect(self) -> socket.socket:
        """The edge's end of a new connection: non-blocking, for `loop.create_connection(factory, sock=...)`."""
        server = self._runner.server
        if server is None:
            raise RuntimeError("start() comes before connect()")
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            theirs.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(server, ours)
        except BaseException:
            ours.close()
            theirs.close()
            raise
        return theirs

    async def aclose(self) -> None:
        """Lets running handlers end, then closes every connection. Nothing of aiohttp's keeps the application then."""
        await self._runner.cleanup()
        _forget_applications()


def _forget_applications() -> None:
    """aiohttp keeps the last 1,024 handlers that it has put into their middlewares, in a cache of the module, with the
    application of each: one of every reload, and all that hangs on it, a third of a megabyte and more. What is in use
    is put there again by its next request."""
    kept = getattr(web_app, "_cached_build_middleware", None)
    if kept is not None:
        kept.cache_clear()
