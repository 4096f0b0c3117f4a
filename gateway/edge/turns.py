"""What is slow to begin takes turns: a few in each turn of the loop, so that what is quick goes on between them."""

import asyncio
from collections import deque
from typing import Final

# Each costs up to a tenth of a millisecond: a cold credential's signature, a request to the built-in API.
PER_TURN: Final = 2


class Turns:
    """In the order that they came. waiting: for their turn."""

    __slots__ = ("_left", "_loop", "_queue", "_renewing")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._left = PER_TURN
        self._queue: deque[asyncio.Future[None]] = deque()
        self._renewing = False

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def take(self) -> None:
        """At once, where this turn of the loop has room."""
        if self._left and not self._queue:
            self._left -= 1
            self._renew_later()
            return
        ticket: asyncio.Future[None] = self._loop.create_future()
        self._queue.append(ticket)
        await ticket

    def _renew_later(self) -> None:
        if not self._renewing:
            self._renewing = True
            self._loop.call_soon(self._renew)

    def _renew(self) -> None:
        """In each turn after one that has begun something, until there is nothing left."""
        self._renewing = False
        self._left = PER_TURN
        while self._left and self._queue:
            ticket = self._queue.popleft()
            if not ticket.done():  # cancelled: its client has gone
                ticket.set_result(None)
                self._left -= 1
        if self._left < PER_TURN:
            self._renew_later()
