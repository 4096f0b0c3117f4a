"""Work in a process of its own, within something that is opened there for each piece of it."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractAsyncContextManager
from multiprocessing import get_context
from typing import Generic, Self, TypeVar

C = TypeVar("C")
T = TypeVar("T")

Open = Callable[[], AbstractAsyncContextManager[C]]


class Aside(Generic[C]):
    """Whatever this process is busy with: a transaction that awaited its turn here, statement by statement, would hold
    the lock of all writers for seconds. Also in a thread, which shares the interpreter with all clients.

    given: opened for each piece of work. It and the work are pickled: functions of modules, and partials of them.
    """

    def __init__(self, given: Open[C]) -> None:
        self._given = given
        self._pool = ProcessPoolExecutor(1, get_context("spawn"))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._pool.shutdown)

    async def __call__(self, work: Callable[[C], Awaitable[T]]) -> T:
        """Raises what it raises. A caller that gives up does not stop work that has begun."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, _done, self._given, work)


def _done(given: Open[C], work: Callable[[C], Awaitable[T]]) -> T:
    async def within() -> T:
        async with given() as opened:
            return await work(opened)

    return asyncio.run(within())
