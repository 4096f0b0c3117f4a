"""When garbage is looked for: the collector walks what may hold some, and every request waits for it.

What has ended frees itself (docs/decisions/0032): what only a walk over everything finds is a generation of the
configuration that was replaced, and what libraries leave. A walk of a gateway that has seen 20,000 credentials takes
a tenth of a second. So Python makes none by itself, but of what is new.
"""

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

# New objects, and walks of the newest, that are not yet reason for another walk of those or of what outlived one
# (gc.set_threshold): 3,500 objects, which take two milliseconds; Python's own settings come to 8,400.
NEWEST, YOUNG = 700, 3
NEVER: Final = 1 << 30
ENOUGH: Final = 50  # walks of the young, each of which may leave 3,500 objects, until a quiet second is used for all
MOST: Final = 100  # until one is used that is not
QUIET: Final = 0.01  # of a core, in the last second
REPLACED: Final = 60.0  # seconds that a replaced configuration waits for a quiet one


class Heap:
    """reloads: how many have been done. The rest is Python's own, and a test's.

    walks: of the young, so far. spent: seconds of the processor.
    """

    def __init__(
        self,
        reloads: Callable[[], int],
        collect: Callable[[], object] = gc.collect,
        walks: Callable[[], int] = lambda: int(gc.get_stats()[1]["collections"]),
        spent: Callable[[], float] = time.process_time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reloads = reloads
        self._collect = collect
        self._walks = walks
        self._spent = spent
        self._monotonic = monotonic
        self._begin()

    def _begin(self) -> None:
        self._seen = self._reloads()
        self._walked = self._walks()
        self._replaced: float | None = None  # when that was noticed
        self._last = self._monotonic(), self._spent()

    async def tend(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(1)
            self.look()

    def look(self) -> None:
        """Walks over everything if it is time. Asked about every second."""
        (before, spent), self._last = self._last, (self._monotonic(), self._spent())
        now = self._last[0]
        quiet = self._last[1] - spent <= QUIET * (now - before)
        if self._replaced is None and self._reloads() != self._seen:
            self._replaced = now
        come = self._walks() - self._walked
        replaced = self._replaced is not None
        late = come >= MOST or (self._replaced is not None and now - self._replaced >= REPLACED)
        if late or (quiet and (come >= ENOUGH or replaced)):
            self._collect()
            self._begin()


@contextmanager
def tended_heap(reloads: Callable[[], int]) -> Iterator[None]:
    """Freezes what the start has made, as it lives as long as the process, and has `Heap` say on the running loop when
    what is old is walked. reloads: how many have been done.

    The collector is off until then: with 10,000 routes it walked the growing heap again and again, for half of the
    start.
    """
    gc.collect()
    gc.freeze()
    before = gc.get_threshold()
    gc.set_threshold(NEWEST, YOUNG, NEVER)
    gc.enable()
    tending = asyncio.get_running_loop().create_task(Heap(reloads).tend())
    try:
        yield
    finally:
        tending.cancel()
        gc.set_threshold(*before)
