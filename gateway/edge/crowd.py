"""How much an upstream is given at a time: a circuit breaker by counts. What is beyond is refused, not kept."""

import asyncio
from typing import Final

from gateway.edge.ledger import Ledger
from gateway.errors import DependencyFailed

RETRY_AFTER: Final = 1  # seconds: an upstream that is not overwhelmed has room again soon


class Limits:
    """None: unlimited. connections: open at a time, to all endpoints. requests: sent, or waiting to be. pending: of
    these, waiting for a connection."""

    __slots__ = ("connections", "pending", "requests")

    def __init__(self, connections: int | None = None, pending: int | None = None, requests: int | None = None) -> None:
        self.connections = connections
        self.pending = pending
        self.requests = requests


class Crowd:
    """Those who wait for a connection to one upstream."""

    __slots__ = ("_queue", "ledger", "limits")

    def __init__(self, limits: Limits, ledger: Ledger) -> None:
        self.limits = limits
        self.ledger = ledger
        self._queue = ledger.queue

    def too_many(self, outstanding: int) -> str | None:
        """The limit that the next request would be over. outstanding: on all endpoints, dialing ones included."""
        requests = self.limits.requests
        if requests is None:
            return None
        # `outstanding` lags: a task raises it, and many requests may come before that runs. Of what was let in before a
        # reload, when there were no limits, it is all there is
        return "requests" if max(self.ledger.under_way, outstanding + len(self._queue)) >= requests else None

    def begin(self) -> None:
        """A request is let in, and under way until `end`, whatever becomes of it."""
        self.ledger.under_way += 1

    def end(self) -> None:
        self.ledger.under_way -= 1

    def too_long(self) -> str | None:
        """The limit that a request which has to wait would be over."""
        pending = self.limits.pending
        return "pending" if pending is not None and self.ledger.waiting >= pending else None

    def refuse(self, limit: str) -> DependencyFailed:
        self.ledger.busy[limit] = self.ledger.busy.get(limit, 0) + 1
        return DependencyFailed("upstream_busy", _SAID[limit], RETRY_AFTER)

    async def turn(self, first: bool, seconds: float) -> None:
        """Until a connection may have become free. first: it has waited before. Raises upstream_busy in the end."""
        ticket = asyncio.get_running_loop().create_future()
        (self._queue.appendleft if first else self._queue.append)(ticket)
        try:
            async with asyncio.timeout(seconds):
                await ticket
        except BaseException as error:
            if ticket in self._queue:
                self._queue.remove(ticket)
            else:
                self.wake()  # it was called, and has gone
            if isinstance(error, TimeoutError):
                raise self.refuse("connections") from error
            raise

    def wake(self) -> None:
        """A connection was given back, or is closed."""
        while self._queue:
            ticket = self._queue.popleft()
            if not ticket.done():
                ticket.set_result(None)
                return


_SAID: Final = {
    "connections": "No connection to the upstream became free in time.",
    "pending": "Too many requests wait for a connection to the upstream.",
    "requests": "The upstream has as many requests under way as it may have.",
}
