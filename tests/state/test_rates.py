"""Limits that several processes share: by rounds that the test makes, against real Redis; then two gateways."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from harness.redis import SERVICE, Server, Servers, Way, until_async
from harness.site import Running, Site

from gateway.app.quotas import Counts
from gateway.clock import Clock
from gateway.edge.windows import Table
from gateway.state.connection import Script
from gateway.state.rates import BATCH, Rates

HOUR = 3600.0


class Node:
    """A process with one limit. ahead: seconds that its wall clock is off."""

    def __init__(self, way: Way, seconds: float = HOUR, at_most: int = 10, ahead: float = 0.0) -> None:
        self.clock = Clock(now=lambda: time.time() + ahead)
        self.counts = Counts(self.clock)
        self.at_most = at_most
        self.table: Table = self.counts.table("limit", seconds)
        self.called = 0
        self.rates = Rates(way.link, way.names, self.clock)
        self.rates.join(self.counts)

    def ask(self, key: str = "k", times: int = 1) -> int:
        """How many of these were let through."""
        passed = 0
        for _ in range(times):
            window = self.table.at(key, time.monotonic())
            if window.total < self.at_most:
                self.table.use(key, window, 1)
                passed += 1
        return passed

    async def round(self) -> None:
        await self.rates.round()


@asynccontextmanager
async def nodes(url: str, count: int = 2, **of_each: float) -> AsyncIterator[list[Node]]:
    """With links of their own under the same names."""
    async with AsyncExitStack() as stack:
        ways = [await stack.enter_async_context(Way(url)) for _ in range(count)]
        for way in ways:
            way.names = ways[0].names
        yield [Node(way, **of_each) for way in ways]  # type: ignore[arg-type]


async def test_what_one_used_the_other_has_not_any_more(redis_server: Server) -> None:
    """After a round of each: together they let through what one may."""
    async with nodes(redis_server.url) as (a, b):
        assert a.ask(times=7) == 7
        await a.round()
        assert b.ask() == 1  # it has not heard of that key yet
        await b.round()
        assert b.ask(times=10) == 2
        await b.round()
        assert a.ask() == 1  # told in A's next round, not before
        await a.round()
        assert a.ask(times=10) == 0
        assert b.ask(times=10) == 0


async def test_the_bound_between_two_rounds(redis_server: Server) -> None:
    """The most that can be too many: each process lets through the limit of its own, and after one round none."""
    async with nodes(redis_server.url, 3) as fleet:
        assert [node.ask(times=50) for node in fleet] == [10, 10, 10]
        for node in fleet:
            await node.round()
        for node in fleet:
            assert node.ask(times=50) == 0


async def test_keys_and_limits_are_apart(redis_server: Server) -> None:
    """What is full of one leaves room of the other, in the other process too."""
    async with nodes(redis_server.url) as (a, b):
        a.ask("k", 10)
        await a.round()
        b.ask("k")
        b.ask("other")
        await b.round()
        assert (b.ask("k"), b.ask("other")) == (0, 1)
        elsewhere = b.counts.table("another limit", HOUR)
        elsewhere.use("k", elsewhere.at("k", time.monotonic()), 0)
        await b.round()
        assert elsewhere.at("k", time.monotonic()).total == 1


async def test_nodes_whose_clocks_differ_agree_after_a_round(redis_server: Server) -> None:
    """Parts are cut by the time of Redis: an hour's difference of wall clocks loses no use."""
    async with nodes(redis_server.url, 1) as (a,), nodes(redis_server.url, 1, ahead=1800.0) as (b,):
        b.rates._names = a.rates._names
        for node in (a, b):  # one round each to learn what time it is
            node.ask("first")
            await node.round()
        a.ask("k", 10)
        await a.round()
        b.ask("k")
        await b.round()
        assert b.ask("k") == 0


async def test_more_keys_than_a_script_takes(redis_server: Server) -> None:
    """All are told in one round, and none twice."""
    async with nodes(redis_server.url) as (a, b):
        keys = [f"key {number}" for number in range(2 * BATCH + 1)]
        assert sum(a.ask(key, 10) for key in keys) == 10 * len(keys)
        await a.round()
        await a.round()
        for key in keys:
            b.ask(key)
        await b.round()
        assert {b.table.at(key, time.monotonic()).total for key in keys} == {11}


