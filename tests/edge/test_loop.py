"""The event loop serves everybody: nothing that one client sends holds it for more than 10 ms, or for as long as what
takes so long on a fast machine.
"""

import asyncio
import contextlib
import gc
import select
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from harness.client import chunked, request
from harness.site import Running, Site
from harness.watch import Watch, limit

LOOPBACK = "127.0.0.1"
MANY = 10_000
TRIES = 6
TAIL = 2000  # bytes in which the last answer is


@pytest.fixture(autouse=True)
def _no_collection() -> Iterator[None]:
    """The garbage of the test suite itself takes longer to collect than the limit."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def talk(running: Running, sent: bytes, enough: Callable[[bytes], bool]) -> bytes:
    """A client in a thread of its own, whose work is not the loop's; it holds the interpreter for little of it."""
    with socket.create_connection(running.gateway.address, timeout=50) as sock:
        got = bytearray()
        sock.setblocking(False)
        view = memoryview(sent)
        while not enough(bytes(got[-TAIL:])):
            select.select([sock], [sock] if view else [], [])
            if view:
                try:
                    view = view[sock.send(view) :]
                except BlockingIOError:
                    pass
                except ConnectionError:
                    view = view[:0]
            try:
                data = sock.recv(1 << 16)
                if not data:
                    break
                got += data
            except BlockingIOError:
                pass
            except ConnectionError:
                break
        return bytes(got)


@pytest.fixture
def upstream_aside() -> Iterator[str]:
    """The url of one that takes chunked bodies, in a thread of its own, whose work is not the loop's."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        thread = threading.Thread(target=_take, args=(listener,))
        thread.start()
        yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _take(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the listener is closed
        while True:
            sock, _ = listener.accept()
            with sock:
                tail = b""
                while data := sock.recv(1 << 18):
                    tail = (tail + data)[-16:]
                    if tail.endswith(b"\r\n0\r\n\r\n"):
                        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


async def _served(running: Running, sent: bytes, enough: Callable[[bytes], bool]) -> bytes:
    """What the gateway answers. A first turn fills caches, and a page fault or an interrupt is not the program's doing:
    what holds the loop holds it each time.
    """
    for _ in range(TRIES):
        before = limit()
        with Watch() as watch:
            got = await asyncio.to_thread(talk, running, sent, enough)
        allowed = max(before, limit())
        if watch.longest < allowed:
            return got
    pytest.fail(f"{TRIES} times: the last turn took {watch.longest * 1e3:.1f} ms, of {allowed * 1e3:.1f}")


async def test_ten_thousand_pipelined_requests_do_not_hold_the_loop(site: Site) -> None:
    """In one write, each of them refused at once: the shortest way from a byte to an answer."""
    running = await site.gateway(await site.upstream())
    sent = b"GET /n HTTP/1.1\r\nHost: a\r\n\r\n" * (MANY - 1) + request("/n", b"Connection: close", host=b"a")
    got = await _served(running, sent, lambda tail: b"connection: close" in tail and tail.endswith(b"}\n"))
    assert got.count(b"HTTP/1.1 404 ") == MANY


async def test_pipelined_requests_to_an_upstream_do_not_hold_the_loop(site: Site) -> None:
    """Each is answered by the upstream before the next goes out."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    many = 500
    sent = request() * (many - 1) + request("/public/x", b"Connection: close")
    got = await _served(running, sent, lambda tail: b"connection: close" in tail and tail.endswith(b"ok"))
    assert got.count(b"HTTP/1.1 200 ") == many


@pytest.mark.parametrize(
    "body", [b"1\r\nx\r\n" * 50_000, chunked(b"x" * 1_000_000)[:-5], b"1;" + b"e" * 10_000], ids=["tiny", "one", "ext"]
)
async def test_chunks_do_not_hold_the_loop(upstream_aside: str, site: Site, body: bytes) -> None:
    """Fifty thousand of one byte each, or a megabyte at once."""
    running = await site.gateway(upstream_aside)
    sent = request("/public/x", b"Transfer-Encoding: chunked", b"Connection: close", method="POST")
    body = body if body.endswith(b"\r\n") else body + b"\r\nx\r\n"
    got = await _served(running, sent + body + b"0\r\n\r\n", lambda tail: tail.endswith(b"ok"))
    assert b"HTTP/1.1 200 " in got


async def test_a_head_of_many_pieces_does_not_hold_the_loop(site: Site) -> None:
    """As large as it may be, a field a byte long."""
    running = await site.gateway(await site.upstream(), listen={"limits": {"fields": 1000, "head": "256KiB"}})
    head = request("/public/x", b"Connection: close", *(b"X-%d: 1" % number for number in range(900)))
    got = await _served(running, head, lambda tail: tail.endswith(b"ok"))
    assert b"HTTP/1.1 200 " in got
