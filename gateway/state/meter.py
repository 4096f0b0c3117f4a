"""Calls counted in Redis: the port `identity.meter.Meter`, and in this process too.

The stricter of the two answers. Of a node's own calls Redis has them all, so that its answer is the stricter one, but
after an outage, in which it heard of none.
"""

import math
from typing import Protocol, cast

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.identity.meter import MemoryMeter, Quota, Reading
from gateway.state.connection import Script
from gateway.state.counters import new_stamp
from gateway.state.link import Link
from gateway.state.names import Names
from gateway.state.scripts import CALL

_MICRO = 1_000_000


class Shared(Protocol):
    """Raises DependencyFailed when it is away."""

    async def count(self, quota: Quota, key: str) -> Reading: ...


class RedisMeter:
    """Raises DependencyFailed("state_unavailable")."""

    def __init__(self, link: Link, names: Names, clock: Clock, *, own_time: bool = False) -> None:
        """own_time: by `clock.monotonic`, for tests, and not by the server's clock."""
        self._link = link
        self._names = names
        self._clock = clock
        self._own_time = own_time
        self._script = Script(CALL)

    async def count(self, quota: Quota, key: str) -> Reading:
        at = str(math.floor(self._clock.monotonic() * _MICRO)) if self._own_time else ""
        values = [at, str(new_stamp(self._clock)), str(quota.limit), str(math.floor(quota.seconds * _MICRO))]
        name = self._names.calls(f"{quota.name}:{key}")
        answer = await self._link.do(lambda client: self._script.run(client, [name], values))
        full, calls, left = cast(list[int], answer)
        seconds = left / _MICRO
        wait = max(1, math.ceil(seconds)) if full else 0
        return Reading(quota.limit, quota.limit - calls, math.ceil(self._clock.now() + seconds), wait)


class FallingBackMeter:
    """Raises nothing."""

    def __init__(self, shared: Shared, local: MemoryMeter) -> None:
        self._shared = shared
        self._local = local

    async def count(self, quota: Quota, key: str) -> Reading:
        try:
            found = await self._shared.count(quota, key)
        except DependencyFailed:
            return await self._local.count(quota, key)
        if found.wait:
            return found
        here = await self._local.count(quota, key)
        return here if here.wait or here.remaining < found.remaining else found
