"""When everything is walked over for garbage: not while requests would wait for it, but in the end."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from gateway.cli import heap
from gateway.cli.heap import ENOUGH, MOST, QUIET, REPLACED, Heap, tended_heap


class Rig:
    """A second passes with each look."""

    def __init__(self) -> None:
        self.reloads = self.walks = self.collected = 0
        self.now = self.spent = 0.0
        self.heap = Heap(lambda: self.reloads, self.collect, lambda: self.walks, lambda: self.spent, lambda: self.now)

    def collect(self) -> None:
        self.collected += 1

    def look(self, busy: bool, seconds: int = 1) -> int:
        """How often everything was walked over, so far."""
        for _ in range(seconds):
            self.now += 1.0
            self.spent += 3 * QUIET if busy else QUIET / 3
            self.heap.look()
        return self.collected


def test_where_little_has_come_nothing_is_looked_for() -> None:
    rig = Rig()
    rig.walks = ENOUGH - 1
    assert rig.look(busy=False, seconds=10_000) == 0


def test_a_quiet_second_is_used_once() -> None:
    rig = Rig()
    rig.walks = ENOUGH
    assert [rig.look(busy) for busy in (True, True, False, False)] == [0, 0, 1, 1]
    rig.walks += ENOUGH
    assert rig.look(busy=False) == 2


def test_who_is_never_quiet_waits_in_the_end() -> None:
    rig = Rig()
    rig.walks = MOST - 1
    assert rig.look(busy=True, seconds=100) == 0
    rig.walks += 1
    assert (rig.look(busy=True), rig.look(busy=True)) == (1, 1)


def test_a_replaced_configuration_goes_soon() -> None:
    rig = Rig()
    rig.reloads = 1
    assert [rig.look(busy) for busy in (True, False, False)] == [0, 1, 1]
    rig.reloads = 2
    assert (rig.look(busy=True, seconds=int(REPLACED)), rig.look(busy=True), rig.look(busy=True)) == (1, 2, 2)


async def test_it_is_looked_at_every_second() -> None:
    rig = Rig()
    rig.walks = MOST
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(rig.heap.tend(), 1.5)
    assert rig.collected == 1


class Ring:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def unfrozen() -> Iterator[None]:
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("unfrozen")
async def test_python_walks_only_over_what_is_new_until_a_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then what nothing leads to is gone, however old; and the task ends with the block."""
    monkeypatch.setattr(heap, "REPLACED", 0.0)  # seconds: other threads of the tests' process may never be quiet
    before, tasks, asked = gc.get_threshold(), asyncio.all_tasks(), 0
    looked, freed = asyncio.Event(), asyncio.Event()

    def reloads() -> int:
        nonlocal asked
        asked += 1
        if asked == 2:
            looked.set()
        return asked // 3

    with tended_heap(reloads):
        [tending] = asyncio.all_tasks() - tasks
        ring = Ring()
        gone = weakref.ref(ring, lambda _: freed.set())
        kept = [[number] for number in range(100_000)]  # long enough for it to be old
        del ring
        full = gc.get_stats()[2]["collections"]
        await looked.wait()
        assert (gone() is not None, gc.get_stats()[2]["collections"] - full) == (True, 0)
        await freed.wait()
        assert len(kept) == 100_000
    await asyncio.wait([tending])
    assert (tending.cancelled(), gc.get_threshold()) == (True, before)
