"""Several endpoints behind one name: whose turn it is, and what happens to those that are dead."""

import asyncio
import time

import pytest
from harness.client import request
from harness.site import Site, until
from harness.upstream import OK, Line, Upstream

from gateway.edge.balance import least, round_robin, seed_of
from gateway.edge.health import BACKOFF_FIRST, BACKOFF_MOST, Health, rest


class Seat:
    """resting: until when, after failed connects."""

    def __init__(self, name: str, outstanding: int = 0, resting: float = 0.0) -> None:
        self.name = name
        self.health = Health()
        self.health.outstanding = outstanding
        self.health.resting = self.health.retry_at = resting
        self.credit = 0.0
        self.seed = seed_of(name)

    def share(self, now: float) -> float:
        return 1.0


def test_round_robin_takes_each_in_turn() -> None:
    """Over and over."""
    seats, choose = [Seat(name) for name in "abc"], round_robin()
    chosen = [choose(seats, 0.0).name for _ in range(6)]
    assert sorted(chosen[:3]) == ["a", "b", "c"]
    assert chosen[:3] == chosen[3:]


def test_round_robin_passes_over_one_that_rests() -> None:
    """Until its time, and from then on not."""
    seats, choose = [Seat("a"), Seat("b", resting=5.0)], round_robin()
    assert {choose(seats, 4.9).name for _ in range(4)} == {"a"}
    assert {choose(seats, 5.0).name for _ in range(4)} == {"a", "b"}


def test_least_takes_the_one_with_the_least_to_do() -> None:
    """By exchanges under way."""
    seats, choose = [Seat("a", 2), Seat("b", 1), Seat("c", 3)], least()
    assert {choose(seats, 0.0).name for _ in range(5)} == {"b"}


def test_least_takes_each_in_turn_where_none_has_less() -> None:
    """Idle endpoints share."""
    seats, choose = [Seat(name) for name in "abc"], least()
    assert {choose(seats, 0.0).name for _ in range(3)} == {"a", "b", "c"}


@pytest.mark.parametrize("make", [round_robin, least])
def test_where_all_rest_the_first_to_return_is_tried(make: object) -> None:
    """There is nothing to lose."""
    seats = [Seat("a", resting=9.0), Seat("b", resting=7.0)]
    assert make()(seats, 0.0).name == "b"  # type: ignore[operator]


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 30.0), (1000, 30.0)])
def test_each_failure_in_a_row_doubles_the_rest(failures: int, seconds: float) -> None:
    """Up to half a minute."""
    assert rest(failures) == seconds
    assert BACKOFF_FIRST <= rest(failures) <= BACKOFF_MOST


async def _named(site: Site, name: bytes) -> Upstream:
    async def script(line: Line) -> None:
        while True:
            await line.request()
            line.send(OK.replace(b"ok", name))

    return await site.upstream(script)


@pytest.mark.parametrize("balance", ["round_robin", "least"])
async def test_requests_in_a_row_are_shared(site: Site, balance: str) -> None:
    """Also those that find no idle connection, whose endpoint is chosen once."""
    upstreams = [await _named(site, name) for name in (b"u1", b"u2")]
    client = await site.client(await site.gateway(*upstreams, upstream={"balance": balance}))
    answers = [(await client.ask()).body for _ in range(10)]
    assert answers.count(b"u1") == answers.count(b"u2") == 5


