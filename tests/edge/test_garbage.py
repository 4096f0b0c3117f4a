"""What has ended is gone at once. What waits for the garbage collector makes everybody wait: it walks the heap, and
with some thousand short connections a second it came three times a second, for 5 ms."""

import asyncio
import gc
import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.certificates import Authority
from harness.client import request
from harness.people import api_key
from harness.site import Site, until
from harness.upstream import OK, Line

from gateway.app.gateway import Gateway

from .test_tls import listening
from .test_tunnel import HANDSHAKE, SWITCH

CLOSE = b"Connection: close"
HALF = b"POST /public/x HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf"
ASKS = {
    "closes": request("/public/x", CLOSE),
    "lost": request("/public/lost", CLOSE),
    "no answer": request("/public/bad", CLOSE),
    "malformed": b"GET /public/x HTTP/1.1\r\nHo st: h\r\n\r\n",
    "no end": b"GET /public/x HTTP/1.1\r\nx-filler: " + b"a" * 200_000,
    "no credential": request("/secure/x", CLOSE),
    "unknown": request("/secure/x", b"Authorization: Bearer myc_" + b"A" * 43, CLOSE),
    "no route": request("/nowhere", CLOSE),
    "built-in": request("/api/auth/v1/login", CLOSE, method="POST", body=b"{}"),
    "two hosts": b"GET /public/x HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
    "half a body": HALF,
    "half a second one": request("/public/late") + HALF,
    "tunnel": request("/public/ws", *HANDSHAKE),
}
OURS = ("gateway.", "httptools.", "uvloop.")
STAY = {"tunnel", "answered"}  # it is the client that goes
MUTE = {"half a body", "half a second one"}  # without an answer


@pytest.fixture(autouse=True)
def kept() -> Iterator[None]:
    """What the collector finds once it is told to keep it stays until the end of the test, and no longer."""
    gc.disable()
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


async def script(line: Line) -> None:
    try:
        got = await line.request()
    except EOFError:  # a request of which only half has come
        return
    if got.target == b"/public/ws":
        line.send(SWITCH)
        await line.gone()
    elif got.target == b"/public/late":
        await asyncio.sleep(0.2)
        line.send(OK)
    elif got.target == b"/public/lost":
        line.reset()
    else:
        bad = got.target == b"/public/bad"
        line.send(
            b"nonsense\r\n\r\n" if bad else b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
        )


def ask(address: tuple[str, int], what: bytes, stays: bool, mute: bool, tls: ssl.SSLContext | None) -> None:
    """Until the gateway closes, or has answered. In a thread, so that nothing of asyncio's is a client's."""
    sock = socket.create_connection(address, timeout=30)
    if tls is not None:
        sock = tls.wrap_socket(sock, server_hostname="gateway.test")
    with sock:
        try:
            sock.sendall(what)
            if mute:
                time.sleep(0.1)
            while not mute and sock.recv(65536) and not stays:
                pass
        except ConnectionError:
            pass


async def left_by(
    gateway: Gateway, what: bytes, stays: bool = False, mute: bool = False, tls: ssl.SSLContext | None = None
) -> Counter[str]:
    """The types of what five clients leave behind, after others have made what is made once."""
    for count in (2, 5):
        gc.collect()
        gc.set_debug(gc.DEBUG_SAVEALL if count == 5 else 0)
        for _ in range(count):
            await asyncio.to_thread(ask, gateway.address, what, stays, mute, tls)
        await until(lambda: not gateway.edge.clients)
        await asyncio.sleep(0)
    gc.collect()
    kinds = [type(found) for found in gc.garbage]  # of the rest of the process, too
    return Counter(kind.__qualname__ for kind in kinds if kind.__module__.startswith(OURS))


@pytest.mark.parametrize("kind", [*ASKS, "answered", "known"])
async def test_nothing_is_left_to_the_collector(site: Site, kind: str) -> None:
    running = await site.gateway(await site.upstream(script))
    field = await api_key(running.people)
    what = ASKS.get(kind) or request("/secure/x", field, *([] if kind == "answered" else [CLOSE]))
    assert await left_by(running.gateway, what, kind in STAY, kind in MUTE) == {}


@pytest.mark.parametrize("kind", ["closes", "half a body"])
async def test_nor_with_tls(site: Site, tmp_path: Path, kind: str) -> None:
    authority = Authority(tmp_path)
    running = await site.gateway(await site.upstream(script), listen=listening(authority))
    assert await left_by(running.gateway, ASKS[kind], mute=kind in MUTE, tls=authority.client()) == {}
