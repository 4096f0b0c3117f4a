"""Counting of calls: windows that slide, and a bounded number of keys."""

from collections.abc import AsyncIterator, Callable

import pytest
from harness.redis import Server, Way

from gateway.clock import Clock
from gateway.identity.meter import MemoryMeter, Meter, Quota
from gateway.state.meter import RedisMeter

THREE = Quota("three", 3, 60.0)
BEGIN = 1000.5


Make = Callable[[Clock], Meter]


@pytest.fixture(params=["memory", "redis"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Meters of each kind."""
    if request.param == "memory":
        yield MemoryMeter
        return
    server: Server = request.getfixturevalue("redis_server")
    async with Way(server.url) as way:
        yield lambda clock: RedisMeter(way.link, way.names, clock, own_time=True)


class Hand:
    at = 0.0

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: BEGIN + self.at, monotonic=lambda: self.at)


async def test_what_remains_is_counted_down(make: Make) -> None:
    """To nothing; then one has to wait."""
    meter = make(Hand().clock)
    found = [await meter.count(THREE, "ada") for _ in range(4)]
    assert [(reading.remaining, reading.wait) for reading in found] == [(2, 0), (1, 0), (0, 0), (0, 60)]


@pytest.mark.parametrize(("at", "wait"), [(59.9, 1), (60.0, 0)])
async def test_the_window_slides(make: Make, at: float, wait: int) -> None:
    """A call counts for a minute, to the moment."""
    hand = Hand()
    meter = make(hand.clock)
    for hand.at in (0.0, 30.0, 40.0):
        await meter.count(THREE, "ada")
    hand.at = at
    assert (await meter.count(THREE, "ada")).wait == wait


async def test_a_call_that_is_turned_away_does_not_count(make: Make) -> None:
    """Whoever goes on asking does not wait for ever."""
    hand = Hand()
    meter = make(hand.clock)
    for hand.at in (0.0, 0.0, 0.0, 50.0, 59.0):
        await meter.count(THREE, "ada")
    hand.at = 60.0
    assert (await meter.count(THREE, "ada")).remaining == 2


async def test_the_reset_is_when_the_oldest_call_leaves_the_window(make: Make) -> None:
    """In whole seconds since the epoch, never too early."""
    hand = Hand()
    meter = make(hand.clock)
    await meter.count(THREE, "ada")
    hand.at = 20.0
    assert (await meter.count(THREE, "ada")).reset == 1061


async def test_keys_do_not_count_for_each_other(make: Make) -> None:
    """Nor do quotas."""
    meter = make(Hand().clock)
    await meter.count(THREE, "ada")
    others = (await meter.count(THREE, "bob"), await meter.count(Quota("other", 3, 60.0), "ada"))
    assert [reading.remaining for reading in others] == [2, 2]


async def test_it_forgets_the_key_that_was_quiet_the_longest() -> None:
    """Its room is bounded."""
    meter = MemoryMeter(Hand().clock, max_keys=2)
    for key in ("ada", "bob", "ada", "eve"):
        await meter.count(THREE, key)
    assert (len(meter), (await meter.count(THREE, "ada")).remaining) == (2, 0)
