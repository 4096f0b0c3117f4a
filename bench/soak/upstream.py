"""The service behind: it tells each request's own token back. A program: `upstream.py PORT`."""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator

from aiohttp import WSMsgType, web

CHUNK = 16 * 1024
PERIOD = 16_381  # bytes; a prime, so that pieces of no size that somebody reads or writes at once look alike
EVENT_SECONDS = 0.02  # between two events of a stream
PROTOCOL = "soak"


def pattern(token: str, size: int) -> bytes:
    """So many bytes that are those of one token alone, and show where they are cut or swapped."""
    digests = (hashlib.sha256(f"{token}{number}".encode()).digest() for number in range(PERIOD // 32 + 1))
    line = b"".join(digests)[:PERIOD]
    return (line * (size // PERIOD + 1))[:size]


async def echo(request: web.Request) -> web.Response:
    body = await request.read()
    return web.json_response(
        {
            "token": request.match_info["token"],
            "email": request.headers.get("x-mycelium-email"),
            "profile": "x-mycelium-profile" in request.headers,
            "sha256": hashlib.sha256(body).hexdigest(),
        }
    )


async def counted(request: web.Request) -> web.Response:
    return web.Response(body=pattern(request.match_info["token"], int(request.match_info["size"])))


async def chunked(request: web.Request) -> web.Response:
    async def parts() -> AsyncIterator[bytes]:
        body = pattern(request.match_info["token"], int(request.match_info["size"]))
        for start in range(0, len(body), CHUNK):
            yield body[start : start + CHUNK]

    return web.Response(body=parts())


async def events(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for number in range(int(request.match_info["count"])):
        await response.write(f"id: {number}\ndata: {request.match_info['token']}\n\n".encode())
        await asyncio.sleep(EVENT_SECONDS)
    return response


async def websocket(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=(PROTOCOL,), max_msg_size=0)
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


async def serve(port: int) -> None:
    application = web.Application(client_max_size=1 << 30)
    application.router.add_route("*", "/echo/{token}", echo)
    application.router.add_get("/counted/{token}/{size}", counted)
    application.router.add_get("/chunked/{token}/{size}", chunked)
    application.router.add_get("/events/{token}/{count}", events)
    application.router.add_get("/websocket", websocket)
    runner = web.AppRunner(application, access_log=None, max_field_size=16384, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
