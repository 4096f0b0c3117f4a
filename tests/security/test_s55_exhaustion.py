"""S-55: whoever is slow, idle, endless or deaf takes a place for a bounded time and bounded room, and others are served
meanwhile. Here with a few hundred of them; one at a time is in `edge/test_timeouts.py` and `edge/test_bodies.py`.
"""

import asyncio
import hashlib
from collections.abc import Sequence

import pytest
from harness.client import Client, request
from harness.site import Running, Site, until
from harness.upstream import OK, Line, answering

CROWD = 200
MIB = 1 << 20
HEAD_TIME, KEEP_ALIVE, BODY_IDLE, UPSTREAM_TIME = 10.0, 75.0, 30.0, 60.0


async def crowd(site: Site, running: Running, count: int = CROWD) -> Sequence[Client]:
    return [await site.client(running) for _ in range(count)]


def pass_by(running: Running, seconds: float) -> None:
    """On the gateway's clock; deadlines are looked at then."""
    running.hand.rested += seconds
    running.gateway.edge.sweep()


async def served(site: Site, running: Running) -> int:
    """How many of ten others get their answer."""
    client = await site.client(running)
    found = [(await client.ask("/secure/x", running.people.ada.field)).status for _ in range(10)]
    client.close()
    return found.count(200)


async def ended(clients: Sequence[Client]) -> int:
    """How many were closed on."""
    return len([await asyncio.wait_for(client.rest(), 20) for client in clients])


async def test_s55_two_hundred_dripping_heads_end_at_their_time(site: Site) -> None:
    """A byte now and then, each within any silence that is allowed: 408 after ten seconds from the first byte."""
    running = await site.gateway(await site.upstream())
    clients = await crowd(site, running)
    head = request("/public/x", b"X-Slow: 1")
    for at, byte in enumerate(head[:9]):
        for client in clients:
            client.writer.write(bytes((byte,)))
        if at % 3 == 0:
            await clients[-1].writer.drain()
    await until(lambda: len(running.gateway.edge.clients) >= CROWD)
    good = await served(site, running)
    for _ in range(3):  # nine seconds with a byte each three, and then the tenth
        pass_by(running, HEAD_TIME / 3 - 0.2)
        for client in clients:
            client.writer.write(b"x")
    early = len(running.gateway.edge.clients)
    pass_by(running, 2.0)
    answers = [(await asyncio.wait_for(client.answer(), 20)).code for client in clients]
    assert (good, early >= CROWD, set(answers), await ended(clients)) == (10, True, {"head_timeout"}, CROWD)


async def test_s55_two_hundred_bodies_that_stop_end_at_their_time(site: Site) -> None:
    """After thirty seconds of silence; the upstream's connections end with them, and its pool is free again."""

    async def script(line: Line) -> None:
        while True:
            got = await line.head()
            if got.all(b"content-length"):
                await line.gone()
                return
            line.send(OK)

    upstream = await site.upstream(script)
    running = await site.gateway(upstream, upstream={"pool": CROWD + 20})
    clients = await crowd(site, running)
    for client in clients:
        await client.send(request("/public/x", b"Content-Length: 1000", method="POST"), b"begun")
    await until(lambda: len(upstream.lines) >= CROWD)
    good = await served(site, running)
    pass_by(running, BODY_IDLE + 1)
    answers = [(await asyncio.wait_for(client.answer(), 20)).code for client in clients]
    await until(lambda: sum(line.ended.is_set() for line in upstream.lines) >= CROWD)
    assert (good, set(answers), await served(site, running)) == (10, {"body_timeout"}, 10)


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
async def test_s55_three_hundred_idle_sockets_are_closed(site: Site, used: bool) -> None:
    """After the time of keep-alive; until then they keep nobody from being served."""
    running = await site.gateway(await site.upstream())
    clients = await crowd(site, running, 300)
    if used:
        for client in clients:
            await client.ask()
    good = await served(site, running)
    await until(lambda: len(running.gateway.edge.clients) >= 300)
    pass_by(running, KEEP_ALIVE + 1)
    gone = await ended(clients)
    await until(lambda: not running.gateway.edge.clients)
    assert (good, gone, await served(site, running)) == (10, 300, 10)


