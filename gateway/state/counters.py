"""Attempts counted in Redis: the port `identity.throttle.Counters`, with every node's uses in one log."""

import math
from collections.abc import Callable, Sequence
from typing import cast

from gateway.clock import Clock
from gateway.identity.counting import Count, Held, Over
from gateway.identity.limits import FULL_WAIT, KNOWN_FOR, KNOWN_NETWORKS, MAX_KEYS, SPARE_KEYS, SWEEP, Rule
from gateway.state.connection import Script
from gateway.state.link import Link
from gateway.state.names import Names
from gateway.state.scripts import CLEAR, GIVE_BACK, KNOWS, REMEMBER, RESERVE

_MICRO = 1_000_000


class RedisCounters:
    """Raises DependencyFailed("state_unavailable"), each time without having waited long.

    history: a mark of the server's, as it was last seen. With another one it has lost what was counted before.
    """

    def __init__(
        self,
        link: Link,
        names: Names,
        clock: Clock,
        max_keys: int = MAX_KEYS,
        spare_keys: int = SPARE_KEYS,
        now: Callable[[], float] | None = None,
    ) -> None:
        """now: seconds, for tests; None for the server's clock, the one that all nodes share."""
        self._link = link
        self._names = names
        self._clock = clock
        self._max, self._spare = max_keys, spare_keys
        self._now = now
        self.history = b""
        self._reserve, self._give_back, self._clear, self._remember, self._knows = (
            Script(text) for text in (RESERVE, GIVE_BACK, CLEAR, REMEMBER, KNOWS)
        )

    async def reserve(self, counts: Sequence[Count], known: bool = False, stamp: int | None = None) -> Held | Over:
        """stamp: of the reservation, when its caller has chosen it."""
        if stamp is None:
            stamp = new_stamp(self._clock)
        most = self._max - (0 if known else self._spare)
        values = [self._at(), str(stamp), str(most), str(SWEEP)]
        for count in counts:
            values += rule_values(count.rule)
        index, *logs = self._logs(counts)
        found = cast(tuple[int, bytes], await self._run(self._reserve, [index, self._names.history, *logs], values))
        wait, self.history = int(found[0]), found[1]
        if wait:
            return Over(wait / _MICRO if wait > 0 else FULL_WAIT)
        return Held(stamp)

    async def give_back(self, counts: Sequence[Count], stamp: int) -> None:
        await self._run(self._give_back, self._logs(counts), [str(stamp)])

    async def clear(self, counts: Sequence[Count]) -> None:
        await self._run(self._clear, self._logs(counts), [])

    async def remember(self, account: str, network: str) -> None:
        await self._run(self._remember, [self._names.known(account)], self._home(network))

    async def knows(self, account: str, network: str) -> bool:
        return bool(await self._run(self._knows, [self._names.known(account)], self._home(network)))

    async def _run(self, script: Script, keys: Sequence[str], values: Sequence[str]) -> object:
        return await self._link.do(lambda client: script.run(client, keys, values))

    def _logs(self, counts: Sequence[Count]) -> list[str]:
        return [self._names.index, *(self._names.attempts(count.name) for count in counts)]

    def _home(self, network: str) -> list[str]:
        return [self._at(), self._names.digest(network), str(KNOWN_NETWORKS), _micro(KNOWN_FOR)]

    def _at(self) -> str:
        return "" if self._now is None else _micro(self._now())


def new_stamp(clock: Clock) -> int:
    """Of 128 random bits: no two of a fleet are the same, and none is one of a MemoryCounters' own."""
    return int.from_bytes(clock.token_bytes(16))


def rule_values(rule: Rule) -> list[str]:
    """As RESERVE reads them."""
    brake = rule.brake
    gaps = (0.0, 0.0, 0.0) if brake is None else (brake.first, brake.longest, brake.memory)
    values = [_micro(seconds) for seconds in gaps]
    values.append(str(len(rule.windows)))
    for window in rule.windows:
        values += [str(window.limit), _micro(window.seconds)]
    return values


def _micro(seconds: float) -> str:
    return str(math.floor(seconds * _MICRO))
