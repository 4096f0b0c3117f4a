"""What a route lets one caller do: how often, how many at once, with how large a head. How uses are counted is in
`windows`; what the operator said became these objects in `app.quotas`.

Nothing here waits. What is refused is not counted, and closes nothing.
"""

import math
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv6Address, IPv6Network
from typing import Final

from gateway.edge.windows import Table, Window
from gateway.errors import GatewayError, RequestRejected
from gateway.pipeline import Permit
from gateway.wire.message import Request

ROUTE: Final = 0
ADDRESS: Final = 1
HEADER: Final = 2
ACCOUNT: Final = 3
GRANT: Final = 4
TENANT: Final = 5
EARLY: Final = frozenset((ROUTE, ADDRESS, HEADER))  # known before the credential is looked at, and so protect it

BUSY_SECONDS: Final = 1  # to come back after: how long others will take, nobody knows
SHARES: Final = 8  # of a limit: a process that has used one of them tells the others at once
_LONGEST: Final = 64  # bytes of a header's value that are kept as they are
_REMEMBERED: Final = 4096  # networks


class Subject:
    """Who is counted. kind: one of the numbers above. header: its lower-case name. word: for people."""

    __slots__ = ("header", "kind", "word")

    def __init__(self, kind: int, word: str, header: bytes = b"") -> None:
        self.kind = kind
        self.word = word
        self.header = header

    def early(self, request: Request, address: str) -> str:
        """address: of the client, behind the proxies that are trusted."""
        if self.kind == ADDRESS:
            return address if ":" not in address else network(address)
        return "" if self.kind == ROUTE else _value(request, self.header)

    def late(self, permit: Permit) -> str:
        """What a credential does not say counts under the nearest that it does: nobody is without a count, and the
        caller chooses none of it."""
        caller = permit.principal
        if caller is None:
            return ""
        if self.kind == GRANT and caller.grant_id is not None:
            return caller.grant_id
        if self.kind == TENANT and caller.tenant_id is not None:
            return f"tenant {caller.tenant_id}"
        if caller.account is not None:
            return caller.account.id
        return f"{caller.issuer} {caller.subject}"


