"""Endpoints and upstreams with connectors of the test's own: what is tried, for how long, and what counts."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest

from gateway.edge.connector import connect_fault, tcp
from gateway.edge.crowd import Crowd, Limits
from gateway.edge.endpoint import Endpoint
from gateway.edge.ledger import Ledger
from gateway.edge.pool import Upstream
from gateway.edge.upstream import UpstreamConnection
from gateway.errors import DependencyFailed
from gateway.pipeline import Aim
from gateway.wire.hops import ResponseNames


class Deaf:
    """Is told, and keeps it. events: (event, endpoint)."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def endpoint_dead(self, endpoint: str, why: str) -> None:
        self.events.append(("dead", endpoint))

    def endpoint_back(self, endpoint: str) -> None:
        self.events.append(("back", endpoint))


Dial = Callable[[], Awaitable[object]]


def endpoint(name: str, dial: Dial, tried: list[str]) -> Endpoint:
    async def connector(_: Endpoint) -> object:
        tried.append(name)
        return await dial()

    return Endpoint(name, Aim(b""), 1, connector, Deaf())  # type: ignore[arg-type]


def standing(closing: bool) -> Dial:
    async def dial() -> object:
        connection = UpstreamConnection(None, ResponseNames())  # type: ignore[arg-type]
        transport = SimpleNamespace(is_closing=lambda: closing, get_write_buffer_size=lambda: 0)
        connection.transport = transport  # type: ignore[assignment]
        return connection

    return dial


def raising(error: OSError) -> Dial:
    async def dial() -> object:
        raise error

    return dial


async def hanging() -> object:
    return await asyncio.get_running_loop().create_future()


async def test_each_endpoint_is_tried_once() -> None:
    """Also one that is let to rest by nobody, and one that closes with its handshake."""
    tried: list[str] = []
    endpoints = [endpoint(name, standing(closing=True), tried) for name in "abc"]
    with pytest.raises(DependencyFailed):
        await Upstream("u", endpoints).connect(endpoints[1], 5.0)
    assert sorted(tried) == ["a", "b", "c"]


async def test_a_connection_that_ends_with_its_handshake_is_a_failure() -> None:
    """Of TLS with client certificates, say: the endpoint would look idle, and be chosen again and again."""
    lone = endpoint("a", standing(closing=True), [])
    with pytest.raises(DependencyFailed):
        await lone.connect(5.0)
    assert (lone.health.failures, lone.outstanding) == (1, 0)


async def test_a_connection_that_stands_does_not_make_an_endpoint_well() -> None:
    """Only an answer does."""
    lone = endpoint("a", standing(closing=False), [])
    lone.failed("")
    await lone.connect(5.0)
    assert lone.health.failures == 1
    lone.answered()
    assert (lone.health.failures, lone.health.retry_at) == (0, 0.0)


async def test_failures_at_once_are_one() -> None:
    """Many connections that die together say no more than one of them does."""
    lone = endpoint("a", hanging, [])
    for _ in range(8):
        lone.failed("")
    assert lone.health.failures == 1


async def test_all_attempts_share_one_deadline() -> None:
    """However many endpoints there are."""
    tried: list[str] = []
    endpoints = [endpoint(name, hanging, tried) for name in "abcd"]
    began = asyncio.get_running_loop().time()
    with pytest.raises(DependencyFailed) as caught:
        await Upstream("u", endpoints).connect(endpoints[0], 2.0)
    assert caught.value.code == "upstream_timeout"
    assert asyncio.get_running_loop().time() - began < 4.0  # with a deadline each it would be 5
    assert len(tried) == 4


