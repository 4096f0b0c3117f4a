"""Counting of calls: windows that slide, and a bounded number of keys."""

import pytest

from gateway.clock import Clock
from gateway.identity.meter import Meter, Quota

THREE = Quota("three", 3, 60.0)
BEGIN = 1000.5


class Hand:
    at = 0.0

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: BEGIN + self.at, monotonic=lambda: self.at)


def test_what_remains_is_counted_down() -> None:
    """To nothing; then one has to wait."""
    meter = Meter(Hand().clock)
    found = [meter.count(THREE, "ada") for _ in range(4)]
    assert [(reading.remaining, reading.wait) for reading in found] == [(2, 0), (1, 0), (0, 0), (0, 60)]


@pytest.mark.parametrize(("at", "wait"), [(59.9, 1), (60.0, 0)])
def test_the_window_slides(at: float, wait: int) -> None:
    """A call counts for a minute, to the moment."""
    hand = Hand()
    meter = Meter(hand.clock)
    for hand.at in (0.0, 30.0, 40.0):
        meter.count(THREE, "ada")
    hand.at = at
    assert meter.count(THREE, "ada").wait == wait


def test_a_call_that_is_turned_away_does_not_count() -> None:
    """Whoever goes on asking does not wait for ever."""
    hand = Hand()
    meter = Meter(hand.clock)
    for hand.at in (0.0, 0.0, 0.0, 50.0, 59.0):
        meter.count(THREE, "ada")
    hand.at = 60.0
    assert meter.count(THREE, "ada").remaining == 2


def test_the_reset_is_when_the_oldest_call_leaves_the_window() -> None:
    """In whole seconds since the epoch, never too early."""
    hand = Hand()
    meter = Meter(hand.clock)
    meter.count(THREE, "ada")
    hand.at = 20.0
    assert meter.count(THREE, "ada").reset == 1061


def test_keys_do_not_count_for_each_other() -> None:
    """Nor do quotas."""
    meter = Meter(Hand().clock)
    meter.count(THREE, "ada")
    others = (meter.count(THREE, "bob"), meter.count(Quota("other", 3, 60.0), "ada"))
    assert [reading.remaining for reading in others] == [2, 2]


def test_it_forgets_the_key_that_was_quiet_the_longest() -> None:
    """Its room is bounded."""
    meter = Meter(Hand().clock, max_keys=2)
    for key in ("ada", "bob", "ada", "eve"):
        meter.count(THREE, key)
    assert (len(meter), meter.count(THREE, "ada").remaining) == (2, 0)
