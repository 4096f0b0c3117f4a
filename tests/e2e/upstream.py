"""An aiohttp server as a service behind the gateway. A program: `upstream.py FOLDER [PORT]` prints its port and serves.

Its static file and every body are the same bytes each time: `pattern`.
"""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import WSMsgType, web

CHUNK = 64 * 1024


def pattern(size: int) -> bytes:
    """So many bytes that show where they are cut, doubled or swapped."""
    line = b"".join(b"%07d\n" % number for number in range(CHUNK // 8))
    return (line * (size // CHUNK + 1))[:size]


async def echo(request: web.Request) -> web.Response:
    body = await request.read()
    return web.json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.raw_headers],
            "length": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
            "port": request.transport.get_extra_info("peername")[1] if request.transport else None,
        }
    )


async def counted(request: web.Request) -> web.Response:
    return web.Response(body=pattern(int(request.match_info["size"])))


async def chunked(request: web.Request) -> web.StreamResponse:
    async def parts() -> AsyncIterator[bytes]:
        body = pattern(int(request.match_info["size"]))
        for start in range(0, len(body), CHUNK):
            yield body[start : start + CHUNK]

    return web.Response(body=parts())


async def held(request: web.Request) -> web.StreamResponse:
    """Half an answer, and the other half once it is released by its name; so a test decides what happens in between."""
    response = web.StreamResponse()
    response.content_length = 10
    await response.prepare(request)
    await response.write(b"first")
    await request.app[RELEASED].setdefault(request.match_info["name"], asyncio.Event()).wait()
    await response.write(b"last.")
    return response


async def release(request: web.Request) -> web.Response:
    request.app[RELEASED].setdefault(request.match_info["name"], asyncio.Event()).set()
    return web.Response()


async def broken(request: web.Request) -> web.StreamResponse:
    """Half an answer, then a cut."""
    response = web.StreamResponse()
    response.content_length = 10
    await response.prepare(request)
    await response.write(b"first")
    assert request.transport is not None
    request.transport.abort()
    return response


async def websocket(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(max_msg_size=0)
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


RELEASED = web.AppKey("released", dict[str, asyncio.Event])


def build(folder: Path) -> web.Application:
    application = web.Application(client_max_size=1 << 30)
    application[RELEASED] = {}
    application.router.add_route("*", "/echo", echo)
    application.router.add_get("/counted/{size}", counted)
    application.router.add_get("/chunked/{size}", chunked)
    application.router.add_get("/held/{name}", held)
    application.router.add_get("/release/{name}", release)
    application.router.add_get("/broken", broken)
    application.router.add_get("/websocket", websocket)
    application.router.add_static("/static", folder)
    return application


async def serve(folder: Path, port: int) -> None:
    runner = web.AppRunner(build(folder), access_log=None, max_field_size=16384, max_line_size=16384)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
