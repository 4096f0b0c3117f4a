"""The table of revocations: polled twice a second, and never longer than it has to be."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from harness.kept import Kept

from gateway.app.revocations import (
    DOUBT_SECONDS,
    KEPT_SECONDS,
    LOOK_SECONDS,
    POLL_SECONDS,
    PRUNE_SECONDS,
    RevocationPoll,
)
from gateway.errors import DependencyFailed
from gateway.identity.model import Revocation

NOW = 1_800_000_000.0
ROW = Revocation(8, "grant", "g1")


@dataclass
class Table:
    """A store's table. gate: a deletion waits for it, and reading: a read, of which
    there were so many. fails: the store does not delete. broken: nor read. late: is
    committed between two reads."""

    rows: list[Revocation] = field(default_factory=list)
    pruned: list[float] = field(default_factory=list)
    gate: asyncio.Event | None = None
    fails: bool = False
    newest: int = 7
    broken: Exception | None = None
    reading: asyncio.Event | None = None
    reads: int = 0
    late: Revocation | None = None

    async def latest(self) -> int:
        if self.late is not None:
            self.rows.append(self.late)
            self.late = None
        return max([self.newest, *(row.id for row in self.rows)])

    async def since(self, last_id: int) -> Sequence[Revocation]:
        self.reads += 1
        if self.reading is not None:
            await self.reading.wait()
        if self.broken is not None:
            raise self.broken
        return [row for row in self.rows if row.id > last_id]

    async def prune(self, before: float) -> None:
        self.pruned.append(before)
        if self.gate is not None:
            await self.gate.wait()
        if self.fails:
            raise DependencyFailed("store_unavailable")


class Naps:
    """Stands in for asyncio.sleep: sleeps of a kind last until `wake` is called for it."""

    def __init__(self) -> None:
        self._waiting: dict[float, list[asyncio.Event]] = {}

    async def __call__(self, seconds: float) -> None:
        event = asyncio.Event()
        self._waiting.setdefault(seconds, []).append(event)
        await event.wait()

    async def wake(self, seconds: float) -> None:
        """Ends these sleeps, and lets what follows them run."""
        for event in self._waiting.pop(seconds, []):
            event.set()
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def most(_low: float, high: float) -> float:
    return high


AGAIN = 1.2 * PRUNE_SECONDS  # the longest time between two deletions


class Run:
    """A poll that has begun."""

    def __init__(self, table: Table) -> None:
        self.naps, self.log = Naps(), Kept()
        self.applied: list[Revocation] = []
        self.now = NOW
        self.poll = RevocationPoll(table, self.applied.extend, self.log, lambda: self.now, self.naps, between=most)


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
async def running(table: Table) -> Run:
    run = Run(table)
    await run.poll.begin()
    run.poll.start()
    await settle()
    return run


async def test_rows_older_than_a_day_go_within_the_first_hour(running: Run, table: Table) -> None:
    """A day is far more than any cache lives. Not at the start: four hundred workers may start at once."""
    assert table.pruned == []
    await running.naps.wake(PRUNE_SECONDS)
    await running.poll.aclose()
    assert table.pruned == [NOW - 86400.0] == [NOW - KEPT_SECONDS]


async def test_they_go_every_hour(running: Run, table: Table) -> None:
    """And not with every poll."""
    for _ in range(3):
        await running.naps.wake(POLL_SECONDS)
    await running.naps.wake(PRUNE_SECONDS)
    await running.naps.wake(AGAIN)
    await running.poll.aclose()
    assert len(table.pruned) == 2


async def test_a_deletion_that_waits_delays_no_revocation(table: Table) -> None:
    """It may wait for the write lock; the promise is one second."""
    table.gate = asyncio.Event()
    run = Run(table)
    await run.poll.begin()
    run.poll.start()
    await settle()
    await run.naps.wake(PRUNE_SECONDS)
    assert table.pruned
    table.rows.append(ROW)
    await run.naps.wake(POLL_SECONDS)
    await run.poll.aclose()
    assert run.applied == [ROW]


async def test_a_deletion_that_fails_is_told_and_tried_again(table: Table) -> None:
    """The rows are in nobody's way for another hour."""
    table.fails = True
    run = Run(table)
    await run.poll.begin()
    run.poll.start()
    await settle()
    await run.naps.wake(PRUNE_SECONDS)
    await run.naps.wake(AGAIN)
    await run.poll.aclose()
    assert (len(table.pruned), [level for level, _, _ in run.log.lines]) == (2, ["warning", "warning"])


async def test_a_database_that_was_put_back_voids_everything(running: Run, table: Table) -> None:
    """Its ids are lower than the last one seen: waiting for a greater one would take for ever."""
    table.newest = 3
    await running.naps.wake(POLL_SECONDS)
    assert [row.kind for row in running.applied] == ["all", "keys"]
    table.rows.append(Revocation(4, "grant", "g1"))
    await running.naps.wake(POLL_SECONDS)
    await running.poll.aclose()
    assert running.applied[2:] == [Revocation(4, "grant", "g1")]


