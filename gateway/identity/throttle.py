"""How often one may guess, ask for mails and register: the numbers, and the counting of them.

Each use is reserved before anything is checked, so that guesses in parallel are all counted; a right one is given back.
The `limits` package cannot give back, and would charge people for logging in. What a single challenge or code bears is
not here, but with the challenge.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from gateway.clock import Clock
from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.audit import Event, Kind, Refusals, Unrecorded
from gateway.identity.counting import Count, Counters, MemoryCounters, Over
from gateway.identity.limits import (
    ACCOUNT,
    MADE,
    MAIL_ADDRESS,
    MAIL_ALL,
    MAIL_NETWORK,
    MAIL_SITE,
    NETWORK,
    OPENED,
    OPENED_SITE,
    PAIR,
    POLL,
    REGISTRATION,
    REGISTRATION_SITE,
    SITE,
)
from gateway.identity.meter import MemoryMeter, Meter
from gateway.identity.origin import Origin


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
