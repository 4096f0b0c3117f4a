"""Redis away, and back: limits hold in this process, nobody waits twice, and both counts bind afterwards."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from harness.redis import Server, Servers, Way, until_async
from harness.site import Site

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.identity import limits
from gateway.identity.counting import Count, Held, MemoryCounters, Over
from gateway.identity.limits import ACCOUNT, HOUR, NETWORK, PAIR
from gateway.identity.meter import MemoryMeter, Quota
from gateway.state.counters import RedisCounters
from gateway.state.falling_back import FallingBackCounters
from gateway.state.link import CALLS as AT_ONCE
from gateway.state.meter import FallingBackMeter, RedisMeter

ANN = [Count(PAIR, "ann@home"), Count(ACCOUNT, "ann")]
WAIT = 1.0  # seconds for a call, in production a quarter: these tests run on busy machines
CALLS = Quota("calls", 3, 60.0)


class Hand:
    """Moves the local clock."""

    ahead = 0.0

    @property
    def clock(self) -> Clock:
        return Clock(monotonic=lambda: time.monotonic() + self.ahead)


@dataclass
class Node:
    """What one gateway has. local: its own counts."""

    way: Way
    local: MemoryCounters
    counters: FallingBackCounters
    meter: FallingBackMeter
    hand: Hand

    async def uses(self, times: int) -> int:
        """How many of these were held."""
        return sum([isinstance(await self.counters.reserve(ANN), Held) for _ in range(times)])

    async def back(self) -> None:
        await until_async(lambda: self.way.link.alive, "Redis again")


@pytest.fixture
def server(servers: Servers) -> Server:
    return servers.single()


@pytest.fixture
async def node(server: Server) -> AsyncIterator[Node]:
    async with Way(server.url, patience=WAIT) as way:
        hand = Hand()
        clock, local = hand.clock, MemoryCounters(hand.clock)
        counters = FallingBackCounters(RedisCounters(way.link, way.names, clock), local, clock)
        meter = FallingBackMeter(RedisMeter(way.link, way.names, clock), MemoryMeter(clock))
        yield Node(way, local, counters, meter, hand)


async def test_while_redis_is_there_its_count_decides(node: Node) -> None:
    """That of this process may be full: another node has cleared both, and could not reach this one."""
    assert await node.uses(6) == 5
    await RedisCounters(node.way.link, node.way.names, Clock()).clear(ANN)
    assert await node.uses(6) == 5


async def test_a_server_that_lost_its_data_is_no_fresh_start(node: Node, server: Server) -> None:
    """Emptied, or back without it so fast that no call failed: what this process has counted binds."""
    assert await node.uses(6) == 5
    server.cli("FLUSHALL")
    assert await node.uses(6) == 0


async def test_a_server_that_lost_nothing_forgives(node: Node) -> None:
    """The other side: the same history, in which another node has cleared the account's failures."""
    assert await node.uses(6) == 5
    await RedisCounters(node.way.link, node.way.names, Clock()).clear(ANN)
    assert await node.uses(1) == 1


def test_the_longest_life_is_that_of_the_longest_rule() -> None:
    """For as long a history that was lost may matter."""
    rules = [rule for rule in vars(limits).values() if isinstance(rule, limits.Rule)]
    assert max(rule.life(slowed) for rule in rules for slowed in (True, False)) == limits.LONGEST_LIFE


async def test_an_outage_is_no_fresh_start(node: Node, server: Server) -> None:
    """Three before it, two in it."""
    assert await node.uses(3) == 3
    server.kill()
    assert await node.uses(20) == 2


async def test_limits_hold_without_redis(node: Node, server: Server) -> None:
    """As many pass as by the rule, and no more."""
    server.kill()
    assert await node.uses(20) == 5


async def test_what_was_counted_here_goes_on_binding(node: Node, server: Server) -> None:
    """Four failures meanwhile: Redis comes back empty, and one more is all there is."""
    server.kill()
    assert await node.uses(4) == 4
    server.start()
    await node.back()
    assert await node.uses(6) == 1
    assert await node.way.keys() == 2  # it is counted there as well


