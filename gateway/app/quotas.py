"""Limits of routes: from what the operator said to what the edge goes by, and the counts, which outlive a reload."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from gateway.app import compile
from gateway.clock import Clock
from gateway.edge import quota
from gateway.edge.quota import Limits, Rate, Room, Seats, Stage, Subject
from gateway.edge.windows import PARTS, Table
from gateway.routes.model import Route
from gateway.settings.limits import By, ByHeader, Concurrency, RouteLimits
from gateway.settings.limits import Rate as RateSettings
from gateway.settings.model import Settings

MOST_KEYS = 50_000  # of one limit: 16 MB
SWEPT = 2_000  # keys looked at each second, of all limits in turn: 1 ms
KINDS = {
    "route": quota.ROUTE,
    "address": quota.ADDRESS,
    "account": quota.ACCOUNT,
    "grant": quota.GRANT,
    "tenant": quota.TENANT,
}


class Counts:
    """Tables and rooms by their names: a limit that did not change goes on counting where it was.

    With `share` other processes are told of uses, and their uses are learnt (`state.rates`).
    """

    def __init__(self, clock: Clock, most: int = MOST_KEYS) -> None:
        self._clock = clock
        self._most = most
        self._tables: dict[str, Table] = {}
        self._rooms: dict[str, Room] = {}
        self._turn = self._gone = 0
        self._call: Callable[[], object] | None = None
        self._ahead = 0.0

    @property
    def tables(self) -> Sequence[Table]:
        return tuple(self._tables.values())

    @property
    def keys(self) -> int:
        return sum(map(len, self.tables))  # of the moment: a reload's thread adds some

    @property
    def under_way(self) -> int:
        return sum(sum(room.under_way.values()) for room in tuple(self._rooms.values()))

    @property
    def forgotten(self) -> int:
        return self._gone + sum(table.forgotten for table in self.tables)

    def table(self, name: str, seconds: float) -> Table:
        found = self._tables.get(name)
        if found is None:
            found = self._tables[name] = Table(name, seconds, self._most)
            self._join(found)
        return found

    def room(self, name: str) -> Room:
        return self._rooms.setdefault(name, Room())

    def keep(self, limits: Iterable[Limits | None]) -> None:
        """Only the counts of these."""
        used = [stage for each in limits if each is not None for stage in (each.early, each.late)]
        tables = {id(rate.table) for stage in used for rate in stage.rates}
        rooms = {id(seats.room) for stage in used for seats in stage.seats}
        self._gone += sum(table.forgotten for table in self.tables if id(table) not in tables)  # it only grows
        self._tables = {name: table for name, table in self._tables.items() if id(table) in tables}
        self._rooms = {name: room for name, room in self._rooms.items() if id(room) in rooms}

    def sweep(self) -> None:
        """Drops what counts no more, a bit at a time."""
        tables, looks, now = self.tables, SWEPT, self._clock.monotonic()
        for _ in range(len(tables)):
            table = tables[self._turn % len(tables)]
            table.sweep(now, min(looks, len(table)))
            looks -= len(table)
            self._turn += 1
            if looks <= 0:
                return

    def set_ahead(self, seconds: float) -> None:
        """What is to be added to this process' monotonic time, so that all processes have the same."""
        self._ahead = seconds
        for table in self.tables:
            table.ahead = seconds

    def share(self, call: Callable[[], object]) -> None:
        """From now on uses are kept until they are told. call: called when a key has used its share of a limit."""
        self._call = call
        for table in self.tables:
            self._join(table)

    def _join(self, table: Table) -> None:
        table.ahead = self._ahead
        if self._call is not None:
            table.call, table.unsent = self._call, {}

    async def run(self, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        """Sweeps once a second, for ever."""
        while True:
            await sleep(1.0)
            self.sweep()


def make_limits(said: RouteLimits, route: Route, counts: Counts) -> Limits | None:
    """None where nothing is to be looked at for each request."""
    if not (said.rate or said.concurrency or said.head is not None):
        return None
    rates = _rates(said.rate, compile.label(route), counts)
    seats = _seats(said.concurrency, compile.label(route), counts)
    early, late = [
        Stage(
            [rate for rate in rates if (rate.subject.kind in quota.EARLY) is early],
            [each for each in seats if (each.subject.kind in quota.EARLY) is early],
            _policy(rate for rate in rates if (rate.subject.kind in quota.EARLY) is early),
        )
        for early in (True, False)
    ]
    by_address = [rate for rate in rates if rate.subject.kind == quota.ADDRESS]
    return Limits(early, late, Stage(by_address, [], _policy(by_address)), said.head)


def least_head(settings: Settings) -> int | None:
    """Bytes of the smallest head that a route has a limit for."""
    return min((head for route in settings.routes if (head := route.limits.head) is not None), default=None)


def told(limits: Limits) -> str:
    """All of it in one line, for people."""
    parts = [] if limits.head is None else [f"heads of up to {limits.head} bytes"]
    for stage in (limits.early, limits.late):
        parts += [*(seats.text for seats in stage.seats), *(rate.text for rate in stage.rates)]
    return "; ".join(part.rstrip(".") for part in parts)


def _rates(said: Sequence[RateSettings], label: str, counts: Counts) -> list[Rate]:
    names = [rule.shared or _word(rule.by) for rule in said]
    rates = []
    for rule, name in zip(said, names, strict=True):
        seconds = int(rule.in_)
        item = name if names.count(name) == 1 else f"{name}-{seconds}s"
        table = counts.table(identity(rule, label), rule.in_)
        text = f"At most {rule.at_most} requests in {seconds} s by {spelt(rule.by)}."
        rates.append(Rate(_subject(rule.by), rule.at_most, table, f'"{item}"'.encode(), text))
    return rates


def _seats(said: Sequence[Concurrency], label: str, counts: Counts) -> list[Seats]:
    return [
        Seats(
            _subject(rule.by),
            rule.at_most,
            counts.room(f"{label} {spelt(rule.by)}"),
            f"At most {rule.at_most} at once by {spelt(rule.by)}.",
        )
        for rule in said
    ]


def _policy(rates: Iterable[Rate]) -> bytes:
    """The field of draft-ietf-httpapi-ratelimit-headers-11 section 3."""
    items = [b"%b;q=%d;w=%d" % (rate.item, rate.at_most, round(rate.table.part * PARTS)) for rate in rates]
    return b"ratelimit-policy: %b\r\n" % b", ".join(items) if items else b""


def identity(rule: RateSettings, label: str) -> str:
    """The same in every process that shares the count, and after a reload; not the number, which may be turned."""
    owner = f"route {label}" if rule.shared is None else f"shared {rule.shared}"
    return f"{owner}\0{spelt(rule.by)}\0{int(rule.in_)}"


def _subject(by: By) -> Subject:
    if isinstance(by, ByHeader):
        return Subject(quota.HEADER, "header", by.header.encode("ascii"))
    return Subject(KINDS[by], by)


def _word(by: By) -> str:
    return "header" if isinstance(by, ByHeader) else by


def spelt(by: By) -> str:
    return f"header {by.header}" if isinstance(by, ByHeader) else by


def quotas_of(settings: Settings, routes: Sequence[Route], counts: Counts) -> Mapping[Route, Limits]:
    """routes: of the settings, in their order."""
    found = {
        route: make_limits(said.limits, route, counts) for said, route in zip(settings.routes, routes, strict=True)
    }
    return {route: limits for route, limits in found.items() if limits is not None}
