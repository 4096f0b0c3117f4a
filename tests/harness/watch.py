"""Whether the event loop was held up: the longest that one turn of it kept the processor.

Processor time of the loop's own thread, so that a machine that is busy with other things counts little; what it counts,
and what a slow one does, is measured beside.
"""

import asyncio
import time
from types import TracebackType
from typing import Final, Self

LIMIT: Final = 0.010  # seconds, on a fast machine
STEPS: Final = 400_000  # of `_steps`, which take so long there


def limit() -> float:
    """Seconds that a turn may take, on this machine and now."""
    began = time.thread_time()
    _steps(STEPS)
    return max(LIMIT, time.thread_time() - began)


def _steps(count: int) -> int:
    total = 0
    for step in range(count):
        total += step & 7
    return total


class Watch:
    """`with Watch() as watch: ...`, then `watch.longest` in seconds."""

    def __init__(self) -> None:
        self.longest = 0.0
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
        self._last = now
        self._handle = asyncio.get_running_loop().call_soon(self._turn)