async def test_a_connect_that_is_cancelled_leaves_no_count_behind() -> None:
    """At whatever step: a connection that stood for a moment and one that never did."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    lone = Endpoint("a", Aim(b""), 1, tcp(host, port), Deaf())
    loop = asyncio.get_running_loop()
    for turns in range(8):
        task = loop.create_task(lone.connect(5.0))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled() and task.exception() is None:
            task.result().release(False, 0.0)
    async with asyncio.timeout(10):
        while lone.open:  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0)
    assert (lone.open, lone.outstanding) == (0, 0)
    server.close()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
async def test_our_own_limit_is_no_failure_of_an_endpoint(number: int) -> None:
    """Resting them all would make a short shortage a long one; the next one would fail as well."""
    tried: list[str] = []
    endpoints = [endpoint(name, raising(OSError(number, "")), tried) for name in "ab"]
    with pytest.raises(DependencyFailed) as caught:
        await Upstream("u", endpoints).connect(endpoints[0], 5.0)
    assert (caught.value.code, tried, endpoints[0].health.failures) == ("overloaded", ["a"], 0)


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (TimeoutError(), "upstream_timeout", "in time"),
        (ConnectionRefusedError(errno.ECONNREFUSED, ""), "upstream_unreachable", "refused"),
        (ConnectionResetError(errno.ECONNRESET, ""), "upstream_unreachable", "reset"),
        (OSError(errno.EHOSTUNREACH, ""), "upstream_unreachable", "host cannot"),
        (OSError(errno.ENETUNREACH, ""), "upstream_unreachable", "network cannot"),
        (socket.gaierror(socket.EAI_NONAME, ""), "upstream_unreachable", "name"),
        (ssl.SSLCertVerificationError(1, ""), "upstream_unreachable", "certificate"),
        (ssl.SSLError(1, ""), "upstream_unreachable", "handshake"),
        (OSError("Multiple exceptions"), "upstream_unreachable", "not made"),
        (OSError(errno.EMFILE, ""), "overloaded", "file descriptor"),
    ],
)
def test_a_connect_error_says_what_it_was(error: OSError, code: str, word: str) -> None:
    """Each by its name."""
    fault = connect_fault(error)
    assert fault.code == code
    assert word in fault.detail


async def test_connects_are_counted_by_what_came_of_them() -> None:
    """Each try: two that fail, and the one that stands."""
    refused = raising(OSError(errno.ECONNREFUSED, "refused"))
    dials = {"a": refused, "b": refused, "c": standing(closing=False)}
    upstream = Upstream("u", [endpoint(name, dial, []) for name, dial in dials.items()])
    await upstream.connect(upstream.endpoints[0], 5.0)
    assert (upstream.counters.connects, upstream.counters.failed_connects) in [(1, 1), (1, 2)]
    assert upstream.usage() == {"busy": 1, "idle": 0, "connecting": 0}
    assert upstream.in_flight == 1


async def test_a_connection_in_the_making_is_in_flight() -> None:
    """A request waits for it."""
    upstream = Upstream("u", [endpoint("a", hanging, [])])
    task = asyncio.create_task(upstream.connect(upstream.endpoints[0], 5.0))
    await asyncio.sleep(0)
    assert (upstream.usage(), upstream.in_flight) == ({"busy": 0, "idle": 0, "connecting": 1}, 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (upstream.usage(), upstream.in_flight) == ({"busy": 0, "idle": 0, "connecting": 0}, 0)


def crowded(dial: Dial) -> tuple[Upstream, Endpoint]:
    """One endpoint, and one connection at a time."""
    lone, ledger = endpoint("a", dial, []), Ledger()
    return Upstream("u", [lone], ledger=ledger, crowd=Crowd(Limits(connections=1), ledger)), lone


async def turns(count: int = 8) -> None:
    """Of the loop: for tasks that have nothing to wait for."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_connect_that_fails_makes_room() -> None:
    """Those who waited for its end dial themselves; they do not wait until their time is over."""
    fail, stand = asyncio.Event(), standing(closing=False)
    dialed = 0

    async def dial() -> object:
        nonlocal dialed
        dialed += 1
        if dialed == 1:
            await fail.wait()
            raise ConnectionRefusedError(errno.ECONNREFUSED, "")
        return await stand()

    upstream, lone = crowded(dial)
    first, second = (asyncio.create_task(upstream.connect(lone, 5.0)) for _ in range(2))
    await turns()
    assert (dialed, len(upstream.ledger.queue)) == (1, 1)
    fail.set()
    with pytest.raises(DependencyFailed):
        await first
    await turns()
    assert second.done()
    assert (await second).counted
    assert (upstream.ledger.waiting, upstream.ledger.dialing, len(upstream.ledger.queue)) == (0, 0, 0)


async def test_room_for_two_is_used_by_two() -> None:
    """Each who is called says so to the next, though one connection alone was given back."""
    upstream, lone = crowded(standing(closing=False))
    held = await upstream.connect(lone, 5.0)
    tasks = [asyncio.create_task(upstream.connect(lone, 5.0)) for _ in range(3)]
    await turns()
    assert upstream.crowd is not None
    upstream.crowd.limits.connections = 2
    lone.give_back(held, True, 0.0)
    await turns()
    assert [task.done() for task in tasks] == [True, True, False]
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_wait_in_the_queue_takes_nothing_from_the_connect() -> None:
    """Else a well endpoint gets a moment that nobody could connect in, and is blamed for it."""
    loop, began = asyncio.get_running_loop(), 0.0
    stand, dialed = standing(closing=False), 0

    async def dial() -> object:
        nonlocal began, dialed
        dialed += 1
        if dialed == 1:
            return await stand()
        began = loop.time()
        return await hanging()

    upstream, lone = crowded(dial)
    held = await upstream.connect(lone, 1.0)
    waiting = asyncio.create_task(upstream.connect(lone, 1.0))
    await asyncio.sleep(0.3)
    held.transport = SimpleNamespace(is_closing=lambda: True, get_write_buffer_size=lambda: 0)  # type: ignore[assignment]
    lone.give_back(held, False, 0.0)
    lone.lost(held)
    with pytest.raises(DependencyFailed, match="upstream_timeout"):
        await waiting
    assert loop.time() - began > 0.95


async def test_an_idle_connection_is_for_who_waited() -> None:
    """Also after it was given back, and before the one that is called for it has come."""
    upstream, lone = crowded(standing(closing=False))
    held = await upstream.connect(lone, 5.0)
    waiting = asyncio.create_task(upstream.connect(lone, 5.0))
    await turns()
    lone.give_back(held, True, 0.0)
    assert upstream.take(lone) is None
    assert await waiting is held
    lone.give_back(held, True, 0.0)
    assert upstream.take(lone) is held
