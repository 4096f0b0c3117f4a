"""A throttle over each kind of counters, and what the tests of its limits do with it."""

from collections.abc import Awaitable, Callable

import pytest
from harness.redis import Way

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.counting import MemoryCounters
from gateway.identity.origin import Origin
from gateway.identity.throttle import Throttle, Ticket
from gateway.state.counters import RedisCounters

HOME = Origin("192.0.2.1")


class World:
    """A throttle, the time it goes by, and an endless supply of networks."""

    def __init__(self, max_keys: int = 100_000, spare_keys: int = 10_000, way: Way | None = None) -> None:
        """way: to Redis; None for counters in this process."""
        self.now = 1000.0
        self._way = way
        clock = Clock(monotonic=lambda: self.now)
        self.counters: MemoryCounters | RedisCounters = (
            MemoryCounters(clock, max_keys, spare_keys)
            if way is None
            else RedisCounters(way.link, way.names, clock, max_keys, spare_keys, now=clock.monotonic)
        )
        self.throttle = Throttle(Clock(monotonic=lambda: self.now), self.counters)
        self._networks = 0

    async def held(self) -> int:
        """Keys."""
        if isinstance(self.counters, MemoryCounters):
            return len(self.counters)
        assert self._way is not None
        return await self._way.keys()

    def elsewhere(self) -> Origin:
        self._networks += 1
        return Origin(f"10.{self._networks >> 16}.{self._networks >> 8 & 255}.{self._networks & 255}")

    async def guess(self, origin: Origin = HOME, account: str | None = "ann", handle: str = "") -> Ticket:
        return await self.throttle.guess(origin, account, handle)

    async def fail(self, times: int, account: str | None = "ann", handle: str = "") -> None:
        """From as many networks."""
        for _ in range(times):
            await self.guess(self.elsewhere(), account, handle)

    async def slow(self, times: int) -> None:
        """Ten failures at ann, and then so many, each as soon as it may be."""
        await self.fail(10)
        for _ in range(times):
            self.now += await wait(self.guess(self.elsewhere()))
            await self.guess(self.elsewhere())


Make = Callable[..., World]


async def wait(refused: Awaitable[object]) -> int:
    """The retry_after of a refusal."""
    with pytest.raises(RequestRejected) as caught:
        await refused
    assert caught.value.code == "too_many_attempts"
    assert caught.value.retry_after is not None
    return caught.value.retry_after
