"""What is slow to begin takes turns: a few in each turn of the loop, so that what is quick goes on between them."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from gateway.errors import DependencyFailed

# Each costs up to a tenth of a millisecond: a cold credential's signature, a request to the built-in API.
PER_TURN: Final = 2
# Where turns are long, more: else they would wait the longer, the more there is to do beside them. They make turns
# longer themselves, so this has an end.
SECONDS_FOR_ONE, MOST_PER_TURN = 0.001, 8
MOST: Final = 4096  # that wait
AT_ONCE: Final = 64  # pipelined requests that are answered in one turn, on all connections: 2 ms of refusals


class Turns:
    """In the order that they came. waiting: for their turn."""

    __slots__ = ("_began", "_left", "_loop", "_monotonic", "_queue", "_renewing")

    def __init__(self, loop: asyncio.AbstractEventLoop, monotonic: Callable[[], float]) -> None:
        self._loop = loop
        self._monotonic = monotonic
        self._left = PER_TURN
        self._queue: deque[asyncio.Future[None]] = deque()
        self._renewing = False
        self._began = 0.0  # monotonic seconds of the last renewal, while there is to be another one

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def take(self) -> None:
        """At once, where this turn of the loop has room. Raises DependencyFailed("overloaded") where too many wait."""
        if self._left and not self._queue:
            self._left -= 1
            self._renew_later()
            return
        if len(self._queue) >= MOST:
            raise DependencyFailed("overloaded", "too many requests wait to begin", 1)
        ticket: asyncio.Future[None] = self._loop.create_future()
        self._queue.append(ticket)
        await ticket

    def _renew_later(self) -> None:
        if not self._renewing:
            self._renewing = True
            self._began = self._monotonic()
            self._loop.call_soon(self._renew)

    def _renew(self) -> None:
        """In each turn after one that has begun something, until there is nothing left."""
        self._renewing = False
        begun = 0
        due = int((self._monotonic() - self._began) / SECONDS_FOR_ONE)
        self._left = min(max(PER_TURN, due), MOST_PER_TURN)
        while self._left and self._queue:
            ticket = self._queue.popleft()
            if not ticket.done():  # cancelled: its client has gone
                ticket.set_result(None)
                self._left -= 1
                begun += 1
        self._left = min(self._left, PER_TURN)  # time that nobody wanted is no credit
        if begun:
            self._renew_later()


class Burst:
    """What pipelines may have answered at once in a turn of the loop, beyond one request of each connection: together,
    as a turn is as long for the others whoever made it so."""

    __slots__ = ("_left", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._left = AT_ONCE

    def take(self) -> bool:
        """Whether there is room for one more in this turn."""
        if self._left == AT_ONCE:
            self._loop.call_soon(self._renew)
        if self._left:
            self._left -= 1
            return True
        return False

    def _renew(self) -> None:
        self._left = AT_ONCE
