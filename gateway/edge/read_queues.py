"""Connections that send much are read on in turns: in each turn of the loop, one client and one upstream."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

FEW: Final = 64  # connections of a queue, of which each may hold a read of a quarter of a MiB


class ReadQueue:
    """Connections of which a read was large wait here before they are read on: one of them in each turn, or each
    stream at full rate would make turns longer."""

    __slots__ = ("_due", "_queue")

    def __init__(self) -> None:
        self._queue: deque[Callable[[], bool]] = deque()
        self._due = False

    def add(self, read_on: Callable[[], bool], loop: asyncio.AbstractEventLoop) -> None:
        """It is called in a later turn, in the order that they came. It says whether anything is read on: what is
        closed, or waits for something else besides, gives its turn to the next."""
        self._queue.append(read_on)
        self._go_on(loop)

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._queue and not self._due:
            self._due = True
            loop.call_soon(self._turn, loop)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while self._queue and not self._queue.popleft()():
                pass
        finally:
            self._due = False
            self._go_on(loop)

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def crowded(self) -> bool:
        """Whether there is no room for what holds its read while it waits."""
        return len(self._queue) >= FEW


class ReadQueues:
    """One for each side: who waits for the rest of an answer does not wait behind uploads."""

    __slots__ = ("clients", "upstreams")

    def __init__(self) -> None:
        self.clients = ReadQueue()
        self.upstreams = ReadQueue()


_OF: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, ReadQueues]] = WeakKeyDictionary()


def read_queues(loop: asyncio.AbstractEventLoop) -> ReadQueues:
    """The loop's own, of all that listens on it."""
    found = _OF.get(loop)
    if found is None:
        found = _OF[loop] = ReadQueues()
    return found
