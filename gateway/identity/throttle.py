"""How often one may guess, ask for mails and register: the numbers, and the counting of them.

Each use is reserved before anything is checked, so that guesses in parallel are all counted; a right one is given back.
The `limits` package cannot give back, and would charge people for logging in. What a single challenge or code bears is
not here, but with the challenge.
"""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count as counting
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from gateway.clock import Clock
from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.audit import Event, Kind, Refusals, Unrecorded
from gateway.identity.limits import (
    ACCOUNT,
    FULL_WAIT,
    KNOWN_ACCOUNTS,
    KNOWN_FOR,
    KNOWN_NETWORKS,
    MADE,
    MAIL_ADDRESS,
    MAIL_ALL,
    MAIL_NETWORK,
    MAIL_SITE,
    MAX_KEYS,
    NETWORK,
    OPENED,
    OPENED_SITE,
    PAIR,
    POLL,
    REGISTRATION,
    REGISTRATION_SITE,
    SITE,
    SPARE_KEYS,
    SWEEP,
    Rule,
    Window,
)
from gateway.identity.meter import MemoryMeter, Meter
from gateway.identity.origin import Origin


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


class Throttle:
    """counters, meter: None keeps them in this process. meter: of calls; here, as a reload keeps it too. refusals: told
    of every attempt that is turned away, or was in vain; None tells nobody."""

    def __init__(
        self,
        clock: Clock,
        counters: Counters | None = None,
        meter: Meter | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        self.meter: Meter = MemoryMeter(clock) if meter is None else meter
        self._counters = MemoryCounters(clock) if counters is None else counters
        self._refusals: Refusals = Unrecorded() if refusals is None else refusals

    @property
    def refusals(self) -> Refusals:
        """Who is told."""
        return self._refusals

    def refused(self, kind: Kind, code: str, account_id: str | None = None) -> None:
        """Tells the audit trail of what needs no ticket."""
        self._refusals.refused(Event(kind, account_id, outcome="refused", reason=code))

    @contextmanager
    def watching(self, kind: Kind, account_id: str | None = None) -> Iterator[None]:
        """The same of whatever is refused within."""
        try:
            yield
        except RequestRejected as fault:
            self.refused(kind, fault.code, account_id)
            raise

    async def guess(
        self,
        origin: Origin,
        account_id: str | None,
        handle: str = "",
        *,
        kind: Kind = "login_refused",
        about: str | None = None,
    ) -> "Ticket":
        """Reserves one attempt at a password or code; call it before anything is checked.

        kind: what the audit trail calls a vain one. about: whom it says that it is about, where that account's attempts
        are not counted.

        handle: what the caller named the account by (casefolded); counted by where there is no such account, so that
        both answer alike. Raises RequestRejected("too_many_attempts"), and then has counted nothing.
        """
        account = _account(account_id, handle)
        known = account_id is not None and await self._counters.knows(account, origin.network)
        own: tuple[Count, ...] = ()
        if account:
            own += (Count(PAIR, f"{account}@{origin.network}"),)
        if account and not known:  # whoever fails elsewhere must not slow down the account's own people
            own += (Count(ACCOUNT, account),)
        counts = (*_places(origin), *own)
        with self.watching(kind, account_id or about):
            stamp = await self._reserve(counts, "too many attempts; wait before the next one", known)
        vain, named = Event(kind, account_id or about, outcome="refused"), account if account_id is not None else ""
        return Ticket(self._counters, counts, own, stamp, named, origin.network, vain, self._refusals)

    async def entered(self, origin: Origin, account_id: str) -> None:
        """A whole login that needed no guess of this account's ticket: as `Ticket.succeeded`, without giving back."""
        account = _account(account_id, "")
        own: tuple[Count, ...] = (Count(PAIR, f"{account}@{origin.network}"),)
        if not await self._counters.knows(account, origin.network):
            own += (Count(ACCOUNT, account),)
        await self._counters.clear(own)
        await self._counters.remember(account, origin.network)

    async def mail(self, origin: Origin, address_key: str, account_id: str | None = None, *, sent: bool = True) -> None:
        """Counts one mail to an address, known or not. sent: False for a decoy, which burdens no mail server.

        From a network that the account is known on, strangers' mails do not count, so that they cannot use up its own.
        Raises RequestRejected("too_many_attempts").
        """
        total = Count(MAIL_ALL, "")
        key = _digest(address_key)
        account = _account(account_id, "")
        known = account_id is not None and await self._counters.knows(account, origin.network)
        counts = [Count(MAIL_ADDRESS, f"{key}@{origin.network}" if known else key), Count(MAIL_NETWORK, origin.network)]
        if origin.site:
            counts.append(Count(MAIL_SITE, origin.site))
        detail = "too many mails were asked for; wait before the next one"
        with self.watching("mail_refused", account_id):
            stamp = await self._reserve(counts if known else [*counts, total], detail, known)
        if not sent:
            self.refused("mail_refused", "no_account", account_id)
            await self._counters.give_back((total,), stamp)

    async def made(self, account_id: str) -> None:
        """Counts one thing that somebody who is logged in makes. Raises RequestRejected("too_many_attempts")."""
        with self.watching("issue_refused", account_id):
            await self._reserve((Count(MADE, account_id),), "too many at once; wait before the next one", known=True)

    async def registration(self, origin: Origin) -> None:
        """Counts one registration. Raises RequestRejected("too_many_attempts")."""
        counts = [Count(REGISTRATION, origin.network)]
        if origin.site:
            counts.append(Count(REGISTRATION_SITE, origin.site))
        with self.watching("registration_refused"):
            await self._reserve(counts, "too many registrations; wait before the next one")

    async def opened(self, origin: Origin, kind: Kind) -> None:
        """Counts the opening of a link that is of no use, and tells of it. Raises RequestRejected
        ("too_many_attempts")."""
        counts = [Count(OPENED, origin.network)]
        if origin.site:
            counts.append(Count(OPENED_SITE, origin.site))
        with self.watching(kind):
            await self._reserve(counts, "too many links of no use were opened; wait before the next one")
        self.refused(kind, "not_found")

    async def poll(self, client: bytes) -> None:
        """Counts one look at a login under way. client: digest of its token. Raises RequestRejected
        ("too_many_attempts")."""
        with self.watching("login_refused"):
            await self._reserve((Count(POLL, client.hex()),), "too many polls; wait before the next one")

    async def _reserve(self, counts: Sequence[Count], detail: str, known: bool = False) -> int:
        found = await self._counters.reserve(counts, known)
        if isinstance(found, Over):
            raise RequestRejected("too_many_attempts", detail, max(1, math.ceil(found.seconds)))
        return found.stamp


@dataclass(frozen=True, slots=True)
class Ticket:
    """A reserved attempt. It is a failure unless one of the two is called, once.

    account: "" where there is none.
    """

    _counters: Counters = field(repr=False)
    _counts: tuple[Count, ...] = field(repr=False)
    _own: tuple[Count, ...] = field(repr=False)
    _stamp: int
    _account: str
    _network: str
    _vain: Event
    _refusals: Refusals = field(repr=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """A failure of ours is no guess: it is given back."""
        if isinstance(error, RequestRejected):
            self._refusals.refused(replace(self._vain, reason=error.code))
        if isinstance(error, DependencyFailed):
            await self.passed()

    async def succeeded(self) -> None:
        """The whole login is done: gives back, forgets the account's failures, and knows this network from now on.

        Logged in from a known network, the account's failures elsewhere stay: they were not the caller's.
        """
        await self.passed()
        await self._counters.clear(self._own)
        if self._account:
            await self._counters.remember(self._account, self._network)

    async def passed(self) -> None:
        """This step was right and another is to come: only gives back.

        Were the failures forgotten, a stolen password would allow any number of guesses at the second factor.
        """
        await self._counters.give_back(self._counts, self._stamp)


def _places(origin: Origin) -> tuple[Count, ...]:
    here = Count(NETWORK, origin.network)
    return (here, Count(SITE, origin.site)) if origin.site else (here,)


def _account(account_id: str | None, handle: str) -> str:
    if account_id is not None:
        return f"id:{account_id}"
    return f"handle:{_digest(handle)}" if handle else ""


def _digest(text: str) -> str:
    """Of bounded length, whatever was sent."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


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
