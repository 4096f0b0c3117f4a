"""How late the event loop is."""

import asyncio
import time

from gateway.ops.lag import TICK_SECONDS, LoopLag

BLOCKED = 3 * TICK_SECONDS


async def test_a_loop_that_is_held_up_is_seen() -> None:
    """Whatever falls into a block that is longer than the pause between two looks is late by the rest of it."""
    seen: asyncio.Queue[float] = asyncio.Queue()
    lag = LoopLag(seen.put_nowait)
    lag.start()
    await seen.get()  # from here on, the next look is due within the block
    time.sleep(BLOCKED)  # noqa: ASYNC251 - that is what is to be seen
    late = await seen.get()
    lag.close()
    assert late >= BLOCKED - TICK_SECONDS - 0.005


async def test_it_goes_on_until_it_is_closed() -> None:
    """One timer at a time, and none afterwards."""
    seen: list[float] = []
    three = asyncio.Event()

    def late(seconds: float) -> None:
        seen.append(seconds)
        if len(seen) == 3:
            lag.close()  # the look that is under way begins another
            three.set()

    lag = LoopLag(late)
    lag.start()
    await three.wait()
    lag.close()
    await asyncio.sleep(2 * TICK_SECONDS)
    assert len(seen) == 3
    assert min(seen) >= 0.0