class Rate:
    """At most so many requests of a subject in any window. item: its name in the answer's fields, quoted."""

    __slots__ = ("at_most", "item", "share", "subject", "table", "text")

    def __init__(self, subject: Subject, at_most: int, table: Table, item: bytes, text: str) -> None:
        """text: the limit, for people."""
        self.subject = subject
        self.at_most = at_most
        self.table = table
        self.item = item
        self.text = text
        self.share = max(1, at_most // SHARES)


class Room:
    """Exchanges under way, by key. One that has ended leaves nothing behind."""

    __slots__ = ("under_way",)

    def __init__(self) -> None:
        self.under_way: dict[str, int] = {}

    def take(self, key: str, at_most: int) -> bool:
        count = self.under_way.get(key, 0)
        if count >= at_most:
            return False
        self.under_way[key] = count + 1
        return True

    def leave(self, key: str) -> None:
        count = self.under_way[key] - 1
        if count:
            self.under_way[key] = count
        else:
            del self.under_way[key]


class Seats:
    """At most so many exchanges of a subject at once, in this process."""

    __slots__ = ("at_most", "room", "subject", "text")

    def __init__(self, subject: Subject, at_most: int, room: Room, text: str) -> None:
        self.subject = subject
        self.at_most = at_most
        self.room = room
        self.text = text


class Ticket:
    """What one exchange holds of the limits. lines: whole field lines for its answer. fault: why it may not go on.

    seated: whether it takes as long as an answer does; what is only asked about does not.
    """

    __slots__ = ("_held", "_limits", "fault", "lines", "seated")

    def __init__(self, limits: "Limits", seated: bool) -> None:
        self._limits = limits
        self.seated = seated
        self.lines = b""
        self.fault: GatewayError | None = None
        self._held: list[tuple[Room, str]] | None = None

    def hold(self, room: Room, key: str) -> None:
        if self._held is None:
            self._held = []
        self._held.append((room, key))

    def admit(self, permit: Permit, now: float) -> None:
        """The caller is known, and may. now: monotonic seconds."""
        late = self._limits.late
        if not (late.rates or late.seats):
            return
        keys = [rate.subject.late(permit) for rate in late.rates]
        places = [seats.subject.late(permit) for seats in late.seats]
        late.count(self, keys, places, now)

    def take_lines(self) -> bytes:
        """Those that have come up since."""
        lines, self.lines = self.lines, b""
        return lines

    def release(self) -> None:
        """The exchange is over; a second call does nothing."""
        held, self._held = self._held, None
        if held is not None:
            for room, key in held:
                room.leave(key)


class Stage:
    """The limits of a route that are looked at together. policy: the field line that tells them, or b""."""

    __slots__ = ("_opening", "rates", "seats")

    def __init__(self, rates: list[Rate], seats: list[Seats], policy: bytes) -> None:
        self.rates = rates
        self.seats = seats
        self._opening = policy + b"ratelimit: "

    def count(self, ticket: Ticket, keys: list[str], places: list[str], now: float) -> None:
        """keys: of the rates, in their order; places: of the seats."""
        if self.seats and ticket.seated:
            self._sit(ticket, places)
            if ticket.fault is not None:
                return
        if len(self.rates) == 1:
            self._one(ticket, self.rates[0], keys[0], now)
        elif self.rates:
            self._all(ticket, keys, now)

    def _sit(self, ticket: Ticket, places: list[str]) -> None:
        for number, seats in enumerate(self.seats):
            if seats.room.take(places[number], seats.at_most):
                ticket.hold(seats.room, places[number])
                continue
            # a busy route is no outage of ours to be logged as one: the operator has chosen the number
            code = "route_busy" if seats.subject.kind == ROUTE else "too_many_at_once"
            ticket.fault = RequestRejected(code, seats.text, retry_after=BUSY_SECONDS)
            return

    def _one(self, ticket: Ticket, rate: Rate, key: str, now: float) -> None:
        """As `_all`, in half of the time."""
        table = rate.table
        window = table.at(key, now)
        left = rate.at_most - window.total
        if left > 0:
            left -= 1
            table.use(key, window, rate.share)
            seconds = _seconds(rate, window, now)
        else:
            left, seconds = 0, _seconds(rate, window, now)
            ticket.fault = RequestRejected("rate_limited", rate.text, retry_after=seconds)
        ticket.lines += b"%b%b;r=%d;t=%d\r\n" % (self._opening, rate.item, left, seconds)

    def _all(self, ticket: Ticket, keys: list[str], now: float) -> None:
        """All are looked at before one is counted: what one refuses does not use up another."""
        windows: list[Window] = []
        wait = 0
        over: Rate | None = None
        for number, rate in enumerate(self.rates):
            window = rate.table.at(keys[number], now)
            windows.append(window)
            if window.total >= rate.at_most:
                seconds = _seconds(rate, window, now)
                if over is None or seconds > wait:
                    over, wait = rate, seconds
        items: list[bytes] = []
        for number, rate in enumerate(self.rates):
            window = windows[number]
            if over is None:
                rate.table.use(keys[number], window, rate.share)
            left = rate.at_most - window.total
            items.append(b"%b;r=%d;t=%d" % (rate.item, left if left > 0 else 0, _seconds(rate, window, now)))
        ticket.lines += b"%b%b\r\n" % (self._opening, b", ".join(items))
        if over is not None:
            ticket.fault = RequestRejected("rate_limited", over.text, retry_after=wait)


class Limits:
    """Of one route. early: by what is known before the credential is looked at. late: by who the caller is. asked: the
    early ones that a preflight counts for, those by address.

    head: bytes of a request's head, None where the listener's limit is enough.
    """

    __slots__ = ("asked", "early", "head", "late")

    def __init__(self, early: Stage, late: Stage, asked: Stage, head: int | None) -> None:
        self.early = early
        self.late = late
        self.asked = asked
        self.head = head

    def enter(self, request: Request, address: str, now: float, seated: bool = True) -> Ticket:
        """now: monotonic seconds. seated: as in Ticket."""
        ticket = Ticket(self, seated)
        if self.head is not None and seated and request.size > self.head:
            ticket.fault = head_too_large(self.head)
            return ticket
        early = self.early
        if early.rates or early.seats:
            keys = [rate.subject.early(request, address) for rate in early.rates]
            places = [seats.subject.early(request, address) for seats in early.seats]
            early.count(ticket, keys, places, now)
        return ticket

    def ask(self, request: Request, address: str, now: float) -> Ticket:
        """For a preflight. It takes no place, and has none of the headers that others are counted by."""
        ticket = Ticket(self, False)
        if self.asked.rates:
            self.asked.count(ticket, [rate.subject.early(request, address) for rate in self.asked.rates], [], now)
        return ticket


def head_too_large(limit: int) -> RequestRejected:
    return RequestRejected("head_too_large", f"This route takes request heads of up to {limit} bytes.")


def body_too_large(limit: int) -> RequestRejected:
    return RequestRejected("body_too_large", f"This route takes bodies of up to {limit} bytes.")


def _seconds(rate: Rate, window: Window, now: float) -> int:
    """Whole seconds until there is room for one more than now, rounded up: nobody who waits them comes too early."""
    over = window.total - rate.at_most
    left = math.ceil(rate.table.seconds(window, over + 1 if over > 0 else 1, now))
    return left if left > 1 else 1


def _value(request: Request, name: bytes) -> str:
    """Of the header; "" is shared by all who leave it out or send several, so that to repeat it is no fresh start."""
    found = request.value(name)
    if len(found) > _LONGEST:
        return blake2b(found, digest_size=16).hexdigest()
    return found.decode("latin-1")


@lru_cache(_REMEMBERED)
def network(address: str) -> str:
    """The /64 of an IPv6 address, as one site has at least: its holder has 2**64 of them to ask from.

    An IPv4 address in the form of IPv6 (RFC 4291 section 2.5.5.2) is itself: one /64 has all of them.
    """
    mapped = IPv6Address(address).ipv4_mapped
    return str(mapped) if mapped is not None else str(IPv6Network((address, 64), strict=False))
