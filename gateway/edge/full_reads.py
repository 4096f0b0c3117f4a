"""Connections that send without end are read on in turns: in each turn of the loop, one client and one upstream."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

FEW: Final = 64  # connections that wait; each may hold a read of a quarter of a MiB


class FullReads:
    """Connections of which a read was large wait here before they are read on: one of them in each turn, or each
    stream at full rate would make turns longer."""

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


class _Sides:
    """Each has its queue: who waits for the rest of an answer does not wait behind uploads."""

    __slots__ = ("clients", "upstreams")

    def __init__(self) -> None:
        self.clients = FullReads()
        self.upstreams = FullReads()


_OF: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, _Sides]] = WeakKeyDictionary()


def _sides(loop: asyncio.AbstractEventLoop) -> _Sides:
    found = _OF.get(loop)
    if found is None:
        found = _OF[loop] = _Sides()
    return found


def read_client_later(read_on: Callable[[], None]) -> None:
    """After a large read, in the turns of the running loop."""
    loop = asyncio.get_running_loop()
    _sides(loop).clients.add(read_on, loop)


def read_upstream_later(read_on: Callable[[], None]) -> None:
    """As for a client."""
    loop = asyncio.get_running_loop()
    _sides(loop).upstreams.add(read_on, loop)


def few_clients_wait() -> bool:
    """Whether there is room for what holds its read while it waits."""
    return len(_sides(asyncio.get_running_loop()).clients) < FEW