@pytest.mark.parametrize(("fields", "status"), [(98, 200), (101, 431), (2000, 431)])
async def test_s55_a_head_has_a_hundred_fields(site: Site, fields: int, status: int) -> None:
    """Both sides; thousands are not read to their end, and what follows is no request."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    client = await site.client(running)
    await client.send(request("/public/x", *(b"X-%d: 1" % number for number in range(fields))))
    answer = await client.answer()
    assert (answer.status, len(upstream.requests), await served(site, running)) == (status, int(status == 200), 10)


async def test_s55_a_head_without_end_is_cut_off(site: Site) -> None:
    """One field of megabytes, a target of megabytes, and fields without number: refused before they are all there."""
    running = await site.gateway(await site.upstream())
    begins = (b"GET /public/x HTTP/1.1\r\nHost: a\r\nX: ", b"GET /", b"GET /public/x HTTP/1.1\r\nHost: a\r\n")
    parts = (b"x" * 65536, b"x" * 65536, b"X-Many: 1\r\n" * 6000)
    found = []
    for begin, part in zip(begins, parts, strict=True):
        client, sent = await site.client(running), 0
        try:
            await client.send(begin)
            while sent < 512 * MIB:  # as many as it would take
                await client.send(part)
                sent += len(part)
        except ConnectionError:
            pass
        found.append(sent < 64 * MIB)
    assert (found, await served(site, running)) == ([True] * 3, 10)


async def test_s55_a_body_goes_through_as_it_comes(site: Site) -> None:
    """96 MiB up and down at once, twice what the sockets between may hold, through an upstream that echoes: nothing is
    held back for the whole, every byte arrives, and others are served meanwhile."""
    total, part = 96 * MIB, bytes(range(256)) * 256

    async def script(line: Line) -> None:
        while True:
            got = await line.head()
            size = int((got.all(b"content-length") or [b"0"])[0])
            line.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
            while size:
                data = await line.exactly(min(size, len(part)))
                size -= len(data)
                line.received.clear()
                line.send(data)
                await line.writer.drain()

    running = await site.gateway(await site.upstream(script), route={"limits": {"body": "1GiB"}})
    client = await site.client(running)
    await client.send(request("/public/x", b"Content-Length: %d" % total, method="POST"))

    async def push() -> None:
        for _ in range(total // len(part)):
            await client.send(part)

    pushing, digest = asyncio.create_task(push()), hashlib.sha256()
    head = await client.head()
    for number in range(total // MIB):
        digest.update(await client.exactly(MIB))
        if number == 4:
            meanwhile = (await served(site, running), pushing.done())
    await pushing
    assert (head.status, meanwhile) == (200, (10, False))
    assert digest.hexdigest() == hashlib.sha256(part * (total // len(part))).hexdigest()


ENDLESS = {
    "fields": (b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n" * 1000),
    "a field": (b"HTTP/1.1 200 OK\r\nX-More: ", b"x" * 65536),
    "a reason": (b"HTTP/1.1 200 ", b"x" * 65536),
    "early hints": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 500),
}


@pytest.mark.parametrize("what", ENDLESS)
async def test_s55_an_upstream_that_never_ends_its_head_is_hung_up_on(site: Site, what: str) -> None:
    """It stops only because it is cut off, and its client is told. 64 KiB of head is what it may say; that is more than
    a few hundred early hints, after which a deadline ends it."""
    begin, more = ENDLESS[what]
    cut = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        line.send(begin)
        try:
            while True:
                line.send(more)
                await line.writer.drain()
                await asyncio.sleep(0)
        finally:
            cut.set()

    running = await site.gateway(await site.upstream(script))
    client = await site.client(running)
    await client.send(request("/public/x", method="POST", body=b""))
    raw = await asyncio.wait_for(client.some(), 20)
    reading = asyncio.create_task(client.rest())
    if what == "early hints":
        pass_by(running, UPSTREAM_TIME + 1)
    await asyncio.wait_for(cut.wait(), 20)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert raw.startswith(b"HTTP/1.1 103" if what == "early hints" else b"HTTP/1.1 502")


async def test_s55_clients_that_never_read_are_cut_off(site: Site) -> None:
    """Five, each has asked for 32 MiB. They end after the time of silence, and so do their upstream connections."""
    deaf, cut = 5, list[Line]()

    async def script(line: Line) -> None:
        while True:
            got = await line.request()
            large = got.target.endswith(b"/large")
            line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 33554432\r\n\r\n" + b"x" * (32 * MIB) if large else OK)
            try:
                await line.writer.drain()
            except ConnectionError:
                cut.append(line)
                raise

    upstream = await site.upstream(script)
    running = await site.gateway(upstream)
    for _ in range(deaf):
        client = await site.client(running, receive=4096)
        client.writer.transport.pause_reading()
        await client.send(request("/public/large"))
    await until(lambda: len(upstream.requests) >= deaf)
    good = await served(site, running)

    def all_cut() -> bool:
        """The kernel's buffers are full first, so that what a client takes shows late."""
        pass_by(running, UPSTREAM_TIME + 1)
        return len(cut) == deaf

    await until(all_cut, 20)
    assert (good, await served(site, running)) == (10, 10)


async def test_s55_thousands_of_pipelined_requests_take_their_turn(site: Site) -> None:
    """Thousands in one write are answered one after another, in order, while others are served in between."""
    running = await site.gateway(await site.upstream(answering(OK)))
    client = await site.client(running)
    sending = asyncio.create_task(client.send(request("/public/x") * 3000))
    first = (await client.answer()).status
    good = await served(site, running)
    rest = {(await client.answer()).status for _ in range(2999)}
    await sending
    assert (first, good, rest) == (200, 10, {200})
