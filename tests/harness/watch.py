"""Whether the event loop was held up: the longest that one turn of it kept the processor.

Processor time of the loop's own thread, so that a machine that is busy with other things does not count.
"""

import asyncio
import time
from types import TracebackType
from typing import Final, Self

LIMIT: Final = 0.010  # seconds


class Watch:
    """`with Watch() as watch: ...`, then `watch.longest`, and `watch.whole` of all turns, in seconds."""

    def __init__(self) -> None:
        self.longest = self.whole = 0.0
        self._last = 0.0
        self._handle: asyncio.Handle | None = None

    def __enter__(self) -> Self:
        self._last = time.thread_time()
        self._handle = asyncio.get_running_loop().call_soon(self._turn)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._handle is not None
        self._handle.cancel()

    def _turn(self) -> None:
        now = time.thread_time()
        self.longest = max(self.longest, now - self._last)
        self.whole += now - self._last
        self._last = now
        self._handle = asyncio.get_running_loop().call_soon(self._turn)
