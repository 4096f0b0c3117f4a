"""Which endpoint of an upstream takes the next request. Pure: sees counts and times, no sockets."""

from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol, TypeVar

BACKOFF_FIRST: Final = 0.5  # seconds that an endpoint rests after a failed connect, doubled by each further one
BACKOFF_MOST: Final = 30.0

Balance = Literal["round_robin", "least"]


class Candidate(Protocol):
    """outstanding: exchanges on it now. retry_at: monotonic seconds until which it rests; 0.0 when it is well."""

    outstanding: int
    retry_at: float


C = TypeVar("C", bound=Candidate)
Choose = Callable[[Sequence[C], float], C]


def round_robin() -> Choose[C]:
    """Each in turn, over those that are well."""
    turn = 0

    def choose(endpoints: Sequence[C], now: float) -> C:
        nonlocal turn
        for _ in endpoints:
            turn = (turn + 1) % len(endpoints)
            if endpoints[turn].retry_at <= now:
                return endpoints[turn]
        return soonest(endpoints)

    return choose


def least() -> Choose[C]:
    """The one with the fewest exchanges under way; each in turn where that is a tie."""
    turn = 0

    def choose(endpoints: Sequence[C], now: float) -> C:
        nonlocal turn
        turn = (turn + 1) % len(endpoints)
        order = (*endpoints[turn:], *endpoints[:turn])
        well = [endpoint for endpoint in order if endpoint.retry_at <= now]
        return min(well, key=lambda endpoint: endpoint.outstanding) if well else soonest(endpoints)

    return choose


def soonest(endpoints: Sequence[C]) -> C:
    """Of endpoints that all rest, the one that would be tried next: it is tried now, for there is nothing to lose."""
    return min(endpoints, key=lambda endpoint: endpoint.retry_at)


def rest(failures: int) -> float:
    """Seconds that an endpoint rests after this many failed connects in a row (1 or more)."""
    return min(BACKOFF_MOST, BACKOFF_FIRST * 2.0 ** min(failures - 1, 10))
