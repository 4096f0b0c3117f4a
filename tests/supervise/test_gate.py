"""Many pass, or nobody does."""

import asyncio

from gateway.supervise.gate import Gate


async def test_it_closes_behind_the_last_and_opens_for_the_next() -> None:
    """Those who pass do not wait for each other; who comes while it is closed waits."""
    gate, told = Gate(), list[str]()
    both, leave = asyncio.Barrier(3), asyncio.Event()

    async def passes(name: str) -> None:
        async with gate.passing():
            told.append(f"{name} in")
            if name != "c":
                await both.wait()
            await leave.wait()
            told.append(f"{name} out")

    async def closes() -> None:
        async with gate.closed():
            told.append("closed")
            await asyncio.sleep(0)
            told.append("open")

    work = [asyncio.create_task(each) for each in (passes("a"), passes("b"), closes(), passes("c"))]
    await both.wait()
    leave.set()
    await asyncio.gather(*work)
    assert told == ["a in", "b in", "a out", "b out", "closed", "open", "c in", "c out"]
