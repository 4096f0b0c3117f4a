"""Upkeep: when grants were used last is written once a minute and at the end, and nothing of it is lost."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field

import pytest
from harness.kept import Kept
from harness.people import People
from harness.site import Running, Site

from gateway.app.upkeep import FORGET_SECONDS, KEPT_SECONDS, USED_SECONDS, Upkeep
from gateway.clock import Clock
from gateway.errors import DependencyFailed

NOW = 1_800_000_000.0


class HandLoop(asyncio.SelectorEventLoop):
    """Its time goes on by hand alone."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 1000.0

    def time(self) -> float:
        return self.at


@dataclass
class Books:
    """A store's books. error: raised once instead of writing. during: called while it writes."""

    written: list[Mapping[str, float]] = field(default_factory=list)
    forgotten: list[float] = field(default_factory=list)
    error: Exception | None = None
    during: Callable[[], None] | None = None

    async def touch(self, used: Mapping[str, float]) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error
        self.written.append(dict(used))
        if self.during is not None:
            self.during()

    async def forget(self, before: float) -> None:
        self.forgotten.append(before)


def middle(count: int) -> bytes:
    """Chance that makes every sleep as long as it is said."""
    return b"\x80".ljust(count, b"\0")


@dataclass
class Run:
    """uses: what the generations have seen since they were last asked."""

    books: Books = field(default_factory=Books)
    uses: list[Mapping[str, float]] = field(default_factory=list)
    log: Kept = field(default_factory=Kept)

    def __post_init__(self) -> None:
        self.upkeep = Upkeep(self.books, self._taken, self.log, Clock(now=lambda: NOW, token_bytes=middle))

    def _taken(self) -> Iterable[Mapping[str, float]]:
        taken, self.uses = self.uses, []
        return taken

    async def after(self, seconds: float) -> None:
        """Moves the time forward, and lets what is due run."""
        await settle()  # sleeps begin first
        loop = asyncio.get_running_loop()
        assert isinstance(loop, HandLoop)
        loop.at += seconds
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def by_hand(work: Callable[[Run], Awaitable[None]]) -> Run:
    """What a started upkeep has done when it is closed after this work."""

    async def whole() -> Run:
        run = Run()
        run.upkeep.start()
        await work(run)
        await run.upkeep.aclose()
        return run

    with asyncio.Runner(loop_factory=HandLoop) as runner:
        return runner.run(whole())


@pytest.mark.parametrize(("seconds", "times"), [(USED_SECONDS - 0.5, 0), (USED_SECONDS, 1)])
def test_uses_are_written_once_a_minute(seconds: float, times: int) -> None:
    """Both sides of it."""
    found: list[int] = []

    async def work(run: Run) -> None:
        run.uses.append({"g1": 1.0})
        await run.after(seconds)
        found.append(len(run.books.written))

    by_hand(work)
    assert found == [times]


def test_nothing_is_written_where_nothing_was_used() -> None:
    """A write takes the lock from others."""

    async def work(run: Run) -> None:
        for _ in range(3):
            await run.after(USED_SECONDS)

    assert by_hand(work).books.written == []


def test_a_use_is_written_once() -> None:
    """The next minute has only its own."""

    async def work(run: Run) -> None:
        for name in ("g1", "g2"):
            run.uses.append({name: 1.0})
            await run.after(USED_SECONDS)

    assert by_hand(work).books.written == [{"g1": 1.0}, {"g2": 1.0}]


def test_what_is_left_is_written_at_the_end() -> None:
    """Of a minute that is not over."""

    async def work(run: Run) -> None:
        run.uses.append({"g1": 1.0})

    assert by_hand(work).books.written == [{"g1": 1.0}]


def test_a_generation_that_ended_before_hands_over_its_uses() -> None:
    """It is asked no more."""

    async def work(run: Run) -> None:
        run.upkeep.take({"g1": 1.0})
        run.uses.append({"g2": 2.0})

    assert by_hand(work).books.written == [{"g1": 1.0, "g2": 2.0}]


@pytest.mark.parametrize("error", [DependencyFailed("store_unavailable"), RuntimeError("whatever")])
def test_uses_that_the_store_did_not_take_are_written_the_next_time(error: Exception) -> None:
    """With those that came meanwhile."""

    async def work(run: Run) -> None:
        run.books.error = error
        run.uses.append({"g1": 1.0})
        await run.after(USED_SECONDS)
        run.uses.append({"g2": 2.0})
        await run.after(USED_SECONDS)

    assert by_hand(work).books.written == [{"g1": 1.0, "g2": 2.0}]


def test_a_use_that_comes_while_the_store_writes_is_not_lost() -> None:
    """A generation ends whenever its last tunnel does."""

    async def work(run: Run) -> None:
        run.books.during = lambda: run.upkeep.take({"g2": 2.0})
        run.uses.append({"g1": 1.0})
        await run.after(USED_SECONDS)
        run.books.during = None

    assert any("g2" in written for written in by_hand(work).books.written)


def test_the_later_one_of_two_uses_counts() -> None:
    """An old generation may be asked after the new one."""

    async def work(run: Run) -> None:
        run.uses.extend(({"g1": 5.0}, {"g1": 3.0}))

    assert by_hand(work).books.written == [{"g1": 5.0}]


def test_a_store_that_stays_away_is_told_once() -> None:
    """Not with every minute."""

    async def work(run: Run) -> None:
        for _ in range(3):
            run.uses.append({"g1": 1.0})
            run.books.error = DependencyFailed("store_unavailable")
            await run.after(USED_SECONDS)

    assert [line[1] for line in by_hand(work).log.lines] == ["the store's upkeep waits"]


@pytest.mark.parametrize(("seconds", "found"), [(FORGET_SECONDS - 0.5, []), (FORGET_SECONDS, [NOW - KEPT_SECONDS])])
def test_what_is_old_is_forgotten_once_an_hour(seconds: float, found: list[float]) -> None:
    """A day after it was over."""

    async def work(run: Run) -> None:
        await run.after(seconds)

    assert by_hand(work).books.forgotten == found


def used(running: Running) -> list[bool]:
    """Of Ada's session and of Bob's: whether it was used, as the database has it."""
    people = running.people
    with closing(sqlite3.connect(people.folder / "gateway.db")) as connection:
        rows = dict(connection.execute("SELECT id, last_used_at FROM grant_").fetchall())
    return [rows[someone.grant_id] is not None for someone in (people.ada, people.bob)]


async def test_a_gateway_that_stops_has_written_who_used_it(site: Site, people: People) -> None:
    """And nothing of whoever did not."""
    running = await site.gateway(await site.upstream())
    await (await site.client(running)).ask("/secure/x", people.ada.field)
    before = used(running)
    await running.stop()
    assert (before, used(running)) == ([False, False], [True, False])


async def test_a_reload_loses_no_use(site: Site, people: People) -> None:
    """Of the generation that went."""
    running = await site.gateway(await site.upstream())
    await (await site.client(running)).ask("/secure/x", people.ada.field)
    await running.gateway.reload()
    await running.stop()
    assert used(running) == [True, False]
