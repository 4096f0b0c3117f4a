"""Every wait has an end, and each end its own answer. Deadlines are looked at once per second."""

import asyncio
import contextlib
import socket
import time
from pathlib import Path

import pytest
from harness.certificates import Authority
from harness.client import request
from harness.site import Running, Site, until
from harness.upstream import OK, Line, answering

from gateway.edge.connector import in_process
from gateway.edge.exchange import Exchange
from gateway.routes.model import Timeouts

SOON = 5.0  # seconds: far above the shortest timeouts and the sweep, far below their defaults


def pass_by(running: Running, seconds: float) -> None:
    """On the gateway's clock; deadlines are looked at then."""
    running.hand.rested += seconds
    running.gateway.edge.sweep()


def at_work(running: Running) -> Exchange | None:
    """That of the only client."""
    return next((client.active for client in running.gateway.edge.clients), None)


async def silent(line: Line) -> None:
    await line.head()
    await line.gone()


async def test_a_head_that_does_not_end_is_408(site: Site) -> None:
    """From its first byte, and however slowly more of it comes."""
    running = await site.gateway(await site.upstream(), listen={"timeouts": {"head": "100ms"}})
    client = await site.client(running)
    await client.send(request()[:-2])
    answer = await asyncio.wait_for(client.answer(), SOON)
    assert (answer.status, answer.code, answer.one(b"connection")) == (408, "head_timeout", b"close")
    assert await client.rest() == b""


async def test_a_trickled_head_gets_no_more_time(site: Site) -> None:
    """The whole head has to come in time: a byte now and then does not help (slowloris)."""
    running = await site.gateway(await site.upstream(), listen={"timeouts": {"head": "100ms"}})
    client = await site.client(running)

    async def trickle() -> None:
        for byte in request("/public/" + "x" * 1000)[:-1]:
            await client.send(bytes((byte,)))
            await asyncio.sleep(0.01)

    task = asyncio.create_task(trickle())
    try:
        assert (await asyncio.wait_for(client.answer(), SOON)).code == "head_timeout"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("before", [False, True], ids=["fresh", "used"])
async def test_an_idle_connection_is_closed(site: Site, before: bool) -> None:
    """Without a word, whether or not it has served a request."""
    running = await site.gateway(await site.upstream(), listen={"timeouts": {"keep_alive": "100ms"}})
    client = await site.client(running)
    if before:
        await client.ask()
    assert await asyncio.wait_for(client.rest(), SOON) == b""


async def test_a_body_that_stops_is_408(site: Site) -> None:
    """The upstream's connection ends with it: the part must not be taken for the whole."""
    upstream = await site.upstream(silent)
    running = await site.gateway(upstream, listen={"timeouts": {"body_idle": "100ms"}})
    client = await site.client(running)
    await client.send(request("/public/x", b"Content-Length: 10", method="POST"), b"hello")
    answer = await asyncio.wait_for(client.answer(), SOON)
    assert (answer.status, answer.code) == (408, "body_timeout")
    await asyncio.wait_for(upstream.lines[0].ended.wait(), SOON)


async def test_a_body_that_goes_on_is_not_timed_out(site: Site) -> None:
    """The limit is for silence, not for the whole: parts over two of its lengths."""
    running = await site.gateway(await site.upstream(), listen={"timeouts": {"body_idle": "1h"}})
    client = await site.client(running)
    await client.send(request("/public/x", b"Content-Length: 3", method="POST"))
    for count in range(3):
        await until(lambda count=count: (active := at_work(running)) is not None and active.bytes_in == count)
        pass_by(running, 2400)
        await client.send(b"x")
    assert (await client.answer()).status == 200


async def test_an_upstream_that_says_nothing_is_504(site: Site) -> None:
    """The client's connection lives, the upstream's does not."""
    upstream = await site.upstream(silent)
    running = await site.gateway(upstream, route={"timeouts": {"first_byte": "10ms"}})
    client = await site.client(running)
    answer = await asyncio.wait_for(client.ask(), SOON)
    assert (answer.status, answer.code, answer.all(b"connection")) == (504, "upstream_timeout", [])
    await asyncio.wait_for(upstream.lines[0].ended.wait(), SOON)


