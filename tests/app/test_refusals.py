"""Refusals are counted before they are written: whoever tries a thousand passwords gets a handful of rows."""

import json
from dataclasses import dataclass, field

from store.world import Hand

from gateway.app.refusals import SORTS, TOGETHER, WINDOW, CountedRefusals
from gateway.clock import Clock
from gateway.identity.audit import Event, Kind, Scope, acting


@dataclass
class Desk:
    """rows: kind, account, address and count of what was written."""

    hand: Hand = field(default_factory=Hand)
    rows: list[tuple[str, str | None, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.refusals = CountedRefusals(Clock(now=self.hand.now, monotonic=self.hand.now))

    def refuse(
        self,
        address: str = "192.0.2.1",
        account: str | None = "a",
        kind: Kind = "login_refused",
        reason: str = "code_wrong",
    ) -> None:
        with acting(Scope("anonymous", address=address)):
            self.refusals.refused(Event(kind, account, outcome="refused", reason=reason))

    def look(self, after: float = 0.0) -> int:
        """How many rows are written then."""
        self.hand.at += after
        batch = self.refusals.due()
        if batch is None:
            return 0
        for event, by in batch.rows:
            times = event.detail.get("times", 1)
            assert isinstance(times, int)
            self.rows.append((event.kind, event.account_id, by.address, times))
        self.refusals.written(batch)
        return len(batch.rows)


def test_the_first_is_written_at_the_next_look() -> None:
    """Whoever looks on sees it at once."""
    desk = Desk()
    desk.refuse()
    assert (desk.look(), desk.rows) == (1, [("login_refused", "a", "192.0.2.1", 1)])


def test_alike_ones_are_one_row_more_when_the_minute_is_over() -> None:
    """With how many they were; both sides of the minute."""
    desk = Desk()
    desk.refuse()
    desk.look()
    for _ in range(999):
        desk.refuse()
    assert desk.look(WINDOW - 0.5) == 0
    assert desk.look(0.5) == 1
    assert desk.rows[-1] == ("login_refused", "a", "192.0.2.1", 999)


def test_a_quiet_minute_writes_nothing() -> None:
    """One that was written is not written again."""
    desk = Desk()
    desk.refuse()
    desk.look()
    assert desk.look(WINDOW) == 0
    desk.refuse()
    assert desk.look() == 1


def test_accounts_addresses_and_reasons_are_sorts() -> None:
    """Each has a row of its own."""
    desk = Desk()
    desk.refuse()
    desk.refuse(account="b")
    desk.refuse(address="192.0.2.2")
    desk.refuse(reason="too_many_attempts")
    desk.refuse(kind="factor_refused")
    assert desk.look() == 5


def test_one_subscribers_addresses_are_one_sort() -> None:
    """An IPv6 network of 64 bits is one client, as the limits have it."""
    desk = Desk()
    for number in range(50):
        desk.refuse(address=f"2001:db8::{number:x}")
    assert (desk.look(), desk.rows[0][3]) == (1, 50)


def test_a_spray_from_everywhere_is_bounded() -> None:
    """Ten thousand accounts from ten thousand networks in a minute; all are counted."""
    desk = Desk()
    for number in range(10_000):
        desk.refuse(f"10.{number // 256 % 256}.{number % 256}.1", f"account-{number}")
        if number % 100 == 0:
            desk.look()
    desk.look(WINDOW)
    assert len(desk.rows) <= SORTS + 2
    assert sum(times for *_, times in desk.rows) == 10_000


def test_what_is_counted_together_says_what_it_was() -> None:
    """The kind and the reason are left of it."""
    desk = Desk()
    for number in range(SORTS + 5):
        desk.refuse(account=f"account-{number}")
    batch = desk.refusals.due()
    assert batch is not None
    event, by = batch.rows[-1]
    assert (event.kind, event.reason, event.account_id, by.address) == ("refusals_dropped", "code_wrong", None, "")
    assert (event.detail["kind"], event.detail["times"]) == ("login_refused", 5)


def test_reasons_without_end_are_bounded_too() -> None:
    """One number is left for all of them."""
    desk = Desk()
    for number in range(1000):
        desk.refuse(account=f"account-{number}", reason=f"reason-{number}")
    assert desk.look() == SORTS + TOGETHER + 1
    assert sum(times for *_, times in desk.rows) == 1000


def test_what_could_not_be_written_is_not_lost() -> None:
    """The store was away; the count goes on."""
    desk = Desk()
    desk.refuse()
    assert desk.refusals.due() is not None
    desk.hand.at += WINDOW
    desk.refuse()
    assert (desk.look(), desk.rows[0][3]) == (1, 2)


def test_what_comes_while_it_is_written_counts_for_the_next_minute() -> None:
    """The last look of a minute forgets only what it wrote."""
    desk = Desk()
    desk.refuse()
    desk.look()
    desk.refuse()
    desk.hand.at += WINDOW
    batch = desk.refusals.due()
    assert batch is not None
    desk.refuse()
    desk.refusals.written(batch)
    assert desk.look() == 1


def test_the_rest_is_all_that_is_not_written() -> None:
    """A worker that ends writes it."""
    desk = Desk()
    desk.refuse()
    desk.look()
    desk.refuse()
    desk.refuse(account="b")
    assert [json.dumps(event.detail.get("times")) for event, _ in desk.refusals.rest().rows] == ["null", "null"]
