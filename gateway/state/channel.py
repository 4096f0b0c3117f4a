"""News of revocations: a message says that there is something to look at in the database, and nothing else.

So a message that is lost costs half a second, until the table is polled; one that is forged costs a look.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.clock import BETWEEN, Between
from gateway.errors import DependencyFailed
from gateway.state.answers import why
from gateway.state.link import Link, Told, end

LOOKS_APART: Final = 0.2  # seconds: five looks a second, whatever is sent: of 400 workers, 2,000 reads of the table
QUIET_SECONDS: Final = 5.0  # without a message: then the server has to answer a ping in the same time
RETRY_FIRST: Final = 0.1  # seconds, doubled from the first to the last
RETRY_LAST: Final = 2.0


class Channel:
    """looks: how many were made. subscribed: whether news arrive. failing: whether they cannot: the last try failed."""

    def __init__(
        self,
        link: Link,
        name: str,
        look: Callable[[], Awaitable[None]],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        told: Told = lambda _why: None,
        between: Between = BETWEEN,
    ) -> None:
        """look: reads what is new. It is called when something was published, and when that may have been missed.

        told: why there is no subscription, once; None when there is one again.
        """
        self.looks = 0
        self.subscribed = False
        self.failing = False
        self._tell = told
        self._between = between
        self._link = link
        self._name = name
        self._look = look
        self._sleep = sleep
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._obey())]

    async def publish(self) -> None:
        """To all nodes, this one too. While the state is away nobody hears of it, and all poll."""
        try:
            await self._link.do(lambda client: client.publish(self._name, b"1"))
        except DependencyFailed:
            return

    async def aclose(self) -> None:
        await end(self._tasks)

    async def _obey(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._look()
            self.looks += 1
            await self._sleep(LOOKS_APART)  # what comes meanwhile is one look

    async def _listen(self) -> None:
        wait = RETRY_FIRST
        while True:
            try:
                await self._follow()
            except Exception as error:  # whatever it was: the table is polled meanwhile, and this is tried again
                wait = RETRY_FIRST if self.subscribed else min(wait * 2, RETRY_LAST)
                self._failed(error)
            self.subscribed = False
            await self._sleep(self._between(0.8 * wait, 1.2 * wait))

    def _failed(self, error: Exception) -> None:
        """One that breaks is made again at once, and the link tells of outages: neither is told here."""
        if not self.subscribed and not self.failing and self._link.alive:
            self.failing = True
            self._tell(why(error))

    async def _follow(self) -> None:
        """Until the connection breaks, or the server is silent to a ping."""
        subscription = self._link.client.pubsub()
        try:
            await subscription.subscribe(self._name)
            asked = False
            while True:
                message = await subscription.get_message(timeout=QUIET_SECONDS)
                if message is not None:
                    asked = False
                    self._told(message.get("type"))
                elif asked:
                    raise TimeoutError("no answer to a ping")
                else:
                    asked = True
                    await subscription.ping()
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(QUIET_SECONDS):
                    await subscription.aclose()

    def _told(self, kind: object) -> None:
        if kind == "subscribe":  # what was published before was not heard
            self.subscribed = True
            if self.failing:
                self.failing = False
                self._tell(None)
        if kind in ("subscribe", "message"):
            self._wake.set()
