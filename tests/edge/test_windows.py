"""Sliding windows, by a clock that the test holds: never more than the limit in any window, whatever comes."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.edge.windows import LOOKED_AT, PARTS, Table, Window

WINDOW = 10.0  # seconds: a part is one


class Counted:
    """A table with one limit, used as `quota` uses it."""

    def __init__(self, at_most: int = 3, most: int = 1000, shared: bool = False) -> None:
        self.table = Table("t", WINDOW, most)
        self.at_most = at_most
        if shared:
            self.table.unsent = {}

    def ask(self, now: float, key: str = "k") -> bool:
        window = self.table.at(key, now)
        if window.total >= self.at_most:
            return False
        self.table.use(key, window, 1)
        return True

    def told(self, *others: "Counted", now: float) -> None:
        """What this one has used since is told to the others, as if by way of a server that adds it up."""
        for key, uses in self.table.take(1000, now):
            for other in others:
                mine = other.table.at(key, now)
                held = {n: mine.counts[n % (PARTS + 1)] for n in range(mine.slot - PARTS, mine.slot + 1)}
                other.table.learn(key, {n: held.get(n, 0) + uses.get(n, 0) for n in {*held, *uses}}, now)


def test_the_limit_passes_and_one_more_does_not() -> None:
    """Both sides of the number."""
    counted = Counted(3)
    assert [counted.ask(0.0) for _ in range(4)] == [True, True, True, False]


def test_a_use_counts_until_its_part_has_left_the_window() -> None:
    """Used in the part that begins at 0: not before 11 seconds, a tenth after the window, is there room again."""
    counted = Counted(1)
    assert counted.ask(0.5)
    assert not counted.ask(10.4)
    assert not counted.ask(10.99)
    assert counted.ask(11.0)


def test_what_is_refused_does_not_count() -> None:
    """Whoever goes on asking is let through as soon as whoever has waited."""
    counted = Counted(1)
    assert counted.ask(0.0)
    assert not any(counted.ask(at / 10) for at in range(1, 110))
    assert counted.ask(11.0)


@pytest.mark.parametrize(("uses", "wait"), [(1, 11.0), (2, 14.0), (3, 14.0)])
def test_how_long_until_some_uses_count_no_more(uses: int, wait: float) -> None:
    """The oldest goes first; those of one part go together."""
    table = Table("t", WINDOW, 10)
    for at in (0.0, 3.2, 3.9):
        table.use("k", table.at("k", at), 0)
    assert table.seconds(table.at("k", 3.9), uses, 3.9) == pytest.approx(wait - 3.9)


def test_nothing_used_is_nothing_to_wait_for() -> None:
    """A new key."""
    table = Table("t", WINDOW, 10)
    assert table.seconds(table.at("k", 5.0), 1, 5.0) == 0.0


def test_keys_do_not_count_for_each_other() -> None:
    """One that is full leaves the other alone."""
    counted = Counted(1)
    assert counted.ask(0.0, "a")
    assert not counted.ask(0.0, "a")
    assert counted.ask(0.0, "b")


TIMES = st.lists(st.floats(0.0, 4.0), min_size=1, max_size=200)


@given(TIMES, st.integers(1, 12))
@settings(max_examples=300)
def test_no_window_ever_has_more_than_the_limit(gaps: list[float], at_most: int) -> None:
    """Against the list of all times that were let through: in any ten seconds at most so many; and whoever has had room
    for eleven seconds is never refused."""
    counted, passed, now = Counted(at_most), list[float](), 100.0
    for gap in gaps:
        now += gap
        if counted.ask(now):
            passed.append(now)
            assert sum(at > now - WINDOW for at in passed) <= at_most
        else:
            assert sum(at > now - WINDOW - WINDOW / PARTS for at in passed) >= at_most


@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(0, 2), st.booleans()), max_size=150), st.integers(1, 8))
@settings(max_examples=300)
def test_processes_that_tell_each_other_stay_within_the_bound(
    steps: list[tuple[float, int, bool]], at_most: int
) -> None:
    """Three processes, told at any moments: in any window at most the limit, and what the others let through of which
    the last to be asked had not been told."""
    fleet = [Counted(at_most, shared=True) for _ in range(3)]
    passed, now = list[tuple[float, int]](), 100.0
    untold: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for gap, who, tell in steps:
        now += gap
        if tell:
            fleet[who].told(*(each for each in fleet if each is not fleet[who]), now=now)
            untold[who] = []
        elif fleet[who].ask(now):
            passed.append((now, who))
            untold[who].append(now)
            in_window = sum(at > now - WINDOW for at, _ in passed)
            unknown = sum(at > now - WINDOW for other, times in untold.items() if other != who for at in times)
            assert in_window <= at_most + unknown
            assert in_window <= 3 * at_most


def test_what_is_known_here_is_never_less_after_hearing_from_the_others() -> None:
    """A server that lost its data says zero: no fresh start."""
    counted = Counted(2, shared=True)
    assert counted.ask(5.0)
    assert counted.ask(5.0)
    counted.table.learn("k", {}, 5.0)
    assert not counted.ask(5.0)


def test_a_part_that_cannot_be_yet_is_not_believed() -> None:
    """One part ahead is another node's clock; more would keep a key shut for as long as somebody says."""
    counted = Counted(2, shared=True)
    counted.ask(5.0)
    counted.table.learn("k", {6: 1, 7: 100, 10**9: 100}, 5.0)
    assert counted.table.at("k", 5.0).total == 2


