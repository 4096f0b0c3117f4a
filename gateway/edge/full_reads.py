"""Connections that send without end are read on in turns, one of them in each turn of the loop."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

FEW: Final = 64  # connections that wait; each may hold a read of a quarter of a MiB


class FullReads:
    """Connections of which a read was as large as one can be wait here before they are read on: one of them in each
    turn, or each stream at full rate would make turns longer."""

    __slots__ = ("_queue",)

    def __init__(self) -> None:
        self._queue: deque[Callable[[], None]] = deque()

    def add(self, read_on: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        """It is called in a later turn, in the order that they came."""
        if not self._queue:
            loop.call_soon(self._read_on, loop)
        self._queue.append(read_on)

    def _read_on(self, loop: asyncio.AbstractEventLoop) -> None:
        read_on = self._queue.popleft()
        if self._queue:
            loop.call_soon(self._read_on, loop)
        read_on()

    def __len__(self) -> int:
        return len(self._queue)


_OF: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, FullReads]] = WeakKeyDictionary()


def read_later(read_on: Callable[[], None]) -> None:
    """After a full read, in the turns of the running loop."""
    loop = asyncio.get_running_loop()
    found = _OF.get(loop)
    if found is None:
        found = _OF[loop] = FullReads()
    found.add(read_on, loop)


def few_wait() -> bool:
    """Whether there is room for what holds its read while it waits."""
    found = _OF.get(asyncio.get_running_loop())
    return found is None or len(found) < FEW
