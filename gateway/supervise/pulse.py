"""Whether a worker still answers. One that hangs accepts nothing: its share of new connections would wait for ever."""

import asyncio
from typing import Final, Protocol

from gateway.supervise.channel import ChannelClosedError, Message

PING_SECONDS: Final = 3.0  # between two questions, and for an answer
MISSES: Final = 4  # in a row, 12 to 15 s: a machine that swaps, or a collector's walk, is none


class Pinged(Protocol):
    """missed: questions in a row that were not answered."""

    missed: int

    async def ask(self, do: str, seconds: float) -> Message: ...


async def silence(worker: Pinged, seconds: float = PING_SECONDS, misses: int = MISSES) -> None:
    """Returns when the worker has not answered so many times in a row."""
    loop = asyncio.get_running_loop()
    while worker.missed < misses:
        next_one = loop.time() + seconds
        try:
            await worker.ask("ping", seconds)
            worker.missed = 0
        except ChannelClosedError:  # at once, when it has closed its side: it may be about to end
            worker.missed += 1
        await asyncio.sleep(next_one - loop.time())
