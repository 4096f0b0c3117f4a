"""The counters by themselves: reserved together, given back alone, and few networks remembered."""

from collections.abc import AsyncIterator

import pytest
from harness.redis import Server, Way

from gateway.clock import Clock
from gateway.identity.counting import Count, Counters, Held, MemoryCounters, Over
from gateway.identity.limits import ACCOUNT, KNOWN_NETWORKS, NETWORK, PAIR
from gateway.state.counters import RedisCounters


@pytest.fixture(params=["memory", "redis"])
async def counters(request: pytest.FixtureRequest) -> AsyncIterator[Counters]:
    """Each kind there is. Time stands still."""
    clock = Clock(monotonic=lambda: 1000.0)
    if request.param == "memory":
        yield MemoryCounters(clock)
        return
    server: Server = request.getfixturevalue("redis_server")
    async with Way(server.url) as way:
        yield RedisCounters(way.link, way.names, clock, now=clock.monotonic)


async def test_an_account_knows_few_networks(counters: Counters) -> None:
    """The one that was not used for longest is forgotten."""
    for n in range(KNOWN_NETWORKS):
        await counters.remember("ann", str(n))
    await counters.remember("ann", "0")
    await counters.remember("ann", "new")
    assert [await counters.knows("ann", name) for name in ("0", "1", "new")] == [True, False, True]


async def test_few_accounts_are_remembered() -> None:
    """Here two: the one that was not used for longest is forgotten."""
    counters = MemoryCounters(Clock(), max_accounts=2)
    for name in ("ann", "bob", "ann", "eve"):
        await counters.remember(name, "home")
    assert [await counters.knows(name, "home") for name in ("ann", "bob", "eve")] == [True, False, True]


async def test_a_use_is_given_back_alone(counters: Counters) -> None:
    """Those of others, at the same time, stay."""
    counts = [Count(PAIR, "x"), Count(ACCOUNT, "x")]
    held = [await counters.reserve(counts) for _ in range(5)]
    assert isinstance(held[0], Held)
    await counters.give_back(counts, held[0].stamp)
    await counters.give_back(counts, held[0].stamp)
    assert isinstance(await counters.reserve(counts), Held)
    assert await counters.reserve(counts) == Over(60.0)


async def test_all_counts_are_reserved_or_none(counters: Counters) -> None:
    """One full window, and the others are as before."""
    for _ in range(5):
        await counters.reserve([Count(PAIR, "x")])
    for _ in range(50):
        await counters.reserve([Count(NETWORK, "x"), Count(PAIR, "x")])
    assert isinstance(await counters.reserve([Count(NETWORK, "x")]), Held)


async def test_no_two_stamps_are_the_same(counters: Counters) -> None:
    """One that is given back must be one's own."""
    held = [await counters.reserve([Count(NETWORK, "x")]) for _ in range(20)]
    assert len({found.stamp for found in held if isinstance(found, Held)}) == 20


async def test_a_reservation_that_is_sent_again_is_one(redis_server: Server) -> None:
    """Its answer was lost with the connection: the fifth of five, and not a sixth."""
    async with Way(redis_server.url) as way:
        counters = RedisCounters(way.link, way.names, Clock())
        counts = [Count(NETWORK, "x"), Count(PAIR, "x")]
        for _ in range(4):
            await counters.reserve(counts)
        assert [await counters.reserve(counts, stamp=1 << 80) for _ in range(2)] == [Held(1 << 80)] * 2
        await counters.give_back(counts, 1 << 80)
        assert isinstance(await counters.reserve(counts), Held)
        assert isinstance(await counters.reserve(counts), Over)
