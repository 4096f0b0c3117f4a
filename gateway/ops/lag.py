"""How late the event loop is: one timer that is due ten times a second, and by how much it was overdue."""

import asyncio
from collections.abc import Callable
from typing import Final

# A block of a tenth of a second or more is always seen; a shorter one as often as it is long, which is what a histogram
# is to say. No multiple of the sweep's sixteenth of a second, which would hide behind this or be all that it sees.
TICK_SECONDS: Final = 0.097


class LoopLag:
    """late: told the seconds, 0 or more."""

    def __init__(self, late: Callable[[float], object]) -> None:
        self._late = late
        self._loop = asyncio.get_running_loop()
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._due = self._loop.time() + TICK_SECONDS
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self._late(max(self._loop.time() - self._due, 0.0))
        self.start()