def test_what_was_not_told_is_told_later_once() -> None:
    """While nobody hears, uses add up by part; what left the window is not told any more."""
    counted = Counted(10, shared=True)
    counted.ask(0.0)
    counted.ask(0.5)
    counted.ask(5.0)
    assert counted.table.take(10, 5.0) == [("k", {0: 2, 5: 1})]
    assert counted.table.take(10, 5.0) == []
    counted.ask(6.0)
    assert counted.table.take(10, 30.0) == []


def test_a_share_that_is_used_calls_for_telling() -> None:
    """Once, with the use that reaches it; and anew after it was told."""
    table, calls = Table("t", WINDOW, 10), list[int]()
    table.unsent, table.call = {}, lambda: calls.append(1)
    for _ in range(5):
        table.use("k", table.at("k", 0.0), 3)
    assert len(calls) == 1
    table.take(10, 0.0)
    for _ in range(3):
        table.use("k", table.at("k", 0.0), 3)
    assert len(calls) == 2


def test_a_share_is_of_all_parts_that_were_not_told() -> None:
    """Two of three before a part's end, and the third after it."""
    table, calls = Table("t", WINDOW, 10), list[int]()
    table.unsent, table.call = {}, lambda: calls.append(1)
    for at in (0.8, 0.9, 1.1):
        assert not calls
        table.use("k", table.at("k", at), 3)
    assert len(calls) == 1


def test_a_clock_that_was_set_back_neither_frees_nor_shuts_for_long() -> None:
    """What was used counts for one window more, from the new time on."""
    counted = Counted(1)
    assert counted.ask(1000.0)
    assert not counted.ask(500.0)
    assert not counted.ask(510.9)
    assert counted.ask(511.0)


def test_a_flood_of_keys_does_not_free_who_has_used_a_limit_up() -> None:
    """A hundred times as many strangers as there are places: the one that was refused before is refused after."""
    counted = Counted(5, most=1000)
    for _ in range(5):
        assert counted.ask(0.0, "heavy")
    for number in range(100_000):
        counted.ask(1.0, f"stranger {number}")
    assert not counted.ask(1.0, "heavy")
    assert len(counted.table) == 1000
    assert counted.table.forgotten == 100_000 - 999


def test_strangers_who_repeat_themselves_cannot_push_out_a_heavier_one() -> None:
    """To make one key forgotten, all of its neighbours must have used more."""
    counted = Counted(5, most=LOOKED_AT)
    for _ in range(5):
        counted.ask(0.0, "heavy")
    for number in range(10_000):
        for _ in range(4):
            counted.ask(1.0, f"stranger {number}")
    assert not counted.ask(1.0, "heavy")


def test_keys_that_count_no_more_leave_first() -> None:
    """A full table of old ones has room for all new ones: nobody who counts is forgotten."""
    counted = Counted(1, most=100)
    for number in range(100):
        counted.ask(0.0, f"old {number}")
    for number in range(100):
        counted.ask(20.0, f"new {number}")
    assert counted.table.forgotten == 0
    assert not any(counted.ask(20.0, f"new {number}") for number in range(100))


def test_a_sweep_drops_what_counts_no_more_and_nothing_else() -> None:
    """In steps, from where the last one ended."""
    counted = Counted(1, most=100)
    for number in range(50):
        counted.ask(0.0, f"old {number}")
    for number in range(10):
        counted.ask(15.0, f"new {number}")
    for _ in range(20):
        counted.table.sweep(15.0, 10)
    assert len(counted.table) == 10
    assert not any(counted.ask(15.0, f"new {number}") for number in range(10))
    Table("empty", WINDOW, 10).sweep(0.0, 10)


def test_a_flood_of_keys_takes_the_memory_of_the_full_table_alone() -> None:
    """Under 500 bytes for each place, key included, whatever number of keys came by (docs/decisions/0021)."""
    places = 5000
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        counted = Counted(5, most=places)
        for number in range(places * 10):
            counted.ask(0.0, f"2001:db8:{number:x}:1::/64")
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(counted.table) == places
    assert taken < places * 500


def test_a_window_that_nobody_used_for_long_is_empty() -> None:
    """More than a whole window later, whatever the number of the part."""
    window = Window(-3)
    window.counts[-3 % (PARTS + 1)] = window.total = 4
    window.advance(8)
    assert (window.total, sum(window.counts)) == (0, 0)
