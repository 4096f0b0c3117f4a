"""Counts of uses: the port that `throttle` goes by, and the counters of one process. The numbers are in `limits`."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count as counting
from typing import NamedTuple, Protocol

from gateway.clock import Clock
from gateway.identity.limits import (
    FULL_WAIT,
    KNOWN_ACCOUNTS,
    KNOWN_FOR,
    KNOWN_NETWORKS,
    MAX_KEYS,
    SPARE_KEYS,
    SWEEP,
    Rule,
    Window,
)


@dataclass(frozen=True, slots=True)
class Count:
    """What a use is counted by. name: the key in a store."""

    rule: Rule
    key: str

    @property
    def name(self) -> str:
        return f"{self.rule.name}:{self.key}"


@dataclass(frozen=True, slots=True)
class Held:
    """A reservation. stamp: its number."""

    stamp: int


@dataclass(frozen=True, slots=True)
class Over:
    """No reservation. seconds: until there may be one."""

    seconds: float


class Counters(Protocol):
    """Where uses are kept. Each method is atomic; a store that is away raises DependencyFailed("store_unavailable")."""

    async def reserve(self, counts: Sequence[Count], known: bool = False) -> Held | Over:
        """One use of every count, or of none. known: may take the room that is kept for known networks."""
        ...

    async def give_back(self, counts: Sequence[Count], stamp: int) -> None:
        """Takes that one use out again, wherever it still is."""
        ...

    async def clear(self, counts: Sequence[Count]) -> None: ...

    async def remember(self, account: str, network: str) -> None:
        """The account was logged in to from there, now."""
        ...

    async def knows(self, account: str, network: str) -> bool:
        """Whether it was within KNOWN_FOR, and not too many others since."""
        ...


class _Use(NamedTuple):
    at: float  # clock.monotonic
    slowed: bool  # a brake's gap was kept before it


class _Log:
    """The uses of one key by stamp, oldest first. life: of its last one, in seconds."""

    __slots__ = ("life", "uses")

    def __init__(self) -> None:
        self.life = 0.0
        self.uses: dict[int, _Use] = {}

    def add(self, rule: Rule, stamp: int, use: _Use) -> None:
        dead = [old for old, found in self.uses.items() if found.at + rule.life(found.slowed) <= use.at]
        for old in dead:
            del self.uses[old]
        self.uses[stamp] = use
        self.life = rule.life(use.slowed)

    def dead(self, now: float) -> bool:
        return all(use.at + self.life <= now for use in self.uses.values())


def admission(rule: Rule, uses: Sequence[_Use], now: float) -> tuple[float, bool]:
    """Seconds until there may be another use, 0 for now, and whether it has a gap to keep."""
    wait = max(_full(window, uses, now) for window in rule.windows)
    if rule.brake is None:
        return wait, False
    memory = rule.brake.memory
    doublings = sum(use.slowed and use.at + memory > now for use in uses)
    if wait <= 0 and not doublings:
        return 0.0, False
    return max(0.0, uses[-1].at + rule.brake.gap(doublings) - now), True


def _full(window: Window, uses: Sequence[_Use], now: float) -> float:
    """Seconds until the window has room, 0 when it has."""
    if len(uses) < window.limit:
        return 0.0
    return max(0.0, uses[-window.limit].at + window.seconds - now)


class MemoryCounters:
    """Sliding logs in this process. When it is full of live keys it refuses new ones: it forgets no failure."""

    def __init__(
        self,
        clock: Clock,
        max_keys: int = MAX_KEYS,
        spare_keys: int = SPARE_KEYS,
        max_accounts: int = KNOWN_ACCOUNTS,
    ) -> None:
        self._now = clock.monotonic
        self._max, self._spare, self._max_accounts = max_keys, spare_keys, max_accounts
        self._stamps = counting(1)
        self._logs: dict[str, _Log] = {}
        self._queues: dict[float, OrderedDict[str, None]] = {}  # by life: the one that dies next comes first
        self._known: OrderedDict[str, dict[str, float]] = OrderedDict()

    def __len__(self) -> int:
        """Keys held."""
        return len(self._logs)

    async def reserve(self, counts: Sequence[Count], known: bool = False, stamp: int | None = None) -> Held | Over:
        """stamp: of the reservation, when its caller has chosen it; at least 2**64, which no count from one reaches."""
        now = self._now()
        self._sweep(now)
        found = [admission(count.rule, self._uses(count), now) for count in counts]
        wait = max(wait for wait, _ in found)
        if wait > 0:
            return Over(wait)
        fresh = sum(count.name not in self._logs for count in counts)
        if fresh and len(self._logs) + fresh > self._max - (0 if known else self._spare):
            return Over(FULL_WAIT)
        stamp = next(self._stamps) if stamp is None else stamp
        for count, (_, slowed) in zip(counts, found, strict=True):
            self._add(count, stamp, _Use(now, slowed))
        return Held(stamp)

    async def give_back(self, counts: Sequence[Count], stamp: int) -> None:
        for name in [count.name for count in counts]:
            log = self._logs.get(name)
            if log is not None:
                log.uses.pop(stamp, None)
                if not log.uses:
                    self._drop(name)

    async def clear(self, counts: Sequence[Count]) -> None:
        for name in [count.name for count in counts]:
            if name in self._logs:
                self._drop(name)

    async def remember(self, account: str, network: str) -> None:
        networks = self._known.setdefault(account, {})
        networks.pop(network, None)
        networks[network] = self._now()
        self._known.move_to_end(account)
        if len(networks) > KNOWN_NETWORKS:
            del networks[next(iter(networks))]
        if len(self._known) > self._max_accounts:
            self._known.popitem(last=False)

    async def knows(self, account: str, network: str) -> bool:
        at = self._known.get(account, {}).get(network)
        return at is not None and at + KNOWN_FOR > self._now()

    def _uses(self, count: Count) -> Sequence[_Use]:
        log = self._logs.get(count.name)
        return () if log is None else tuple(log.uses.values())

    def _add(self, count: Count, stamp: int, use: _Use) -> None:
        name = count.name
        log = self._logs.setdefault(name, _Log())
        if log.life:
            del self._queues[log.life][name]
        log.add(count.rule, stamp, use)
        self._queues.setdefault(log.life, OrderedDict())[name] = None

    def _drop(self, name: str) -> None:
        del self._queues[self._logs.pop(name).life][name]

    def _sweep(self, now: float) -> None:
        for queue in self._queues.values():
            for name in self._dead(queue, now):
                self._drop(name)

    def _dead(self, queue: Iterable[str], now: float) -> Sequence[str]:
        found: list[str] = []
        for name in queue:
            if len(found) == SWEEP or not self._logs[name].dead(now):
                break
            found.append(name)
        return found
