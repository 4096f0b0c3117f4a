"""Which endpoint is chosen: exact properties of counts, weights and hashes, without sockets."""

from collections import Counter
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.balance import below, hashed, last_resort, least, p2c, round_robin, seed_of
from gateway.edge.health import Health

NEVER = float("inf")
KEYS = [b"grant-%d" % number for number in range(2000)]


class Seat:
    """weight: its share. out: whether balancing passes it over."""

    def __init__(self, name: str, weight: float = 1.0, outstanding: int = 0, out: bool = False) -> None:
        self.name = name
        self.weight = weight
        self.health = Health()
        self.health.outstanding = outstanding
        self.health.retry_at = NEVER if out else 0.0
        self.credit = 0.0
        self.seed = seed_of(name)

    def share(self, now: float) -> float:
        return self.weight


def placed(seats: Sequence[Seat], keys: Iterable[bytes] = KEYS) -> dict[bytes, str]:
    return {key: hashed(seats, key, 0.0).name for key in keys}


def dice(*numbers: int) -> object:
    """Numbers that come in this order; asked for one that cannot be, the test fails."""
    left = list(numbers)

    def number(limit: int) -> int:
        assert 0 <= left[0] < limit
        return left.pop(0)

    return number


def test_round_robin_spreads_by_weight() -> None:
    """Five, one and one of seven, and the heavy one not five times in a row (smooth weighted round robin)."""
    seats, choose = [Seat("a", 5), Seat("b", 1), Seat("c", 1)], round_robin()
    assert "".join(choose(seats, 0.0).name for _ in range(14)) == "aabacaaaabacaa"


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6))
def test_round_robin_is_exact_over_a_whole_round(weights: list[int]) -> None:
    """Whatever the weights: each as often as its weight says."""
    seats, choose = [Seat(str(place), weight) for place, weight in enumerate(weights)], round_robin()
    chosen = Counter(choose(seats, 0.0).name for _ in range(sum(weights)))
    assert chosen == {str(place): weight for place, weight in enumerate(weights)}


def test_least_goes_by_weight() -> None:
    """Of weight 3, with two under way, it has less to do than one of weight 1 with one under way: 3/3 < 2/1."""
    seats = [Seat("a", 3, outstanding=2), Seat("b", 1, outstanding=1)]
    assert {least()(seats, 0.0).name for _ in range(4)} == {"a"}


def test_least_fills_endpoints_in_proportion() -> None:
    """Requests that do not end: eight of them, three to one."""
    seats, choose = [Seat("a", 3), Seat("b", 1)], least()
    for _ in range(8):
        choose(seats, 0.0).health.outstanding += 1
    assert [seat.health.outstanding for seat in seats] == [6, 2]


@pytest.mark.parametrize(
    ("first", "second", "chosen"), [(0, 0, "b"), (0, 1, "c"), (1, 0, "b"), (2, 0, "c"), (2, 1, "c")]
)
def test_p2c_takes_the_better_of_two(first: int, second: int, chosen: str) -> None:
    """The second is drawn from the others: never the same one twice."""
    seats = [Seat("a", outstanding=9), Seat("b", outstanding=4), Seat("c", outstanding=1)]
    assert p2c(dice(first, second))(seats, 0.0).name == chosen  # type: ignore[arg-type]


def test_p2c_draws_only_from_those_that_are_well() -> None:
    """Of one, it is that one, without a second draw."""
    seats = [Seat("a", out=True), Seat("b", outstanding=50), Seat("c", out=True)]
    assert p2c(dice(0))(seats, 0.0).name == "b"  # type: ignore[arg-type]


def test_p2c_goes_by_weight() -> None:
    """What counts is what is under way for the weight."""
    seats = [Seat("a", 4, outstanding=3), Seat("b", 1, outstanding=1)]
    assert p2c(dice(1, 0))(seats, 0.0).name == "a"  # type: ignore[arg-type]


def test_the_dice_are_fair() -> None:
    """Over thirty thousand throws from a fixed seed, each of three within two percent of a third."""
    number = below(b"seed")
    thrown = Counter(number(3) for _ in range(30_000))
    assert sorted(thrown) == [0, 1, 2]
    assert all(9_800 < count < 10_200 for count in thrown.values())


def test_a_key_stays_where_it_is() -> None:
    """In whatever order the endpoints stand, and in every process: the numbers are written down here."""
    seats = [Seat(f"http://10.0.0.{number}:80") for number in range(1, 5)]
    there = [hashed(seats, key, 0.0).name[-4] for key in KEYS[:12]]
    assert placed(seats) == placed(seats[::-1])
    assert "".join(there) == "431142441444"


@given(st.integers(1, 8), st.data())
def test_only_the_keys_of_an_endpoint_that_is_out_move(count: int, data: st.DataObject) -> None:
    """And all of them do, to the others."""
    names = data.draw(st.lists(st.text("abcdef0123456789.:", min_size=1), min_size=count + 1, max_size=9, unique=True))
    gone = data.draw(st.sampled_from(names))
    keys = data.draw(st.lists(st.binary(min_size=1), max_size=40))
    before = placed([Seat(name) for name in names], keys)
    after = placed([Seat(name, out=name == gone) for name in names], keys)
    assert all(after[key] == before[key] for key in keys if before[key] != gone)
    assert gone not in after.values()


@given(st.lists(st.text("abcdef0123456789.:", min_size=1), min_size=2, max_size=9, unique=True), st.lists(st.binary()))
def test_keys_move_only_to_an_endpoint_that_is_new(names: list[str], keys: list[bytes]) -> None:
    """No key moves between those that were there before."""
    before = placed([Seat(name) for name in names[:-1]], keys)
    after = placed([Seat(name) for name in names], keys)
    assert all(after[key] in (before[key], names[-1]) for key in keys)


@given(st.integers(1, 50), st.integers(1, 50))
def test_keys_move_only_towards_a_weight_that_grows(low: int, more: int) -> None:
    """A slow start takes its keys one by one, and gives none of them back."""
    before = placed([Seat("a", low), Seat("b", 20), Seat("c", 20)], KEYS[:100])
    after = placed([Seat("a", low + more), Seat("b", 20), Seat("c", 20)], KEYS[:100])
    assert all(after[key] in (before[key], "a") for key in KEYS[:100])


@pytest.mark.parametrize("weights", [(1, 1), (1, 1, 1), (1,) * 7, (1, 3), (5, 2, 1)])
def test_keys_are_shared_by_weight(weights: Sequence[int]) -> None:
    """Of two thousand fixed keys, each endpoint has its part within a fifth."""
    seats = [Seat(f"http://10.0.0.{place}:80", weight) for place, weight in enumerate(weights)]
    found = Counter(placed(seats).values())
    for seat in seats:
        assert found[seat.name] == pytest.approx(2000 * seat.weight / sum(weights), rel=0.2)


def test_where_none_is_well_checks_are_not_believed() -> None:
    """Those that accept connections take turns; one that rests after a failed connect does not."""
    seats = [Seat("a", out=True), Seat("b", out=True), Seat("c", out=True)]
    seats[1].health.resting = 5.0
    assert Counter(last_resort(seats, 1.0).name for _ in range(6)) == {"a": 3, "c": 3}


@pytest.mark.parametrize("choose", [round_robin(), least(), p2c(below(b"seed")), lambda e, now: hashed(e, b"k", now)])
def test_every_way_to_choose_has_that_last_resort(choose: object) -> None:
    """None returns nothing."""
    seats = [Seat("a", out=True), Seat("b", out=True)]
    seats[0].health.resting = 5.0
    assert choose(seats, 1.0).name == "b"  # type: ignore[operator]
