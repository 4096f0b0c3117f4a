"""How many at once: released on every end, whoever ends it. And how large: both sides of each size."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from harness.client import Client, chunked, request
from harness.people import revoke
from harness.site import Running, Site, until
from harness.upstream import OK, Line, Upstream

from edge.test_decide import DECIDE, about, put
from edge.test_tunnel import SWITCH, opened

PUBLIC = {"path": "/public/**", "access": "public", "methods": ["GET", "POST"]}
AUTH = {"path": "/auth/**", "access": "authenticated"}


def room(limits: Any, **more: Any) -> dict[str, Any]:
    return {**PUBLIC, **more, "limits": {"concurrency": limits}}


class Holding:
    """An upstream that answers when it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.has = asyncio.Semaphore(0)

    async def script(self, line: Line) -> None:
        while True:
            await line.head()
            self.has.release()
            await self.go.wait()
            line.send(OK)


async def all_have_left(running: Running) -> None:
    """Soon; fails where one stays."""
    await until(lambda: not running.gateway.counts.under_way)


async def held(
    site: Site, holding: Holding, limits: Any, times: int, *fields: bytes, **more: Any
) -> tuple[Running, list[Client]]:
    """A gateway with so many requests at the upstream."""
    running = await site.gateway(await site.upstream(holding.script), routes=[room(limits, **more)])
    clients = [await site.client(running) for _ in range(times)]
    path = "/auth/x" if more else "/public/x"
    for client in clients:
        await client.send(request(path, *(fields or ()), *((running.people.ada.field,) if more else ())))
        await holding.has.acquire()
    return running, clients


async def test_the_limit_fits_and_one_more_is_503(site: Site) -> None:
    """Both sides of the number; it says when to come back, keeps the connection, and fits again after an end."""
    holding = Holding()
    running, clients = await held(site, holding, 2, 2)
    one_more = await site.client(running)
    refused = await one_more.ask()
    assert (refused.status, refused.code, refused.one(b"retry-after")) == (503, "route_busy", b"1")
    assert running.gateway.counts.under_way == 2
    holding.go.set()
    for client in clients:
        assert (await client.answer()).status == 200
    assert (await one_more.ask()).status == 200
    await all_have_left(running)


async def test_a_caller_has_a_number_of_its_own(site: Site) -> None:
    """Ada's second is 429; Bob's first is not hers."""
    holding = Holding()
    running, _ = await held(site, holding, {"by": "account", "at_most": 1}, 1, **AUTH)
    client = await site.client(running)
    refused = await client.ask("/auth/x", running.people.ada.field)
    assert (refused.status, refused.code, refused.one(b"retry-after")) == (429, "too_many_at_once", b"1")
    await client.send(request("/auth/x", running.people.bob.field))
    await holding.has.acquire()
    holding.go.set()
    assert (await client.answer()).status == 200
    await all_have_left(running)


async def test_both_numbers_hold(site: Site) -> None:
    """What one of them refuses leaves the other as it was."""
    holding = Holding()
    limits = [{"at_most": 2}, {"by": "account", "at_most": 1}]
    running, _ = await held(site, holding, limits, 1, **AUTH)
    client = await site.client(running)
    for _ in range(3):
        assert (await client.ask("/auth/x", running.people.ada.field)).code == "too_many_at_once"
    assert running.gateway.counts.under_way == 2  # the route's and the account's, of the one that is under way
    await client.send(request("/auth/x", running.people.bob.field))
    await holding.has.acquire()
    holding.go.set()
    assert (await client.answer()).status == 200


async def test_a_refused_rate_holds_no_room(site: Site) -> None:
    """And a busy route uses up no rate."""
    limits = {"concurrency": 1, "rate": [{"by": "route", "at_most": 2, "in": "7d"}]}
    running = await site.gateway(await site.upstream(), routes=[{**PUBLIC, "limits": limits}])
    client = await site.client(running)
    assert [(await client.ask()).status for _ in range(4)] == [200, 200, 429, 429]
    assert running.gateway.counts.under_way == 0


async def test_a_client_that_leaves_makes_room(site: Site) -> None:
    """Before its answer has begun; by a reset, as a FIN alone is a half-closed client, which is served."""
    holding = Holding()
    running, (client,) = await held(site, holding, 1, 1)
    client.reset()
    await all_have_left(running)
    holding.go.set()
    assert (await (await site.client(running)).ask()).status == 200


async def _cut(line: Line) -> None:
    await line.head()
    line.writer.transport.abort()


async def _cut_inside(line: Line) -> None:
    await line.head()
    line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")
    await line.writer.drain()
    line.writer.transport.abort()


async def _garbage(line: Line) -> None:
    await line.head()
    line.send(b"what?\r\n\r\n")


@pytest.mark.parametrize("script", [_cut, _cut_inside, _garbage])
async def test_an_upstream_that_fails_makes_room(site: Site, script: Any) -> None:
    """Before and inside of its answer: the next request gets as far as this one."""
    running = await site.gateway(await site.upstream(script), routes=[room(1)])
    for _ in range(3):
        client = await site.client(running)
        await client.send(request(method="POST", body=b"x"))
        head = await client.head()
        assert head.status in (200, 502)
        await all_have_left(running)


async def test_an_upstream_that_cannot_be_reached_makes_room(site: Site) -> None:
    """502, and nothing stays."""
    running = await site.gateway("http://127.0.0.1:9", routes=[room(1)])
    client = await site.client(running)
    assert [(await client.ask()).status for _ in range(3)] == [502] * 3
    assert running.gateway.counts.under_way == 0