async def test_it_binds_as_long_as_it_matters(node: Node, server: Server) -> None:
    """Afterwards only the shared count is asked."""
    server.kill()
    assert await node.uses(20) == 5
    server.start()
    await node.back()
    node.hand.ahead = 4 * HOUR
    assert await node.uses(6) == 5


async def test_what_is_refused_by_the_shared_count_is_not_kept_here(node: Node, server: Server) -> None:
    """A use is reserved in both, or in none."""
    server.kill()
    assert await node.uses(1) == 1
    server.start()
    await node.back()
    other = RedisCounters(node.way.link, node.way.names, Clock())
    for _ in range(5):
        assert isinstance(await other.reserve(ANN), Held)
    assert await node.uses(3) == 0
    await other.clear(ANN)
    assert await node.uses(6) == 4


async def test_an_attempt_that_was_right_is_given_back_in_both(node: Node, server: Server) -> None:
    """Reserved here alone, given back when Redis is there again."""
    server.kill()
    held = [await node.counters.reserve(ANN) for _ in range(5)]
    server.start()
    await node.back()
    for found in held:
        assert isinstance(found, Held)
        await node.counters.give_back(ANN, found.stamp)
    assert len(node.local) == 0
    assert await node.uses(6) == 5


async def test_a_known_network_stays_known(node: Node, server: Server) -> None:
    """While Redis is away, and after it has lost everything."""
    await node.counters.remember("ann", "home")
    server.kill()
    assert await node.counters.knows("ann", "home")
    server.start()
    await node.back()
    assert await node.counters.knows("ann", "home")
    assert not await node.counters.knows("ann", "elsewhere")


async def test_calls_are_counted_without_redis(node: Node, server: Server) -> None:
    """And the stricter of the two counts is told afterwards."""
    server.kill()
    assert [(await node.meter.count(CALLS, "ann")).remaining for _ in range(2)] == [2, 1]
    server.start()
    await node.back()
    found = [await node.meter.count(CALLS, "ann") for _ in range(2)]
    assert [(reading.remaining, reading.wait > 0) for reading in found] == [(0, False), (0, True)]


async def test_a_server_that_hangs_costs_one_wait(node: Node, server: Server) -> None:
    """It is stopped, not dead: nobody refuses the connection. The first call waits, the next hundred do not."""
    assert await node.uses(1) == 1
    server.signal(signal.SIGSTOP)
    waits = [await timed(node) for _ in range(100)]
    assert sum(wait > WAIT / 2 for wait in waits) == 1
    assert node.way.link.outages == 1
    server.signal(signal.SIGCONT)
    await node.back()


async def timed(node: Node) -> float:
    began = time.monotonic()
    await node.counters.knows("ann", "home")
    return time.monotonic() - began


async def test_an_outage_is_told_once(node: Node, server: Server) -> None:
    """However many meet it, and its end too."""
    server.kill()
    await asyncio.gather(*(node.counters.knows("ann", "home") for _ in range(50)))
    server.start()
    await node.back()
    assert [why is None for why in node.way.told] == [False, True]


@pytest.mark.parametrize("sort", ["full", "replica"])
async def test_a_server_that_takes_no_writes_is_away(node: Node, server: Server, sort: str) -> None:
    """What cannot be counted there is counted here."""
    words = ("CONFIG", "SET", "maxmemory", "1") if sort == "full" else ("REPLICAOF", "127.0.0.1", "1")
    server.cli(*words)
    assert await node.uses(20) == 5
    assert not node.way.link.alive


async def test_calls_that_wait_for_their_turn_are_no_outage(server: Server) -> None:
    """Four times as many as go at once: the last ones end after more than the patience that each of them has."""
    async with Way(server.url, patience=3.0, turn=30.0) as way:
        found = await asyncio.gather(*(way.link.do(lambda _: asyncio.sleep(0.8, True)) for _ in range(4 * AT_ONCE)))
        assert (all(found), way.link.outages) == (True, 0)


