"""How long the next start waits."""

from gateway.supervise.backoff import MOST_SECONDS, STEADY_SECONDS, Backoff


def waits(*served: float) -> list[float]:
    backoff = Backoff()
    return [backoff.after(seconds) for seconds in served]


def test_the_first_end_is_followed_at_once() -> None:
    """What is queued need not wait."""
    assert waits(0.0) == [0.0]


def test_ends_that_come_soon_are_waited_for_longer() -> None:
    """Doubled each time, up to a bound."""
    found = waits(*[0.0] * 40)
    assert found[:5] == [0.0, 0.1, 0.2, 0.4, 0.8]
    assert max(found) == found[-1] == MOST_SECONDS


def test_a_worker_that_served_for_long_begins_anew() -> None:
    """On both sides of the bound."""
    assert waits(0.0, 0.0, 0.0, STEADY_SECONDS)[-1] == 0.0
    assert waits(0.0, 0.0, 0.0, STEADY_SECONDS - 0.1)[-1] == 0.4
