"""Attempts are counted in Redis, and in this process too, whose count decides while Redis is away: no limit is skipped.

As this process has counted its own uses all along, an outage gives nobody a fresh start here. And as Redis did not hear
of those in the outage, the count here goes on binding until they do not matter any more: both must have room then. They
are not carried over: that would need a trust in clocks that differ. The same holds for a server that lost its data.
"""

from collections.abc import Sequence
from typing import Protocol

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.identity.counting import Count, Held, MemoryCounters, Over
from gateway.identity.limits import LONGEST_LIFE
from gateway.state.counters import new_stamp


class Shared(Protocol):
    """`identity.throttle.Counters`, with stamps that its caller chooses; raises DependencyFailed when it is away.

    history: as in `counters.RedisCounters`.
    """

    @property
    def history(self) -> bytes: ...

    async def reserve(self, counts: Sequence[Count], known: bool = False, stamp: int | None = None) -> Held | Over: ...
    async def give_back(self, counts: Sequence[Count], stamp: int) -> None: ...
    async def clear(self, counts: Sequence[Count]) -> None: ...
    async def remember(self, account: str, network: str) -> None: ...
    async def knows(self, account: str, network: str) -> bool: ...


class FallingBackCounters:
    """The port `identity.throttle.Counters`. Raises nothing."""

    def __init__(self, shared: Shared, local: MemoryCounters, clock: Clock) -> None:
        self._shared = shared
        self._local = local
        self._clock = clock
        self._history = b""
        self._matters_until = 0.0  # clock.monotonic: until then a use that was counted here alone may matter

    async def reserve(self, counts: Sequence[Count], known: bool = False) -> Held | Over:
        stamp = new_stamp(self._clock)
        here = await self._local.reserve(counts, known, stamp)
        try:
            found = await self._shared.reserve(counts, known, stamp)
        except DependencyFailed:
            self._decided_here(counts)
            return here
        self._same_history()
        if isinstance(found, Over):
            await self._local.give_back(counts, stamp)
            return found
        if isinstance(here, Over) and self._clock.monotonic() < self._matters_until:
            await self.give_back(counts, stamp)
            return here
        return found  # a full count here alone is one that another node has cleared

    async def give_back(self, counts: Sequence[Count], stamp: int) -> None:
        """From both: a call that was not answered may have been counted there all the same."""
        await self._local.give_back(counts, stamp)
        try:
            await self._shared.give_back(counts, stamp)
        except DependencyFailed:
            return  # it counts as a failure there for as long as its window: a limit errs to that side

    async def clear(self, counts: Sequence[Count]) -> None:
        await self._local.clear(counts)
        try:
            await self._shared.clear(counts)
        except DependencyFailed:
            return  # as above

    async def remember(self, account: str, network: str) -> None:
        await self._local.remember(account, network)
        try:
            await self._shared.remember(account, network)
        except DependencyFailed:
            return

    async def knows(self, account: str, network: str) -> bool:
        """By either: a server that lost its data must not make strangers of an account's own people."""
        try:
            return await self._shared.knows(account, network) or await self._local.knows(account, network)
        except DependencyFailed:
            return await self._local.knows(account, network)

    def _same_history(self) -> None:
        """A server that came back without its data, or was emptied, is no fresh start for who guesses here."""
        if self._history not in (b"", self._shared.history):
            self._matters_until = max(self._matters_until, self._clock.monotonic() + LONGEST_LIFE)
        self._history = self._shared.history

    def _decided_here(self, counts: Sequence[Count]) -> None:
        longest = max(max(count.rule.life(False), count.rule.life(True)) for count in counts)
        self._matters_until = max(self._matters_until, self._clock.monotonic() + longest)