async def test_what_counts_no_more_leaves_redis(servers: Servers) -> None:
    """Keys have an end, a bit after the window's; old parts are dropped from those that go on."""
    server = servers.single()
    async with nodes(server.url, 1, seconds=1.0) as (a,):
        a.ask()
        await a.round()
        of_the_process, name = sorted(
            server.cli("--scan", "--pattern", "gw:*uses*").split(), key=lambda name: "told-by" not in name
        )
        assert 0 < int(server.cli("PTTL", name)) <= 1300
        assert 0 < int(server.cli("PTTL", of_the_process)) <= 1300
        server.cli("HSET", name, "1", "100")
        a.ask()
        await a.round()
        assert server.cli("HGET", name, "1").strip() == ""
        assert a.table.at("k", time.monotonic()).total < 10


async def test_redis_away_each_goes_on_alone_and_tells_later(servers: Servers) -> None:
    """The limit holds in each; what was used meanwhile is told when it is back, also to a server that is empty."""
    server = servers.single()
    async with nodes(server.url) as (a, b):
        assert a.ask(times=4) == 4
        await a.round()
        server.kill()
        assert a.ask(times=20) == 6
        await a.round()
        await b.round()
        assert a.ask() == 0
        assert b.ask(times=20) == 10
        server.start()
        await until_async(lambda: a.rates._link.alive, "the link of A")
        await a.round()
        assert a.ask() == 0  # the server knows of six uses, this process of ten
        assert a.rates.age < 60


async def test_an_answer_that_comes_too_late_counts_nothing_twice(servers: Servers) -> None:
    """Redis has done it, and nobody heard: it is told again until it is heard, and counted once; also with what came
    meanwhile, and in the end under another key."""
    server = servers.single()
    async with Way(server.url, patience=0.5) as way, nodes(server.url, 1, at_most=100) as (b,):
        way.names = b.rates._names
        a = Node(way, at_most=100)
        a.ask(times=4)
        await a.round()
        for _ in range(2):
            a.ask(times=3)
            server.signal(signal.SIGSTOP)
            await a.round()
            server.signal(signal.SIGCONT)
            await until_async(lambda: way.link.alive, "Redis again")
        a.ask("other", 2)
        await a.round()
        for key, used in (("k", 10), ("other", 2)):
            b.ask(key)
            await b.round()
            assert b.table.at(key, time.monotonic()).total == used + 1


async def test_a_limit_that_came_back_is_told(redis_server: Server) -> None:
    """It was taken out of the configuration and put in again: what is used then is no repetition."""
    async with nodes(redis_server.url) as (a, b):
        for _ in range(3):
            a.ask()
            await a.round()
        a.counts.keep([])
        await a.round()
        a.table = a.counts.table("limit", HOUR)
        a.ask(times=2)
        await a.round()
        b.ask()
        await b.round()
        assert b.table.at("k", time.monotonic()).total == 6


async def test_what_makes_no_sense_ends_nothing(servers: Servers) -> None:
    """An answer in another form than ours: it is told once, other limits are told, and when it is over so is this."""
    server, failures = servers.single(), list[Exception]()
    async with nodes(server.url, 2, at_most=100) as (a, b):
        a.rates = Rates(a.rates._link, a.rates._names, a.clock, apart=0.01, failed=failures.append)
        other = a.counts.table("other limit", HOUR)
        good = a.rates._script
        a.rates._script = Script("return {{1}}")
        a.rates.start(a.counts)
        a.ask(times=3)
        await until_async(lambda: failures, "a failure")
        rounds = a.rates.rounds
        await until_async(lambda: a.rates.rounds > rounds + 3, "more rounds")
        assert len(failures) == 1
        other.use("k", other.at("k", time.monotonic()), 0)
        a.rates._script = good
        await until_async(lambda: not (a.table.unsent or other.unsent or a.rates.untold), "a good round")
        await a.rates.aclose()
        b.ask()
        await b.round()
        assert b.table.at("k", time.monotonic()).total == 4


async def test_the_age_is_that_of_the_last_whole_round(servers: Servers) -> None:
    """It grows while nothing can be told."""
    server = servers.single()
    async with nodes(server.url, 1) as (a,):
        a.ask()
        await a.round()
        done = a.rates._done
        server.kill()
        a.ask()
        await a.round()
        assert a.rates._done == done


