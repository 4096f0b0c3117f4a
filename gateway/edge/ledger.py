"""Counts of one upstream, shared by all generations that have it, and the budget of retries, which goes by them."""

from asyncio import Future
from collections import deque
from typing import Final

from gateway.edge.retry import Retries

WINDOW: Final = 10  # seconds that the budget looks back over


class Place:
    """In the queue of those who want one of `limits.connections`. ticket: done when it is called; None where nobody
    waits for a call."""

    __slots__ = ("ticket",)

    def __init__(self) -> None:
        self.ticket: Future[None] | None = None


class Ledger:
    """queue: those who have no room yet, in the order that they came. waiting: all that have no connection yet.
    dialing: for whom one is being made.

    under_way: requests that were let in under limits, and are not over.

    requests: all so far, counted on the measured path. retries: all so far, by reason. refused: retries that had no
    budget. busy: requests refused, by the limit. ejections: of endpoints. checks, lookups: by outcome.
    """

    __slots__ = (
        "_asked",
        "_retried",
        "busy",
        "checks",
        "dialing",
        "ejections",
        "lookups",
        "queue",
        "refused",
        "requests",
        "retries",
        "under_way",
        "waiting",
    )

    def __init__(self) -> None:
        self.queue: deque[Place] = deque()
        self.waiting = 0
        self.dialing = 0
        self.under_way = 0
        self.requests = 0
        self.refused = 0
        self.ejections = 0
        self.retries = {"connect": 0, "idle": 0, "reset": 0}  # and statuses, each from its first on
        self.busy = {"connections": 0, "pending": 0, "requests": 0}
        self.checks = {"passed": 0, "failed": 0}
        self.lookups = {"done": 0, "failed": 0}
        self._asked = [0] * WINDOW  # totals at the end of each of the last seconds, oldest first
        self._retried = [0] * WINDOW

    def tick(self) -> None:
        """Once per second."""
        self._asked = [*self._asked[1:], self.requests]
        self._retried = [*self._retried[1:], sum(self.retries.values())]

    def spend(self, reason: str, retries: Retries) -> bool:
        """Whether one more retry is within the budget; then it is counted."""
        asked = self.requests - self._asked[0]
        retried = sum(self.retries.values()) - self._retried[0]
        if retried >= max(float(retries.floor), asked * retries.share):
            self.refused += 1
            return False
        self.retries[reason] = self.retries.get(reason, 0) + 1
        return True