@pytest.mark.parametrize("newest", [7, 8])
async def test_ids_that_do_not_fall_void_nothing(running: Run, table: Table, newest: int) -> None:
    """The other side: the same, and one whose row is deleted already."""
    table.newest = newest
    await running.naps.wake(POLL_SECONDS)
    await running.poll.aclose()
    assert running.applied == []


@pytest.mark.parametrize("error", [DependencyFailed("store_unavailable", "x"), RuntimeError("x")])
async def test_a_poll_outlives_any_failure_to_read(running: Run, table: Table, error: Exception) -> None:
    """It is told once. Afterwards all is verified anew, and no tunnel ends but those that the rows name."""
    running.now += DOUBT_SECONDS
    table.broken = error
    await running.naps.wake(POLL_SECONDS)
    await running.naps.wake(POLL_SECONDS)
    table.broken = None
    table.rows.append(ROW)
    await running.naps.wake(POLL_SECONDS)
    assert running.poll.alive
    await running.poll.aclose()
    assert [row.kind for row in running.applied] == ["keys", "grant"]
    assert len(running.log.errors) == 1


async def test_a_missed_turn_empties_no_cache(running: Run, table: Table) -> None:
    """The rows say what it missed; nobody puts a database back within five seconds."""
    running.now += DOUBT_SECONDS - 0.1
    table.broken = DependencyFailed("store_unavailable")
    await running.naps.wake(POLL_SECONDS)
    table.broken = None
    table.rows.append(ROW)
    await running.naps.wake(POLL_SECONDS)
    await running.poll.aclose()
    assert running.applied == [ROW]


async def test_what_could_not_be_obeyed_is_tried_again(table: Table) -> None:
    """A row counts as seen when it was obeyed."""
    run, obeyed = Run(table), 0

    def apply(rows: Sequence[Revocation]) -> None:
        nonlocal obeyed
        obeyed += 1
        if obeyed == 1:
            raise RuntimeError("a transport broke")
        run.applied.extend(rows)

    poll = RevocationPoll(table, apply, run.log, lambda: NOW, run.naps, between=most)
    await poll.begin()
    poll.start()
    await settle()
    table.rows.append(ROW)
    await run.naps.wake(POLL_SECONDS)
    await run.naps.wake(POLL_SECONDS)
    await poll.aclose()
    assert ROW in run.applied


async def test_a_row_that_is_committed_between_two_reads_is_obeyed(running: Run, table: Table) -> None:
    """With the next turn: the number of the newest row is not taken for read."""
    table.late = ROW
    await running.naps.wake(POLL_SECONDS)
    await running.naps.wake(POLL_SECONDS)
    await running.poll.aclose()
    assert running.applied == [ROW]


async def test_all_who_come_during_a_look_share_the_next(running: Run, table: Table) -> None:
    """It may have read the table before their changes; one more for all of them is enough."""
    table.reading = asyncio.Event()
    looks = [asyncio.create_task(running.poll.look())]
    await settle()
    looks += [asyncio.create_task(running.poll.look()) for _ in range(8)]
    await settle()
    table.rows.append(ROW)
    table.reading.set()
    await asyncio.gather(*looks)
    await running.poll.aclose()
    assert (table.reads, running.applied) == (2, [ROW])


async def test_nobody_waits_longer_than_a_read_may_take(running: Run, table: Table) -> None:
    """Whose change is made, and obeyed with the next turn: eight wait as long as one, and one line says so for each."""
    table.reading = asyncio.Event()
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(running.poll.look() for _ in range(8)))
    waited = asyncio.get_running_loop().time() - began
    await running.poll.aclose()
    assert LOOK_SECONDS * 0.9 < waited < LOOK_SECONDS * 2


async def test_polls_are_never_further_apart_than_promised(table: Table) -> None:
    """Nor all at one instant: from 0.4 to 0.5 s."""
    asked: list[tuple[float, float]] = []

    def between(low: float, high: float) -> float:
        asked.append((low, high))
        return high

    naps = Naps()
    poll = RevocationPoll(table, lambda _: None, Kept(), lambda: NOW, naps, between=between)
    poll.start()
    await settle()
    await poll.aclose()
    assert sorted(asked) == [(0.0, PRUNE_SECONDS), (0.4, 0.5)]


async def test_what_was_read_last_is_told(table: Table) -> None:
    """For an alarm: since when, and whether the store answers."""
    at = NOW
    naps = Naps()
    poll = RevocationPoll(table, lambda _: None, Kept(), lambda: at, naps, between=most)
    await poll.begin()
    at += 10
    table.broken = DependencyFailed("store_unavailable")
    await poll.look()
    failing = (poll.age, poll.readable)
    table.broken = None
    await poll.look()
    await poll.aclose()
    assert (failing, poll.age, poll.readable) == ((10, False), 0, True)


async def test_a_poll_that_ended_is_not_alive(running: Run) -> None:
    """Which makes the worker unready."""
    await running.poll.aclose()
    assert not running.poll.alive
