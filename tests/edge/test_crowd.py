"""How much an upstream is given at a time: what is beyond is refused with 503, at once or when it has waited."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from harness.client import Client, chunked, request
from harness.site import Running, Site, until
from harness.upstream import OK, Line, Upstream

from .test_tunnel import HANDSHAKE, SWITCH


@pytest.fixture(autouse=True)
def refusals(site: Site) -> None:
    """They are told as an error of the gateway."""
    site.expected_errors = True


def held(release: asyncio.Event) -> Callable[[Line], Awaitable[None]]:
    """Answers when it is told to."""

    async def script(line: Line) -> None:
        while True:
            await line.request()
            await release.wait()
            line.send(OK)

    return script


async def asking(site: Site, running: Running, count: int) -> list[Client]:
    clients = [await site.client(running) for _ in range(count)]
    for client in clients:
        await client.send(request())
    return clients


async def busy(running: Running) -> dict[str, int]:
    counts = running.gateway.core.upstreams["u"].ledger.busy
    return {limit: count for limit, count in counts.items() if count}


async def test_requests_beyond_the_limit_are_refused(site: Site) -> None:
    """Two under way, the third is told when to come again; when one is over, there is room."""
    release = asyncio.Event()
    upstream = await site.upstream(held(release))
    running = await site.gateway(upstream, upstream={"limits": {"requests": 2}})
    clients = await asking(site, running, 2)
    await upstream.got(2)
    third = await site.client(running)
    answer = await third.ask()
    assert (answer.status, answer.code, answer.one(b"retry-after")) == (503, "upstream_busy", b"1")
    release.set()
    assert [(await client.answer()).status for client in clients] == [200, 200]
    assert (await third.ask()).status == 200
    assert await busy(running) == {"requests": 1}


async def test_a_burst_is_counted_before_it_has_connections(site: Site) -> None:
    """Twenty requests are there at once, and none of them has a connection: one passes."""
    release = asyncio.Event()
    upstream = await site.upstream(held(release))
    running = await site.gateway(upstream, upstream={"limits": {"requests": 1}})
    clients = [await site.client(running) for _ in range(20)]
    for client in clients:
        client.writer.write(request())
    answers = [asyncio.create_task(client.answer()) for client in clients]
    await until(lambda: sum(not task.done() for task in answers) <= 1)
    release.set()
    assert sorted([(await task).status for task in answers]) == [200] + [503] * 19
    assert len(upstream.requests) == 1
    assert await busy(running) == {"requests": 19}


@pytest.mark.parametrize("end", ["refused", "closed", "garbage", "silence", "client gone", "tunnel", "too large"])
async def test_whatever_ends_a_request_makes_room_for_the_next(site: Site, end: str) -> None:
    """The only one that may be under way: however it ended, it counts no more."""

    async def script(line: Line) -> None:
        await line.head()
        if end == "tunnel":
            line.send(SWITCH)
            await line.writer.drain()
        elif end == "garbage":
            line.send(b"nonsense\r\n\r\n")
        elif end in ("silence", "client gone", "too large"):
            await line.gone()

    upstream = await site.upstream(script)
    target = "http://127.0.0.1:1" if end == "refused" else upstream
    route = {"timeouts": {"first_byte": "10ms" if end == "silence" else "60s"}, "limits": {"body": "1KiB"}}
    running = await site.gateway(target, upstream={"limits": {"requests": 1}}, route=route)
    ledger = running.gateway.core.upstreams["u"].ledger
    for _ in range(3):
        client = await site.client(running)
        if end == "tunnel":
            await client.send(request("/public/x", *HANDSHAKE))
            assert (await client.head()).status == 101
        elif end == "too large":
            await client.send(request("/public/x", b"Transfer-Encoding: chunked", method="POST"))
            await until(lambda: ledger.under_way == 1)
            await client.send(chunked(b"x" * 2000))
            assert (await client.answer()).code == "body_too_large"
        elif end == "client gone":
            await client.send(request())
            await until(lambda: ledger.under_way == 1)
            client.reset()
        else:
            assert (await client.ask()).code != "upstream_busy"
        await until(lambda: ledger.under_way == 0)
        await until(lambda: not running.gateway.core.upstreams["u"].in_flight)
    assert await busy(running) == {}


async def test_requests_wait_for_a_connection_in_the_order_they_came(site: Site) -> None:
    """One connection is all there is, and all of them are answered on it."""
    order: list[bytes] = []

    async def script(line: Line) -> None:
        while True:
            order.append((await line.request()).target)
            line.send(OK)

    upstream = await site.upstream(script)
    running = await site.gateway(upstream, upstream={"limits": {"connections": 1}})
    clients = [await site.client(running) for _ in range(5)]
    waiting = [asyncio.create_task(client.ask(f"/public/{place}")) for place, client in enumerate(clients)]
    assert [(await task).status for task in waiting] == [200] * 5
    assert len(upstream.lines) == 1
    assert sorted(order) == [b"/public/%d" % place for place in range(5)]


async def test_a_wait_for_a_connection_ends(site: Site) -> None:
    """With the time that a connect may take."""
    release = asyncio.Event()
    upstream = await site.upstream(held(release))
    running = await site.gateway(
        upstream, upstream={"limits": {"connections": 1}}, route={"timeouts": {"connect": "100ms"}}
    )
    (client,) = await asking(site, running, 1)
    await upstream.got()
    answer = await (await site.client(running)).ask()
    assert (answer.status, answer.code) == (503, "upstream_busy")
    release.set()
    assert (await client.answer()).status == 200
    assert (await busy(running), len(upstream.lines)) == ({"connections": 1}, 1)


async def test_no_more_requests_wait_than_said(site: Site) -> None:
    """One has the connection, one waits, the next is refused at once."""
    release = asyncio.Event()
    upstream = await site.upstream(held(release))
    running = await site.gateway(upstream, upstream={"limits": {"connections": 1, "pending": 1}})
    first = await asking(site, running, 1)
    await upstream.got()
    second = await asking(site, running, 1)
    await until(lambda: running.gateway.core.upstreams["u"].ledger.waiting == 1)
    answer = await asyncio.wait_for((await site.client(running)).ask(), 2)
    assert (answer.status, answer.code) == (503, "upstream_busy")
    release.set()
    assert [(await client.answer()).status for client in (*first, *second)] == [200, 200]
    assert await busy(running) == {"pending": 1}


async def test_one_that_leaves_the_queue_holds_nobody_up(site: Site) -> None:
    """Its place goes to the next one."""
    release = asyncio.Event()
    upstream = await site.upstream(held(release))
    running = await site.gateway(upstream, upstream={"limits": {"connections": 1}})
    first, second, third = await asking(site, running, 1), *[await asking(site, running, 1) for _ in range(2)]
    ledger = running.gateway.core.upstreams["u"].ledger
    await until(lambda: ledger.waiting == 2)
    second[0].reset()
    await until(lambda: ledger.waiting == 1)
    release.set()
    assert [(await client.answer()).status for client in (*first, *third)] == [200, 200]
    assert (ledger.waiting, ledger.dialing, len(ledger.queue)) == (0, 0, 0)


async def test_newcomers_do_not_pass_one_that_waits(site: Site) -> None:
    """Of a client that sends one request after the other, the next comes at the very moment that the connection is
    free: who waited for it has it first."""
    release, order = asyncio.Event(), list[bytes]()

    async def script(line: Line) -> None:
        while True:
            order.append((await line.request()).target)
            await release.wait()
            line.send(OK)

    upstream = await site.upstream(script)
    running = await site.gateway(upstream, upstream={"limits": {"connections": 1}})
    eager, patient = await site.client(running), await site.client(running)
    await eager.send(request("/public/eager") * 20)
    await upstream.got()
    await patient.send(request("/public/patient"))
    await until(lambda: running.gateway.core.upstreams["u"].ledger.waiting == 1)
    release.set()
    assert (await patient.answer()).status == 200
    assert [(await eager.answer()).status for _ in range(20)] == [200] * 20
    assert order.index(b"/public/patient") == 1


async def test_an_idle_connection_elsewhere_makes_room(site: Site) -> None:
    """The limit is of the whole upstream: the idle connection of one endpoint closes for one to the other."""
    upstreams = [await site.upstream() for _ in range(2)]
    said = {"balance": "round_robin", "limits": {"connections": 1}}
    client = await site.client(await site.gateway(*upstreams, upstream=said))
    assert [(await client.ask()).status for _ in range(4)] == [200] * 4
    assert [len(upstream.requests) for upstream in upstreams] == [2, 2]


async def test_the_limit_holds_over_a_reload(site: Site) -> None:
    """What began before it is still under way."""
    release = asyncio.Event()
    upstream = await site.upstream(held(release))
    running = await site.gateway(upstream, upstream={"limits": {"requests": 1}})
    clients = await asking(site, running, 1)
    await upstream.got()
    assert await running.gateway.reload() == []
    assert (await (await site.client(running)).ask()).code == "upstream_busy"
    release.set()
    assert [(await client.answer()).status for client in clients] == [200]


async def test_a_limit_that_comes_with_a_reload_counts_what_is_under_way(site: Site) -> None:
    """Nobody has counted it when it was let in."""
    release = asyncio.Event()
    upstream = await site.upstream(held(release))
    running = await site.gateway(upstream)
    clients = await asking(site, running, 1)
    await upstream.got()
    running.write(site.said(upstream, upstream={"limits": {"requests": 1}}))
    assert await running.gateway.reload() == []
    assert (await (await site.client(running)).ask()).code == "upstream_busy"
    release.set()
    assert [(await client.answer()).status for client in clients] == [200]
    assert (await (await site.client(running)).ask()).status == 200


@pytest.mark.parametrize("limits", [{"requests": 1}, {"connections": 1, "pending": 1}])
async def test_requests_one_after_the_other_are_never_too_many(site: Site, limits: dict[str, int]) -> None:
    """The smallest limits."""
    upstream: Upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream, upstream={"limits": limits}))
    assert [(await client.ask()).status for _ in range(5)] == [200] * 5