async def test_an_upstream_that_stops_in_its_answer_cuts_the_client(site: Site) -> None:
    """After the head there is no other way to say it."""

    async def script(line: Line) -> None:
        await line.request()
        line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel")
        await line.gone()

    running = await site.gateway(await site.upstream(script), route={"timeouts": {"idle": "10ms"}})
    client = await site.client(running)
    await client.send(request())
    raw = await asyncio.wait_for(client.rest(), SOON)
    assert raw.endswith(b"\r\n\r\nhel")


async def test_a_client_that_does_not_read_is_cut(site: Site) -> None:
    """While its answer waits, so does the upstream; neither waits for ever."""
    upstream = await site.upstream(
        answering(b"HTTP/1.1 200 OK\r\ncontent-length: 33554432\r\n\r\n" + b"x" * (32 << 20))
    )
    running = await site.gateway(upstream, route={"timeouts": {"idle": "1s"}})
    client = await site.client(running, receive=4096)
    client.writer.transport.pause_reading()
    await client.send(request())
    line = await upstream.line()
    await asyncio.wait_for(line.ended.wait(), 3 * SOON)
    assert [told["reason"] for told in await running.lines()] == ["client_gone"]


async def test_a_client_that_reads_slowly_is_not_cut(site: Site) -> None:
    """What it takes comes out of the kernel's buffer for a long time before it shows in the gateway's."""
    upstream = await site.upstream(
        answering(b"HTTP/1.1 200 OK\r\ncontent-length: 33554432\r\n\r\n" + b"x" * (32 << 20))
    )
    running = await site.gateway(upstream, route={"timeouts": {"idle": "1s"}})
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, running.gateway.address)
        await loop.sock_sendall(sock, request())
        end = loop.time() + 6.5  # three times that a deadline is over, at least
        while loop.time() < end:
            assert await loop.sock_recv(sock, 8192)
            await asyncio.sleep(0.05)
        assert running.gateway.edge.clients


async def test_an_upstream_that_does_not_accept_is_504(site: Site) -> None:
    """Its queue of connections is full, so that the handshake does not end; keep-alive is shorter and no matter."""
    deaf = socket.socket()
    deaf.bind(("127.0.0.1", 0))
    deaf.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    try:
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        running = await site.gateway(
            f"http://127.0.0.1:{deaf.getsockname()[1]}",
            route={"timeouts": {"connect": "2500ms"}},
            listen={"timeouts": {"keep_alive": "100ms", "head": "100ms"}},
        )
        client = await site.client(running)
        answer = await asyncio.wait_for(client.ask(), 2 * SOON)
        assert (answer.status, answer.code) == (504, "upstream_timeout")
    finally:
        for filler in (*fillers, deaf):
            filler.close()


async def test_a_refused_client_that_does_not_close_is_closed(site: Site) -> None:
    """The gateway reads on for a second, so that the refusal is not destroyed by a reset, and no longer."""
    running = await site.gateway(await site.upstream())
    client = await site.client(running)
    await client.send(b"nonsense\r\n\r\n")
    await client.answer()
    await until(lambda: not running.gateway.edge.clients)


async def test_a_refused_client_that_sends_on_is_closed(site: Site) -> None:
    """After 64 KiB no more of it is read, and after a second its connection ends; the refusal arrives all the same."""
    running = await site.gateway(await site.upstream())
    client = await site.client(running)
    client.writer.transport.set_write_buffer_limits(high=0)
    client.writer.write(b"nonsense\r\n\r\n" + b"x" * (64 << 20))
    assert (await asyncio.wait_for(client.answer(), SOON)).status == 400
    await until(lambda: not running.gateway.edge.clients)


