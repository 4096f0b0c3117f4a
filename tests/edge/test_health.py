"""What keeps requests from an endpoint, and what lets them in again: times are the test's own."""

import pytest

from gateway.edge.connector import tcp
from gateway.edge.endpoint import Endpoint
from gateway.edge.health import EJECTIONS_MOST, TRIAL_SECONDS, Health
from gateway.edge.ledger import WINDOW, Ledger
from gateway.edge.outlier import Outlier
from gateway.edge.retry import Retries
from gateway.pipeline import Aim


class Told:
    """events: (event, endpoint, seconds or None)."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, float | None]] = []

    def endpoint_ejected(self, endpoint: str, why: str, seconds: float) -> None:
        self.events.append(("ejected", endpoint, seconds))

    def endpoint_returned(self, endpoint: str) -> None:
        self.events.append(("returned", endpoint, None))


class Seat:
    def __init__(self, name: str) -> None:
        self.name = name
        self.health = Health()


class Ward:
    """Endpoints under one rule, and the time. errors: 3 in a row; out for 30 s; at most half of them."""

    def __init__(self, count: int, most: float = 0.5) -> None:
        self.now = 100.0
        self.told = Told()
        self.ledger = Ledger()
        self.rule = Outlier(3, 30.0, most, lambda: self.now, self.told, self.ledger)
        self.seats = [Seat(name) for name in "abcdefgh"[:count]]
        self.rule.endpoints = self.seats

    def answers(self, place: int, *statuses: int) -> None:
        for status in statuses:
            self.rule.answered(self.seats[place], status)

    @property
    def out(self) -> str:
        return "".join(seat.name for seat in self.seats if seat.health.retry_at > self.now)


@pytest.mark.parametrize(("statuses", "out"), [((500, 502), ""), ((500, 502, 599), "a"), ((500, 500, 499, 500), "")])
def test_bad_answers_in_a_row_eject(statuses: tuple[int, ...], out: str) -> None:
    """Three of them, and no good one in between."""
    ward = Ward(2)
    ward.answers(0, *statuses)
    assert ward.out == out


def test_no_answer_is_a_bad_one() -> None:
    """Resets and timeouts count with the 5xx."""
    ward = Ward(2)
    ward.answers(0, 500)
    ward.rule.failed(ward.seats[0])
    ward.rule.failed(ward.seats[0])
    assert (ward.out, ward.ledger.ejections) == ("a", 1)


def test_the_last_one_is_never_ejected() -> None:
    """However bad it is; nor is a lone one."""
    alone, two = Ward(1), Ward(2, most=1.0)
    alone.answers(0, *[500] * 9)
    two.answers(0, *[500] * 9)
    two.answers(1, *[500] * 9)
    assert (alone.out, two.out) == ("", "a")


@pytest.mark.parametrize(("count", "most", "out"), [(4, 0.5, "ab"), (3, 0.5, "a"), (4, 0.1, "a"), (4, 1.0, "abc")])
def test_no_more_than_their_part_are_out(count: int, most: float, out: str) -> None:
    """One may always be, but for the last that is well."""
    ward = Ward(count, most)
    for place in range(count):
        ward.answers(place, *[500] * 9)
    assert ward.out == out


def test_one_that_was_not_ejected_is_when_there_is_room() -> None:
    """Its next bad answer is enough."""
    ward = Ward(3)
    ward.answers(0, *[500] * 3)
    ward.answers(1, *[500] * 3)
    ward.now += 31.0
    ward.answers(0, 200)
    ward.answers(1, 500)
    assert ward.out == "b"


def test_an_ejected_endpoint_is_tried_by_one_request() -> None:
    """When its time is over; until the verdict, no other goes there."""
    ward = Ward(2)
    ward.answers(0, *[500] * 3)
    ward.now += 30.0
    health = ward.seats[0].health
    assert ward.out == ""
    health.tried(ward.now)
    assert (ward.out, health.state(ward.now)) == ("a", "ejected")
    ward.answers(0, 200)
    assert (ward.out, health.state(ward.now)) == ("", "healthy")
    assert ward.told.events == [("ejected", "a", 30.0), ("returned", "a", None)]


def test_a_trial_without_a_verdict_makes_room_for_the_next() -> None:
    """A client that leaves takes its verdict along."""
    ward = Ward(2)
    ward.answers(0, *[500] * 3)
    ward.now += 30.0
    ward.seats[0].health.tried(ward.now)
    ward.now += TRIAL_SECONDS - 0.1
    assert ward.out == "a"
    ward.now += 0.1
    assert ward.out == ""


def test_a_failed_trial_ejects_at_once_and_for_longer() -> None:
    """Each time in a row, up to ten times as long."""
    ward = Ward(2)
    ward.answers(0, *[500] * 3)
    for _ in range(EJECTIONS_MOST + 1):
        ward.now = ward.seats[0].health.ejected
        ward.answers(0, 500)
    seconds = [seconds for _, _, seconds in ward.told.events]
    assert seconds == [30.0 * min(time, 10) for time in range(1, EJECTIONS_MOST + 3)]


@pytest.mark.parametrize(("well_for", "seconds"), [(29.0, 60.0), (30.0, 30.0)])
def test_an_endpoint_that_did_well_for_as_long_begins_anew(well_for: float, seconds: float) -> None:
    """As long as it was out."""
    ward = Ward(2)
    ward.answers(0, *[500] * 3)
    ward.now += 30.0
    ward.answers(0, 200)
    ward.now += well_for
    ward.answers(0, *[500] * 3)
    assert ward.told.events[-1] == ("ejected", "a", seconds)


def test_answers_from_before_an_ejection_say_nothing() -> None:
    """Exchanges that were under way when it was ejected neither prolong it nor end it."""
    ward = Ward(2)
    ward.answers(0, *[500] * 3)
    ward.answers(0, *[500] * 9, 200)
    assert (ward.out, ward.told.events) == ("a", [("ejected", "a", 30.0)])


def test_what_nobody_judges_any_more_is_not_out() -> None:
    """A reload without the rule: nobody would ever acquit it."""
    ward = Ward(2)
    ward.answers(0, *[500] * 3)
    ward.seats[0].health.unjudged()
    assert ward.out == ""


@pytest.mark.parametrize(
    ("checks", "news"),
    [("..", "--"), ("...", "--u"), ("..+.", "----"), ("...+", "--u-"), ("...++", "--u-h"), ("++", "--")],
)
def test_checks_in_a_row_decide(checks: str, news: str) -> None:
    """Three failed (.) take an endpoint out, two passed (+) bring it back; each is news once."""
    health, told = Health(), ""
    for check in checks:
        new = health.checked(check == "+", 2 if check == "+" else 3, 9.0)
        told += "-" if not new else "u" if health.unhealthy else "h"
    assert told == news
    assert (health.retry_at > 1e9) is health.unhealthy


def test_what_nobody_checks_any_more_is_healthy() -> None:
    """A reload without checks: nobody would ever find it well."""
    health = Health()
    health.checked(False, 1, 1.0)
    health.unchecked()
    assert (health.unhealthy, health.retry_at) == (False, 0.0)


def test_each_reason_keeps_an_endpoint_out_by_itself() -> None:
    """The end of one is not the end of the others."""
    health = Health()
    health.failed(10.0)
    health.eject(10.0, 30.0)
    health.checked(False, 1, 10.0)
    health.checked(True, 1, 11.0)
    assert (health.retry_at, health.state(11.0)) == (40.0, "ejected")
    health.acquit(40.0)
    assert health.retry_at == health.resting == 10.5


def endpoint(weight: float, slow_start: float, since: float) -> Endpoint:
    connector = tcp("127.0.0.1", 1)
    return Endpoint("a", Aim(b""), 1, connector, None, Health(since), weight, slow_start)  # type: ignore[arg-type]


@pytest.mark.parametrize(("age", "share"), [(0, 0.4), (1, 0.4), (5, 2.0), (9.99, 3.996), (10, 4.0), (1000, 4.0)])
def test_a_slow_start_rises_to_the_whole_weight(age: float, share: float) -> None:
    """From a tenth, in even steps."""
    assert endpoint(4.0, 10.0, 50.0).share(50.0 + age) == pytest.approx(share)


def test_without_a_slow_start_the_share_is_the_weight() -> None:
    """At once."""
    assert endpoint(4.0, 0.0, 50.0).share(50.0) == 4.0


def recover_by_check(health: Health) -> None:
    health.checked(False, 1, 10.0)
    health.checked(True, 1, 70.0)


def recover_by_trial(health: Health) -> None:
    health.eject(10.0, 30.0)
    health.acquit(70.0)


def recover_by_answer(health: Health) -> None:
    health.failed(10.0)
    health.answered(70.0)


@pytest.mark.parametrize("recover", [recover_by_check, recover_by_trial, recover_by_answer])
def test_whatever_it_recovered_from_it_starts_slowly(recover: object) -> None:
    """From the moment that it is back."""
    health = Health(0.0)
    recover(health)  # type: ignore[operator]
    assert health.since == 70.0


def test_a_budget_is_a_part_of_the_requests() -> None:
    """A fifth of a hundred: twenty, and no more."""
    ledger, rule = Ledger(), Retries(share=0.2, floor=3)
    ledger.requests = 100
    assert [ledger.spend("idle", rule) for _ in range(21)] == [True] * 20 + [False]
    assert (ledger.retries["idle"], sum(ledger.retries.values()), ledger.refused) == (20, 20, 1)


def test_a_few_retries_need_no_budget() -> None:
    """An upstream that is hardly asked would have none."""
    ledger, rule = Ledger(), Retries(share=0.2, floor=3)
    ledger.requests = 1
    assert [ledger.spend("connect", rule) for _ in range(4)] == [True] * 3 + [False]


@pytest.mark.parametrize(("seconds", "allowed"), [(WINDOW - 1, False), (WINDOW, True)])
def test_a_budget_forgets_what_was_before_its_window(seconds: int, allowed: bool) -> None:
    """Requests and retries alike."""
    ledger, rule = Ledger(), Retries(share=0.0, floor=1)
    assert ledger.spend("idle", rule)
    for _ in range(seconds):
        ledger.tick()
    assert ledger.spend("idle", rule) is allowed
