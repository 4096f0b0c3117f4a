"""An aiohttp server behind the gateway: prints its port, and tells at /told what it has seen since."""

import asyncio
import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

SEEN: list[str] = []
MALFORMED: list[str] = []


class Complaints(logging.Handler):
    """aiohttp logs what it cannot parse, and bodies that break off, each with what it raised."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
            MALFORMED.append(record.getMessage())


async def count(request: web.Request) -> web.Response:
    if request.raw_path == "/told":
        return web.json_response({"seen": SEEN, "malformed": len(MALFORMED)})
    SEEN.append(request.raw_path)
    return web.Response(text=f"{len(await request.read())}\n")


async def serve() -> None:
    logging.getLogger("aiohttp.server").addHandler(Complaints())
    runner = web.ServerRunner(web.Server(count, keepalive_timeout=60))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


asyncio.run(serve())