async def test_a_queue_that_does_not_move_refuses_the_call_alone(server: Server) -> None:
    """It is decided here; the server, which others hear from, is not away."""
    async with Way(server.url, patience=30.0) as way:
        gate = asyncio.Event()
        busy = [asyncio.create_task(way.link.do(lambda _: gate.wait())) for _ in range(AT_ONCE)]
        await asyncio.sleep(0)
        with pytest.raises(DependencyFailed, match="turn"):
            await RedisCounters(way.link, way.names, Clock()).reserve(ANN)
        gate.set()
        await asyncio.gather(*busy)
        assert (way.link.alive, way.link.outages) == (True, 0)


@pytest.mark.parametrize(
    ("answer", "away"),
    [
        ("NOPERM no", False), ("WRONGTYPE no", False), ("ERR no", False), ("LOADING yes", True), ("OOM yes", True),
        ("MISCONF yes", True), ("MASTERDOWN yes", True), ("CLUSTERDOWN yes", True), ("READONLY yes", True),
    ],
)  # fmt: skip
async def test_an_answer_is_an_outage_where_no_command_would_do_better(server: Server, answer: str, away: bool) -> None:
    """The server is made to say it, by a script."""
    async with Way(server.url) as way:
        with pytest.raises(DependencyFailed, match="state_unavailable"):
            await way.link.do(lambda client: client.eval(f"return redis.error_reply('{answer}')", 0))
        assert way.link.alive is not away
        assert len(way.refusals) == (0 if away else 1)


async def test_two_nodes_share_one_limit(server: Server) -> None:
    """Thirty guesses a minute from one network, wherever they go, also all at once."""
    async with Way(server.url, patience=30.0, turn=30.0) as way:
        counters = [RedisCounters(way.link, way.names, Clock()) for _ in range(2)]
        tries = [counters[n % 2].reserve([Count(NETWORK, "x")]) for n in range(100)]
        found = await asyncio.gather(*tries)
    assert sum(isinstance(one, Held) for one in found) == 30
    assert all(one.seconds <= 60 for one in found if isinstance(one, Over))


async def test_every_key_has_an_end(server: Server) -> None:
    """What nobody asks for any more leaves by itself; and no name stands in a key."""
    name, home = "ann@example.com", "192.0.2.1"
    async with Way(server.url) as way:
        counters = RedisCounters(way.link, way.names, Clock())
        await counters.reserve([Count(PAIR, f"{name} {home}"), Count(ACCOUNT, name), Count(NETWORK, home)])
        await counters.remember(name, home)
        await RedisMeter(way.link, way.names, Clock()).count(CALLS, name)
    keys = server.cli("KEYS", "*").split()
    assert len(keys) == 7
    assert all(int(server.cli("PTTL", key)) > 0 for key in keys)
    assert not any(name in key or home in key for key in keys)


async def test_redis_dies_under_load(site: Site, server: Server) -> None:
    """Logins and proxied requests go on while it is killed and comes back: none fails, and none passes a limit."""
    upstream = await site.upstream()
    running = await site.gateway(upstream, state={"url": server.url})
    shared = running.gateway.shared
    assert shared is not None
    statuses: list[int] = []
    logins: list[int] = []
    killed = asyncio.Event()

    async def proxied() -> None:
        client = await site.client(running)
        for number in range(60):
            if number == 50:
                await killed.wait()
            statuses.append((await client.ask("/secure/x", running.people.ada.field)).status)
            await asyncio.sleep(0.005)

    async def guesses() -> None:
        client = await site.client(running)
        body = b'{"email":"nobody@example.org","password":"wrong wrong wrong"}'
        for number in range(15):
            if number == 8:
                await killed.wait()
            answer = await client.ask(
                "/_adm/beginners/users/login", b"Content-Type: application/json", method="POST", body=body
            )
            logins.append(answer.status)

    async def killer() -> None:
        await until_async(lambda: len(statuses) > 50 and len(logins) > 5, "load")
        server.kill()
        killed.set()

    await asyncio.gather(killer(), *(proxied() for _ in range(5)), *(guesses() for _ in range(2)))
    assert statuses == [200] * 300
    assert not [status for status in logins if status >= 500]
    assert len([status for status in logins if status != 429]) == 5, logins
    assert not shared.alive
    server.start()
    await until_async(lambda: shared.alive and shared.subscribed, "Redis again")
    before = len(logins)
    await guesses()
    assert set(logins[before:]) == {429}