async def test_an_upstream_that_is_late_makes_room(site: Site) -> None:
    """504 by the deadline."""
    holding = Holding()
    upstream = await site.upstream(holding.script)
    running = await site.gateway(upstream, routes=[room(1, timeouts={"first_byte": "10ms"})])
    assert (await (await site.client(running)).ask()).status == 504
    assert running.gateway.counts.under_way == 0


@pytest.mark.parametrize("fields", [(), (b"Authorization: Bearer nobody",)])
async def test_a_refused_credential_makes_room(site: Site, fields: tuple[bytes, ...]) -> None:
    """Whether it was looked up or not."""
    running = await site.gateway(await site.upstream(), routes=[room(1, **AUTH)])
    client = await site.client(running)
    assert [(await client.ask("/auth/x", *fields)).status for _ in range(3)] == [401] * 3
    assert running.gateway.counts.under_way == 0


async def switching(line: Line) -> None:
    await line.request()
    line.send(SWITCH)
    await line.gone()


@pytest.mark.parametrize("end", ["client", "upstream", "revoked"])
async def test_a_tunnel_holds_its_room_until_it_ends(site: Site, end: str) -> None:
    """Whoever ends it."""
    upstream: Upstream = await site.upstream(switching)
    running = await site.gateway(upstream, routes=[room(1, **AUTH)])
    client, answer = await opened(site, running, "/auth/ws", running.people.ada.field)
    assert answer.status == 101
    _, refused = await opened(site, running, "/auth/ws", running.people.bob.field)
    assert refused.status == 503
    assert running.gateway.counts.under_way == 1
    if end == "client":
        client.close()
    elif end == "upstream":
        (await upstream.line()).writer.transport.abort()
    else:
        await revoke(running.people, running.people.ada.grant_id)
        await running.gateway.poll.look()
    await all_have_left(running)
    _, again = await opened(site, running, "/auth/ws", running.people.bob.field)
    assert again.status == 101


async def test_a_drain_leaves_nothing_behind(site: Site) -> None:
    """What is cut at its end makes room as everything else."""
    holding = Holding()
    running, _ = await held(site, holding, 3, 3)
    await running.stop()
    assert running.gateway.counts.under_way == 0


async def test_a_reload_goes_on_counting_what_is_under_way(site: Site) -> None:
    """Of the generation before; and its ends count for the new one."""
    holding = Holding()
    running, (client,) = await held(site, holding, 1, 1)
    assert await running.gateway.reload() == []
    other = await site.client(running)
    assert (await other.ask()).status == 503
    holding.go.set()
    assert (await client.answer()).status == 200
    assert (await other.ask()).status == 200
    assert running.gateway.counts.under_way == 0


async def test_a_question_takes_no_room(site: Site) -> None:
    """A data plane asks, and holds the request itself."""
    running = await site.gateway("http://127.0.0.1:9", routes=[room(1)], decide=DECIDE)
    client = await site.client(running)
    assert [(await put(client, about("/public/x"))).status for _ in range(3)] == [200] * 3
    assert running.gateway.counts.under_way == 0


# how large

BODY = 1000


def sized(**limits: str) -> list[Mapping[str, Any]]:
    return [{**PUBLIC, "limits": limits}]


@pytest.mark.parametrize("framing", ["counted", "chunked", "chunked in parts", "counted later"])
@pytest.mark.parametrize(("size", "status"), [(BODY - 1, 200), (BODY, 200), (BODY + 1, 413)])
async def test_a_body_may_be_as_large_as_the_limit(site: Site, framing: str, size: int, status: int) -> None:
    """Both sides of it, said in Content-Length or not known before the last chunk."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream, routes=sized(body=f"{BODY}B")))
    body = b"x" * size
    counted = request("/public/x", b"Content-Length: %d" % size, method="POST")
    head = request("/public/x", b"Transfer-Encoding: chunked", method="POST")
    if framing == "counted":
        await client.send(counted + body)
    elif framing == "counted later":
        await client.trickle(counted + body, len(counted))
    elif framing == "chunked":
        await client.send(head + chunked(body))
    else:
        await client.trickle(head + chunked(body[:BODY], body[BODY:] or b"", last=b""), len(head) + 20)
        if status == 200:
            await client.send(b"" if len(body) <= BODY else b"0\r\n\r\n")
    answer = await asyncio.wait_for(client.answer(), 10)
    assert answer.status == status
    if status == 413:
        assert answer.code == "body_too_large"
        assert not upstream.requests


def head_of(size: int) -> bytes:
    """A whole request of so many bytes."""
    bare = len(request("/public/x", b"X-Fill: "))
    return request("/public/x", b"X-Fill: " + b"x" * (size - bare))


HEAD = 2000


@pytest.mark.parametrize(("size", "status"), [(HEAD - 1, 200), (HEAD, 200), (HEAD + 1, 431)])
@pytest.mark.parametrize("at", [None, 100, HEAD - 10])
async def test_a_head_may_be_as_large_as_the_routes_limit(site: Site, size: int, status: int, at: int | None) -> None:
    """Both sides of it, whole or in two parts; the other routes keep the listener's."""
    routes = [*sized(head=f"{HEAD}B"), {"path": "/large/**", "access": "public"}]
    client = await site.client(await site.gateway(await site.upstream(), routes=routes))
    sent = head_of(size)
    assert len(sent) == size
    await (client.send(sent) if at is None else client.trickle(sent, at))
    answer = await client.answer()
    assert answer.status == status
    if status == 431:
        assert answer.code == "head_too_large"
        client = await site.client(await site.gateway(await site.upstream(), routes=routes))
    assert (await client.ask("/large/x", b"X-Fill: " + b"x" * HEAD)).status == 200