@pytest.mark.parametrize("form", ["sentinel", "cluster"])
async def test_every_form_of_redis(servers: Servers, form: str) -> None:
    """A limit is on one shard of a cluster; several limits are on several."""
    if form == "sentinel":
        _, _, watchers = servers.sentinel()
        hosts = ",".join(f"127.0.0.1:{watcher.port}" for watcher in watchers)
        url = f"redis+sentinel://{hosts}/{SERVICE}"
    else:
        url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in servers.cluster())
    async with nodes(url) as (a, b):
        tables = [(a.counts.table(f"{n}", HOUR), b.counts.table(f"{n}", HOUR)) for n in range(5)]
        now = time.monotonic()
        for ours, theirs in tables:
            ours.use("k", ours.at("k", now), 0)
            theirs.use("k", theirs.at("k", now), 0)
        await a.round()
        await b.round()
        assert [theirs.at("k", now).total for _, theirs in tables] == [2] * 5


async def test_a_share_that_is_used_makes_a_round_at_once(redis_server: Server) -> None:
    """Without a wait for the next one: those are made a week apart here."""
    async with nodes(redis_server.url, 1) as (a,):
        a.rates = Rates(a.rates._link, a.rates._names, a.clock, apart=7 * 24 * HOUR)
        a.rates.start(a.counts)
        begun = a.rates._done
        await until_async(lambda: a.rates._done > begun, "the first round, which has nothing to tell")
        a.ask(times=3)
        await until_async(lambda: not a.table.unsent, "a round")
        await a.rates.aclose()


# two gateways


async def pair(site: Site, server: Server, at_most: int) -> tuple[Running, Running]:
    """With a limit that no other test has: Redis remembers those of gateways that have ended."""
    rate = {"by": "address", "at_most": at_most, "in": "7d", "shared": f"test-{os.urandom(4).hex()}"}
    routes = [{"path": "/public/**", "access": "public", "limits": {"rate": [rate]}}]
    upstream = await site.upstream()
    a = await site.gateway(upstream, state={"url": server.url}, routes=routes)
    store = {"url": f"sqlite:///{a.config.parent}/gateway.db"}
    return a, await site.gateway(upstream, state={"url": server.url}, routes=routes, store=store)


def told(running: Running) -> Callable[[], bool]:
    return lambda: not any(table.unsent for table in running.gateway.counts.tables)


async def test_two_gateways_hold_one_limit(site: Site, redis_server: Server) -> None:
    """By turns, with a round between: the limit, and the first request of the one that had not heard of the caller."""
    a, b = await pair(site, redis_server, 20)
    clients = [await site.client(a), await site.client(b)]
    passed = 0
    for number in range(30):
        passed += (await clients[number % 2].ask()).status == 200
        await until_async(told((a, b)[number % 2]), "a round")
        await until_async(lambda: a.gateway.shared.rates.age < 5, "a whole round")  # type: ignore[union-attr]
    assert 20 <= passed <= 21
    assert [(await client.ask()).status for client in clients] == [429, 429]


async def test_two_gateways_at_once_stay_within_the_bound(site: Site, redis_server: Server) -> None:
    """As fast as they can, from both sides: never more than each alone would let through, and then nothing."""
    a, b = await pair(site, redis_server, 20)
    clients = [await site.client(running) for running in (a, b) for _ in range(4)]

    async def ask(client: object) -> int:
        return sum([(await client.ask()).status == 200 for _ in range(20)])  # type: ignore[attr-defined]

    passed = sum(await asyncio.gather(*map(ask, clients)))
    assert 20 <= passed <= 40
    await until_async(lambda: told(a)() and told(b)(), "a round of each")
    for client in (clients[0], clients[-1]):
        assert (await client.ask()).status == 429


async def test_a_new_process_learns_what_was_used_before_it(site: Site, redis_server: Server) -> None:
    """A restart of all of them is no fresh start: with the first request of a caller its uses are learnt."""
    a, b = await pair(site, redis_server, 5)
    client = await site.client(a)
    assert [(await client.ask()).status for _ in range(6)] == [200] * 5 + [429]
    await until_async(told(a), "a round")
    await a.stop()
    client = await site.client(b)
    assert (await client.ask()).status == 200
    await until_async(told(b), "a round")
    await until_async(lambda: b.gateway.counts.tables[0].at("127.0.0.1", b.gateway.edge.monotonic()).total > 5, "news")
    assert (await client.ask()).status == 429


async def test_a_gateway_without_redis_goes_on_and_says_how_old_its_knowledge_is(site: Site, servers: Servers) -> None:
    """The limit holds in it alone."""
    server = servers.single()
    a, _ = await pair(site, server, 3)
    server.kill()
    client = await site.client(a)
    assert [(await client.ask()).status for _ in range(4)] == [200, 200, 200, 429]
    assert "gateway_limit_sync_age_seconds" in a.gateway.metrics().decode()
