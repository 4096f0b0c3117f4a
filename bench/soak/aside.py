"""Work on an event loop of its own, in a thread, within something that was opened there."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from threading import Thread
from typing import Generic, Self, TypeVar

C = TypeVar("C")
T = TypeVar("T")


class Aside(Generic[C]):
    """Whatever the caller's own loop is busy with: a transaction that awaited its turn there, statement by statement,
    would hold the lock of all writers for seconds. One piece of work after another.

    context: entered and left on that loop, and given to the work.
    """

    def __init__(self, context: AbstractAsyncContextManager[C]) -> None:
        self._context = context
        self._thread = Thread(target=self._run, name="aside", daemon=True)
        self._ready: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop
        self._jobs: asyncio.Queue[Callable[[C], Awaitable[None]] | None]

    async def __aenter__(self) -> Self:
        self._thread.start()
        await asyncio.wrap_future(self._ready)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._put(None)
        await asyncio.to_thread(self._thread.join)

    async def __call__(self, work: Callable[[C], Awaitable[T]]) -> T:
        """Raises what it raises. A caller that gives up does not stop work that has begun."""
        outcome: Future[T] = Future()

        async def job(given: C) -> None:
            if not outcome.set_running_or_notify_cancel():
                return
            try:
                outcome.set_result(await work(given))
            except Exception as error:
                outcome.set_exception(error)

        self._put(job)
        return await asyncio.wrap_future(outcome)

    def _put(self, job: Callable[[C], Awaitable[None]] | None) -> None:
        self._loop.call_soon_threadsafe(self._jobs.put_nowait, job)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)

    async def _serve(self) -> None:
        async with self._context as given:
            self._loop, self._jobs = asyncio.get_running_loop(), asyncio.Queue()
            self._ready.set_result(None)
            while (job := await self._jobs.get()) is not None:
                await job(given)
