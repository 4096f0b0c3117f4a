"""Passive ejection: an endpoint whose answers are bad, one after the other, is left out for a while."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from gateway.edge.health import Health
from gateway.edge.ledger import Ledger

_BAD: Final = 500  # and above: the status of an answer that counts as an error
# but for what a server that is well says of the request: its method or version is none that it knows (RFC 9110 sections
# 15.6.2 and 15.6.6). Else any client could eject servers by asking for that
_ASKED_FOR: Final = frozenset((501, 505))


def is_bad(status: int) -> bool:
    """Whether an answer with it counts against its server."""
    return status >= _BAD and status not in _ASKED_FOR


class Suspect(Protocol):
    name: str
    health: Health


class Told(Protocol):
    """Is told of each endpoint that is ejected, and that is taken in again."""

    def endpoint_ejected(self, endpoint: str, why: str, seconds: float) -> None: ...
    def endpoint_returned(self, endpoint: str) -> None: ...


class Outlier:
    """Of one upstream. errors: bad answers in a row, from which an endpoint is ejected. seconds: for how long, the
    first time; each further time in a row for so much longer. most: share of the endpoints that may be out by this at
    a time; one may in any case, but for the last that is well."""

    __slots__ = ("_ledger", "_most", "_seconds", "_told", "endpoints", "errors", "monotonic")

    def __init__(
        self,
        errors: int,
        seconds: float,
        most: float,
        monotonic: Callable[[], float],
        told: Told,
        ledger: Ledger,
    ) -> None:
        self.errors = errors
        self._seconds = seconds
        self._most = most
        self.monotonic = monotonic
        self._told = told
        self._ledger = ledger
        self.endpoints: Sequence[Suspect] = ()

    def answered(self, endpoint: Suspect, status: int) -> None:
        """On the measured path of an upstream that has this."""
        health = endpoint.health
        if is_bad(status):
            self.failed(endpoint, f"{health.errors + 1} answers in a row were 5xx or none.")
        elif health.errors or health.on_trial:
            self._good(endpoint)

    def failed(self, endpoint: Suspect, why: str = "It failed to answer.") -> None:
        """An answer was bad, or none came."""
        health, now = endpoint.health, self.monotonic()
        if health.ejected > now or not health.judged:
            return  # of an exchange that began before
        health.errors += 1
        if (health.on_trial or health.errors >= self.errors) and self._may(endpoint, now):
            seconds = health.eject(now, self._seconds)
            self._ledger.ejections += 1
            self._told.endpoint_ejected(endpoint.name, why, seconds)

    def _good(self, endpoint: Suspect) -> None:
        health, now = endpoint.health, self.monotonic()
        health.errors = 0
        if health.on_trial and health.ejected <= now:  # else it is of an exchange that began before
            health.acquit(now)
            self._told.endpoint_returned(endpoint.name)

    def _may(self, endpoint: Suspect, now: float) -> bool:
        others = [other.health for other in self.endpoints if other is not endpoint]
        out = sum(1 for health in others if health.on_trial)
        if out and out + 1 > self._most * len(self.endpoints):
            return False
        return any(health.retry_at <= now for health in others)
