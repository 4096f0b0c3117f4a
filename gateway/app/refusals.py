"""What is refused, counted until it is written: whoever tries a thousand passwords gets a handful of rows.

Alike refusals of one minute (kind, reason, account, network of the client, API) are one sort. The first of a sort is
written within a second, and what came after it, with how often, when the minute is over. Of each minute there are at
most `SORTS` sorts; what is beyond is counted by kind and reason alone, and beyond `TOGETHER` of those, in one number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.clock import Clock
from gateway.identity.audit import Event, Scope, scope
from gateway.identity.origin import Origin

WINDOW: Final = 60.0  # seconds
SORTS: Final = 30  # with what is counted together, at most 51 rows each when it begins and ends: 70 MB on a bad day
TOGETHER: Final = 20

_Key = tuple[str, ...]


@dataclass(slots=True)
class _Sort:
    """event, by: of the first. times: since then. told: how many of them are written."""

    event: Event
    by: Scope
    since: float
    times: int = 1
    told: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be written now. last: the minute is over."""

    rows: Sequence[tuple[Event, Scope]]
    last: bool
    _counted: Sequence[tuple[_Sort, int]] = field(repr=False)


class CountedRefusals:
    """`identity.audit.Refusals`."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.now
        self._monotonic = clock.monotonic
        self._opened = 0.0
        self._sorts: dict[_Key, _Sort] = {}
        self._together: dict[_Key, _Sort] = {}

    def refused(self, event: Event) -> None:
        by = scope()
        if not self._sorts:
            self._opened = self._monotonic()
        key = (event.kind, event.reason, event.account_id or "", Origin(by.address).network, by.dialect, by.actor)
        sort = self._sorts.get(key)
        if sort is not None:
            sort.times += 1
        elif len(self._sorts) < SORTS:
            self._sorts[key] = _Sort(event, by, self._now())
        else:
            self._count_together(event)

    def due(self) -> Batch | None:
        """What is to be written; `written` says that it was. None when there is nothing."""
        over = bool(self._sorts) and self._monotonic() - self._opened >= WINDOW
        ready = [sort for sort in self._all() if sort.times > sort.told and (over or not sort.told)]
        if not ready and not over:
            return None
        return Batch([_row(sort) for sort in ready], over, [(sort, sort.times) for sort in ready])

    def written(self, batch: Batch) -> None:
        for sort, times in batch._counted:
            sort.told = times
            sort.since = self._now()
        if batch.last:  # what came meanwhile goes into the next minute
            self._sorts = _left(self._sorts)
            self._together = _left(self._together)
            self._opened = self._monotonic()

    def rest(self) -> Batch:
        """All that is not written, before the end."""
        ready = [sort for sort in self._all() if sort.times > sort.told]
        return Batch([_row(sort) for sort in ready], True, [(sort, sort.times) for sort in ready])

    def _all(self) -> list[_Sort]:
        return [*self._sorts.values(), *self._together.values()]

    def _count_together(self, event: Event) -> None:
        key: _Key = (event.kind, event.reason)
        if key not in self._together and len(self._together) >= TOGETHER:
            key = ("", "")
        sort = self._together.get(key)
        if sort is not None:
            sort.times += 1
            return
        kind = {"kind": key[0]} if key[0] else {}
        dropped = Event("refusals_dropped", outcome="refused", reason=key[1], detail=kind)
        self._together[key] = _Sort(dropped, Scope(), self._now())


def _row(sort: _Sort) -> tuple[Event, Scope]:
    times = sort.times - sort.told
    if times == 1:
        return sort.event, sort.by
    detail = {**sort.event.detail, "times": times, "since": round(sort.since, 3)}
    return replace(sort.event, detail=detail), sort.by


def _left(sorts: dict[_Key, _Sort]) -> dict[_Key, _Sort]:
    left = {key: sort for key, sort in sorts.items() if sort.times > sort.told}
    return {key: replace(sort, times=sort.times - sort.told, told=0) for key, sort in left.items()}
