"""When everything is walked over for garbage: not while requests would wait for it, but in the end."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from gateway.cli.heap import ENOUGH, MOST, QUIET, REPLACED, Heap, settle_heap


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


@pytest.fixture
def settled() -> Iterator[None]:
    before = gc.get_threshold()
    settle_heap()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


class Ring:
    def __init__(self) -> None:
        self.itself = self


@pytest.mark.usefixtures("settled")
def test_python_walks_only_over_what_is_new() -> None:
    """Whatever comes, until it is asked to; then what nothing leads to is gone."""
    ring = Ring()
    gone = weakref.ref(ring)
    kept = [[number] for number in range(100_000)]  # long enough for it to be old
    del ring
    kept += [[number] for number in range(100_000)]
    full = gc.get_stats()[2]["collections"]
    kept += [[number] for number in range(400_000)]
    assert (gone() is not None, gc.get_stats()[2]["collections"] - full) == (True, 0)
    walks = [0, MOST, MOST]
    Heap(lambda: 0, walks=lambda: walks.pop(0)).look()
    assert (gone(), len(kept)) == (None, 600_000)