async def test_an_upstream_that_answers_in_time_is_waited_for(site: Site) -> None:
    """Longer than deadlines are looked at, and shorter than `first_byte`."""

    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(line: Line) -> None:
        await line.request()
        asked.set()
        await go.wait()
        line.send(OK)

    running = await site.gateway(await site.upstream(slow), route={"timeouts": {"first_byte": "1h"}})
    client = await site.client(running)
    await client.send(request())
    await asked.wait()
    pass_by(running, 3000)
    go.set()
    assert (await client.answer()).status == 200


async def test_a_head_that_trickles_in_is_not_an_answer(site: Site) -> None:
    """`first_byte` is for the whole head: a byte now and then does not prolong it."""

    async def trickling(line: Line) -> None:
        await line.request()
        with contextlib.suppress(ConnectionError):
            for byte in b"HTTP/1.1 200 OK\r\nx-y: " + b"z" * 10_000:
                line.send(bytes((byte,)))
                await asyncio.sleep(0.01)

    running = await site.gateway(await site.upstream(trickling), route={"timeouts": {"first_byte": "100ms"}})
    answer = await asyncio.wait_for((await site.client(running)).ask(), 2 * SOON)
    assert (answer.status, answer.code) == (504, "upstream_timeout")


async def test_an_answer_that_goes_on_is_not_cut(site: Site) -> None:
    """`idle` is for silence, not for the whole: parts over two of its lengths."""
    go = asyncio.Semaphore(0)

    async def steady(line: Line) -> None:
        await line.request()
        line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nx")
        for _ in range(3):
            await go.acquire()
            line.send(b"x")

    running = await site.gateway(await site.upstream(steady), route={"timeouts": {"idle": "1h"}})
    client = await site.client(running)
    await client.send(request())
    for count in (1, 2, 3):
        await until(lambda count=count: (active := at_work(running)) is not None and active.bytes_out == count)
        pass_by(running, 2400)
        go.release()
    assert (await client.answer()).body == b"xxxx"


@pytest.mark.parametrize(("after", "status"), [(0.2, 200), (30.0, 504)])
async def test_a_handshake_has_the_time_of_a_connect(site: Site, tmp_path: Path, after: float, status: int) -> None:
    """TLS is a part of it: one that ends within `connect` is waited for, one that does not is not."""
    authority = Authority(tmp_path)
    server = await site.upstream(tls=authority.server("127.0.0.1"))

    async def late(line: Line) -> None:
        """Passes bytes on to the server, after a while."""
        await asyncio.sleep(after)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

        async def back() -> None:
            while data := await reader.read(65536):
                line.send(data)

        task = asyncio.create_task(back())
        try:
            while data := await line.more():
                writer.write(data)
        finally:
            task.cancel()
            writer.close()

    relay = await site.upstream(late)
    running = await site.gateway(
        f"https://127.0.0.1:{relay.port}",
        upstream={"tls": {"ca": str(authority.ca)}},
        route={"timeouts": {"connect": "5s" if status == 200 else "200ms"}},
    )
    answer = await asyncio.wait_for((await site.client(running)).ask(), 20)
    assert answer.status == status


async def test_a_loop_that_is_busy_is_no_failed_connection_to_ourselves(site: Site) -> None:
    """It holds a request to our own endpoints up for longer than an upstream may take to be connected to."""
    running = await site.gateway(await site.upstream())
    lanes = running.gateway.edge.generation.lanes
    own = next(lane.upstream for route, lane in lanes.items() if route.path == "/.well-known/jwks.json")
    assert own is not None

    async def late() -> socket.socket:
        time.sleep(Timeouts().connect + 0.2)  # noqa: ASYNC251 - nothing else runs meanwhile
        await asyncio.sleep(0)
        return await running.gateway.core.builtin.connect()

    own.endpoints[0]._connector = in_process(late)
    answer = await (await site.client(running)).ask("/.well-known/jwks.json")
    assert (answer.status, running.log.errors) == (200, [])
