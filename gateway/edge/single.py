"""One request read as a connection would read it, without a connection: for `explain`, which forwards nothing."""

from typing import TYPE_CHECKING, cast

import httptools

from gateway.clock import Clock
from gateway.edge.client import Client
from gateway.edge.exchange import Exchange
from gateway.edge.generation import Generation
from gateway.edge.ids import Ids
from gateway.errors import RequestRejected

if TYPE_CHECKING:
    from gateway.edge.listener import Edge


class _Desk:
    """What a connection asks of the edge before anything starts."""

    def __init__(self, generation: Generation, clock: Clock) -> None:
        self.loop = None
        self.generation = generation
        self.clock = clock
        self.monotonic = clock.monotonic
        self.ids = Ids()

    def report(self, error: BaseException) -> None:
        raise error


class _Reading(Client):
    """Starts nothing: what was read stays in the queue."""

    __slots__ = ()

    def turn(self) -> None: ...

    def regulate(self) -> None: ...

    def await_head(self) -> None: ...

    def take(self) -> Exchange:
        if self._fault is not None:
            raise self._fault
        if not self._queue:
            raise RequestRejected("malformed_request")
        return self._queue.popleft()


def read_request(data: bytes, generation: Generation, address: str, clock: Clock) -> Exchange:
    """The exchange that these bytes of a client at `address` would begin; it is not started.

    Raises RequestRejected as the client would be told.
    """
    reading = _Reading(cast("Edge", _Desk(generation, clock)))
    reading.parser = httptools.HttpRequestParser(reading)
    reading.address = address
    reading.feed(data)
    return reading.take()