async def test_least_avoids_an_endpoint_that_is_busy(site: Site) -> None:
    """While one hangs, the other takes everything."""
    release = asyncio.Event()

    async def hung(line: Line) -> None:
        await line.request()
        await release.wait()
        line.send(OK)

    slow, fast = await site.upstream(hung), await _named(site, b"u2")
    running = await site.gateway(slow, fast, upstream={"balance": "least"})
    clients = [await site.client(running) for _ in range(2)]
    asked = [asyncio.create_task(client.ask()) for client in clients]
    await slow.got()
    await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)  # the other's
    other = await site.client(running)
    assert [(await other.ask()).body for _ in range(6)] == [b"u2"] * 6
    release.set()
    assert sorted(answer.body for answer in await asyncio.gather(*asked)) == [b"ok", b"u2"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_dead_endpoint_costs_no_request(site: Site, method: str) -> None:
    """Nothing was sent where the connect failed: any request may go to the next one."""
    alive = await _named(site, b"u2")
    running = await site.gateway("http://127.0.0.1:1", alive, upstream={"balance": "round_robin"})
    client = await site.client(running)
    assert [(await client.ask(method=method)).body for _ in range(4)] == [b"u2"] * 4
    (upstream,) = running.gateway.core.upstreams.values()
    assert upstream.live(time.monotonic()) == 1
    assert [event for _, event, _ in running.log.lines if event.startswith("endpoint")] == ["endpoint dead"]


async def test_an_endpoint_that_comes_back_is_used_again(site: Site) -> None:
    """Once its rest is over."""
    first, second = await _named(site, b"u1"), await _named(site, b"u2")
    port = first.port
    await first.aclose()
    running = await site.gateway(f"http://127.0.0.1:{port}", second, upstream={"balance": "round_robin"})
    client = await site.client(running)
    for _ in range(2):
        assert (await client.ask()).body == b"u2"

    async def script(line: Line) -> None:
        while True:
            await line.request()
            line.send(OK.replace(b"ok", b"u3"))

    await site.upstream(script, port=port)
    async with asyncio.timeout(10):
        while (await client.ask()).body != b"u3":
            pass


async def _slamming(line: Line) -> None:
    await line.request()


async def test_an_endpoint_that_closes_without_an_answer_rests(site: Site) -> None:
    """As one that refuses connections does: it would look idle, and swallow most of what comes."""
    alive = await _named(site, b"u2")
    running = await site.gateway(await site.upstream(_slamming), alive, upstream={"balance": "round_robin"})
    client = await site.client(running)
    statuses = [(await client.ask()).status for _ in range(10)]
    assert statuses.count(502) == 1


async def test_an_endpoint_is_live_again_when_its_rest_is_over(site: Site) -> None:
    """Not only once a request has tried it: where none is live, none may be sent."""
    running = await site.gateway(await site.upstream(_slamming))
    (upstream,) = running.gateway.core.upstreams.values()
    assert (await (await site.client(running)).ask()).status == 502
    assert upstream.live(time.monotonic()) == 0
    await until(lambda: upstream.live(time.monotonic()) == 1)


async def test_it_is_told_once_that_an_endpoint_is_dead_and_once_that_it_is_back(site: Site) -> None:
    """Not with each request."""
    answers = 0

    async def script(line: Line) -> None:
        nonlocal answers
        await line.request()
        answers += 1
        if answers > 3:
            line.send(OK)

    running = await site.gateway(await site.upstream(script))
    client = await site.client(running)
    assert [(await client.ask()).status for _ in range(6)] == [502] * 3 + [200] * 3
    told = [(event, fields.get("why")) for _, event, fields in running.log.lines if event.startswith("endpoint")]
    assert told == [("endpoint dead", "It closes connections before it answers."), ("endpoint back", None)]


async def test_where_all_are_dead_the_answer_is_502(site: Site) -> None:
    """Each time, at once."""
    running = await site.gateway("http://127.0.0.1:1", "http://127.0.0.1:2")
    client = await site.client(running)
    for _ in range(3):
        assert (await asyncio.wait_for(client.ask(), 5)).code == "upstream_unreachable"


async def test_no_more_idle_connections_are_kept_than_said(site: Site) -> None:
    """`pool: 2`."""
    release = asyncio.Event()

    async def held(line: Line) -> None:
        await line.request()
        await release.wait()
        line.send(OK)
        await line.gone()

    upstream = await site.upstream(held)
    running = await site.gateway(upstream, upstream={"pool": 2})
    clients = [await site.client(running) for _ in range(5)]
    for client in clients:
        await client.send(request())
    await upstream.got(5)
    release.set()
    for client in clients:
        await client.answer()
    endpoint = running.gateway.core.upstreams["u"].endpoints[0]
    assert len(endpoint.idle) == 2


async def test_the_path_of_an_endpoint_comes_first(site: Site) -> None:
    """Put before every target; the Host goes on, unless the endpoint's own is asked for."""
    upstream = await site.upstream()
    running = await site.gateway(f"{upstream.url}/base/v1", route={"forward": {"host": "upstream"}})
    await (await site.client(running)).ask("/public/x?q=1")
    got = upstream.requests[0]
    assert (got.target, got.one(b"host")) == (b"/base/v1/public/x?q=1", b"127.0.0.1:%d" % upstream.port)
