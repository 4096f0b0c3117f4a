"""Transports in memory that do what asyncio's do, and a loop whose clock is ours."""

import asyncio
from collections.abc import Callable
from typing import Any

from access.world import Time

HIGH, LOW = 2048, 512  # bytes that a transport holds before it says stop, and when it says go on


class Loop(asyncio.SelectorEventLoop):
    """timers: those that were set and neither ran nor were cancelled. surprises: what nobody caught."""

    def __init__(self, hand: Time) -> None:
        self._hand = hand
        self._timers: set[asyncio.TimerHandle] = set()
        self.surprises: list[object] = []
        super().__init__()
        self.set_exception_handler(lambda _, context: self.surprises.append(context))

    def time(self) -> float:
        return self._hand.monotonic

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:  # type: ignore[override]
        def ring() -> None:
            self._timers.discard(handle)
            callback(*args)

        handle = super().call_at(when, ring, context=context)
        self._timers.add(handle)
        return handle

    @property
    def timers(self) -> list[asyncio.TimerHandle]:
        return [handle for handle in self._timers if not handle.cancelled()]

    def turns(self, count: int) -> None:
        async def wait() -> None:
            for _ in range(count):
                await asyncio.sleep(0)

        self.run_until_complete(wait())

    def do(self, what: Callable[[], Any]) -> Any:
        """What a socket brings is handled: inside of the loop, and before what is ready to run since the last turn."""
        asyncio._set_running_loop(self)
        try:
            return what()
        finally:
            asyncio._set_running_loop(None)


class Wire(asyncio.Transport):
    """One end of a connection, the gateway's; the methods after `peer` are the other end's.

    out: written, and not taken. taken: what the other end has. takes: whether it takes all at once. late: what was
    written after its end.
    """

    def __init__(self, loop: Loop, protocol: Any, name: str) -> None:
        super().__init__({"peername": (name, 1)})
        self._loop = loop
        self._protocol = protocol
        self.out, self.taken = bytearray(), bytearray()
        self.late: list[bytes] = []
        self.takes = self.reading = True
        self.closing = self.lost = self.ended = False
        self._full = self._falling = False
        self._eof = False

    # asyncio's

    def write(self, data: Any) -> None:
        if self._eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self.closing and data:
            self.late.append(bytes(data))
        if self._falling or not data:
            return
        self.out += data
        self._move()
        if len(self.out) > HIGH and not self._full:
            self._full = True
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return len(self.out)

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self.closing:
            self._eof = True
            self._move()

    def pause_reading(self) -> None:
        if not self.closing:
            assert self.reading, "paused twice"
            self.reading = False

    def resume_reading(self) -> None:
        if not self.closing:
            assert not self.reading, "resumed twice"
            self.reading = True

    def close(self) -> None:
        if not self.closing:
            self.closing, self.reading = True, False
            self._move()

    def abort(self) -> None:
        self.fall(None)

    # the peer's

    def take(self, size: int) -> None:
        self.taken += self.out[:size]
        del self.out[:size]
        if self._full and len(self.out) <= LOW:
            self._full = False
            self._protocol.resume_writing()
        self._move()

    def take_all(self, always: bool = True) -> None:
        """And from now on whatever is written, or not."""
        self.takes = always
        self.take(len(self.out))

    def feed(self, data: bytes) -> None:
        """It arrives; where the gateway does not read it waits, so nobody calls this then."""
        assert self.reading
        self._protocol.data_received(data)

    def eof(self) -> None:
        """The peer sends no more."""
        assert self.reading
        self.reading = False
        if self._protocol.eof_received():
            self.reading = True  # to pause it again is no mistake of the gateway's
        else:
            self.close()

    def fall(self, error: Exception | None) -> None:
        """The connection is gone: reset, timed out, or aborted by ourselves."""
        if not self._falling:
            self._falling = self.closing = True
            self.reading = False
            self.out.clear()
            self._loop.call_soon(self._lose, error)

    def _move(self) -> None:
        if self.takes and self.out:
            self.take(len(self.out))
        if not self.out and self._eof:
            self.ended = True
        if not self.out and self.closing and not self._falling:
            self._falling = True
            self._loop.call_soon(self._lose, None)

    def _lose(self, error: Exception | None) -> None:
        self.lost = self.ended = True
        self._protocol.connection_lost(error)
