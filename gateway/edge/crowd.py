"""How much an upstream is given at a time: a circuit breaker by counts. What is beyond is refused, not kept."""

import asyncio
from typing import Final

from gateway.edge.ledger import Ledger, Place
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

    @property
    def waited_for(self) -> bool:
        """Whether what is free belongs to somebody who came before."""
        return self.limits.connections is not None and len(self._queue) > 0

    def enter(self) -> Place:
        """At the end of the queue, until it is left, called or not: who has been called may find that it was too late,
        and none may pass on to what it was called for."""
        place = Place()
        self._queue.append(place)
        return place

    def leads(self, place: Place) -> bool:
        return self._queue[0] is place

    async def turn(self, place: Place, seconds: float) -> None:
        """Until a connection may have become free. Raises upstream_busy in the end."""
        ticket = place.ticket = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await ticket
        except TimeoutError as error:
            raise self.refuse("connections") from error
        finally:
            place.ticket = None

    def leave(self, place: Place) -> None:
        """With a connection or without: there may be room for one more, whom nobody has called."""
        self._queue.remove(place)
        self.wake()

    def wake(self) -> None:
        """A connection was given back, is closed, or was not made after all."""
        for place in self._queue:
            ticket = place.ticket
            if ticket is not None and not ticket.done():
                ticket.set_result(None)
                return


_SAID: Final = {
    "connections": "No connection to the upstream became free in time.",
    "pending": "Too many requests wait for a connection to the upstream.",
    "requests": "The upstream has as many requests under way as it may have.",
}
