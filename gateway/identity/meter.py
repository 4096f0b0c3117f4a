"""How many calls a caller may still make: sliding windows that count every call, whatever comes of it.

They are told in an answer's headers, and kept in this process, unless a Meter is handed in that shares them. Guesses
have limits of their own (`identity.throttle`), which forget nothing when many keys come; these do.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from gateway.clock import Clock

MAX_KEYS = 10_000  # 20 MB when each has sixty calls


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `limit` calls in any `seconds`. name: the namespace of its keys."""

    name: str
    limit: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Reading:
    """remaining: calls, after this one. reset: seconds since the epoch, rounded up, when the oldest call leaves the
    window. wait: seconds until a call is let through, 0 if this one was.
    """

    limit: int
    remaining: int
    reset: int
    wait: int


class Meter(Protocol):
    """Where calls are counted."""

    async def count(self, quota: Quota, key: str) -> Reading:
        """One call more, unless the window is full: a call that is turned away does not count."""
        ...


class MemoryMeter:
    """In this process. When it has too many keys, the one that was quiet the longest is forgotten."""

    def __init__(self, clock: Clock, max_keys: int = MAX_KEYS) -> None:
        self._clock = clock
        self._max = max_keys
        self._calls: OrderedDict[tuple[str, str], list[float]] = OrderedDict()

    def __len__(self) -> int:
        """Keys held."""
        return len(self._calls)

    async def count(self, quota: Quota, key: str) -> Reading:
        now, name = self._clock.monotonic(), (quota.name, key)
        calls = [at for at in self._calls.get(name, ()) if at + quota.seconds > now]
        full = len(calls) >= quota.limit
        if not full:
            calls.append(now)
        self._calls[name] = calls
        self._calls.move_to_end(name)
        if len(self._calls) > self._max:
            self._calls.popitem(last=False)
        left = calls[0] + quota.seconds - now
        wait = max(1, math.ceil(left)) if full else 0
        return Reading(quota.limit, quota.limit - len(calls), math.ceil(self._clock.now() + left), wait)
