"""The worker that drains the outbox: what is due is rendered and sent, what fails is sent again later.

It runs beside the requests and never raises into them. A mail is sent at least once: a worker that dies, or loses the
store, between sending a mail and saying so leaves it to be sent again, under the same Message-ID.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from email.message import EmailMessage
from typing import Final, Protocol

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.identity.letters import Letter
from gateway.mail.delivery import Transport, Undelivered

POLL: Final = 1.0  # seconds between two looks, more or less
AT_ONCE: Final = 8  # mails on their way at once, so that a slow server does not hold up the next login
LEASE: Final = 120.0  # seconds: longer than any transport takes for one
FIRST_DELAY: Final = 5.0  # seconds after the first failure, doubled with each
LONGEST_DELAY: Final = 3600.0
GIVE_UP: Final = 24 * 3600.0  # seconds after it was posted
KEEP: Final = 7 * 24 * 3600.0  # seconds that a row stays, for the operator
PRUNE: Final = 3600.0  # seconds between two prunings
GRACE: Final = 5.0  # seconds that sending may still take once the worker is told to stop


class Taken(Protocol):
    """A mail that this worker alone may send for now. letter: None when it cannot be read.

    created_at: seconds since the epoch. tries: with this one, so from 1.
    """

    @property
    def id(self) -> str: ...

    @property
    def template(self) -> str: ...

    @property
    def letter(self) -> Letter | None: ...

    @property
    def created_at(self) -> float: ...

    @property
    def tries(self) -> int: ...


class Outbox(Protocol):
    """The store. Each call raises DependencyFailed. Times are seconds since the epoch."""

    async def take(self, most: int, lease: float) -> Sequence[Taken]: ...

    async def sent(self, letter_id: str) -> None: ...

    async def retry(self, letter_id: str, tries: int, at: float, reason: str) -> None: ...

    async def give_up(self, letter_id: str, tries: int, reason: str) -> None: ...

    async def prune(self, before: float) -> None: ...


class Log(Protocol):
    def info(self, event: str, **fields: object) -> object: ...

    def warning(self, event: str, **fields: object) -> object: ...

    def error(self, event: str, **fields: object) -> object: ...


class Render(Protocol):
    def __call__(self, letter: Letter, letter_id: str, at: float, /) -> EmailMessage:
        """at: when it was posted, seconds since the epoch. Raises ValueError when it cannot be written."""


async def _ended(tasks: "Collection[asyncio.Task[None]]", seconds: float) -> None:
    """Until they end, or are cancelled when the time is over."""
    if tasks:
        _, late = await asyncio.wait(tuple(tasks), timeout=max(seconds, 0.0))
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


class Postman:
    """due: whether anything waits at this time; cheap. outbox: opened with the first mail that does.

    outcomes: counts of mails: sent, failed (and to be sent again), given_up.
    """

    def __init__(
        self,
        due: Callable[[float], Awaitable[bool]],
        outbox: Callable[[], Awaitable[Outbox]],
        render: Render,
        transport: Transport,
        clock: Clock,
        log: Log,
    ) -> None:
        self._due = due
        self._outbox = outbox
        self._render = render
        self._transport = transport
        self._clock = clock
        self._log = log
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._pruned = -PRUNE
        self._stopping = False
        self._transport_down = False
        self._store_down = False
        self.outcomes = {"sent": 0, "failed": 0, "given_up": 0}

    @property
    def sending(self) -> int:
        """Mails on their way."""
        return len(self._sending)

    def start(self) -> None:
        """On the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def aclose(self, grace: float = GRACE) -> None:
        """Takes nothing more. What is not sent within `grace` seconds is sent by the next worker, after its lease."""
        self._stopping = True
        self._woken.set()
        until = asyncio.get_running_loop().time() + grace
        await _ended({self._task} if self._task is not None else set(), grace)  # it may have taken mails just now
        await _ended(self._sending, until - asyncio.get_running_loop().time())

    def wake(self) -> None:
        """A letter was posted, or a decoy: look now. On the loop's thread."""
        self._woken.set()

    async def _run(self) -> None:
        while not self._stopping:
            woken = self._woken.is_set()
            self._woken.clear()
            try:
                await self._round(woken)
                self._store_works()
            except Exception as error:  # whatever it is, the next mail may be another matter
                self._store_fails(error)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._clock.between(0.8 * POLL, 1.2 * POLL)):
                    await self._woken.wait()

    async def _round(self, woken: bool) -> None:
        """Set everything on its way that is due and that there is room for."""
        room = AT_ONCE - len(self._sending)
        waits = room > 0 and await self._due(self._clock.now())
        if waits and not self._stopping:
            outbox = await self._outbox()
            for taken in await outbox.take(room, LEASE):
                task = asyncio.get_running_loop().create_task(self._handle(outbox, taken))
                self._sending.add(task)
                task.add_done_callback(self._done)
        if waits or woken:
            await self._prune()

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._sending.discard(task)
        self._woken.set()  # there is room again

    async def _prune(self) -> None:
        """Only by who has the store open anyway: opening it for this would cost each idle worker 20 MiB."""
        at, before = self._clock.monotonic(), self._clock.now() - KEEP
        if at - self._pruned >= PRUNE:
            await (await self._outbox()).prune(before)
            self._pruned = at

    async def _handle(self, outbox: Outbox, taken: Taken) -> None:
        """Send one, and say in the store what came of it."""
        try:
            await self._deliver(outbox, taken)
        except Exception as error:
            self._store_fails(error)  # its lease ends, and it is taken again

    async def _deliver(self, outbox: Outbox, taken: Taken) -> None:
        failure = await self._failure(taken)
        if failure is not None:
            await self._failed(outbox, taken, failure)
            return
        self.outcomes["sent"] += 1
        await outbox.sent(taken.id)
        if self._transport_down:
            self._transport_down = False
            self._log.info("mails are sent again")

    async def _failure(self, taken: Taken) -> Undelivered | None:
        """Send it. What no transport should raise is tried again like the rest, and given up in the end."""
        try:
            await self._transport.send(self._written(taken))
        except Undelivered as failure:
            return failure
        except Exception as error:
            return Undelivered(_kind(error))
        return None

    def _written(self, taken: Taken) -> EmailMessage:
        if taken.letter is None:
            raise Undelivered("it cannot be read: sealed with another key, or by a newer version", permanent=True)
        try:
            return self._render(taken.letter, taken.id, taken.created_at)
        except ValueError as error:
            raise Undelivered(f"it cannot be written: {_kind(error)}", permanent=True) from error

    async def _failed(self, outbox: Outbox, taken: Taken, failure: Undelivered) -> None:
        now, last = self._clock.now(), taken.created_at + GIVE_UP
        told = {"id": taken.id, "template": taken.template, "tries": taken.tries, "reason": failure.reason}
        if failure.permanent or now >= last:
            self.outcomes["given_up"] += 1
            await outbox.give_up(taken.id, taken.tries, failure.reason)
            self._log.error("a mail was given up", **told)
            return
        self.outcomes["failed"] += 1
        self._transport_down = True
        at = min(now + delay(taken.tries), last)
        self._log.warning("a mail was not sent", **told, again_in=round(at - now))
        await outbox.retry(taken.id, taken.tries, at, failure.reason)

    def _store_fails(self, error: Exception) -> None:
        if not self._store_down:
            detail = error.detail if isinstance(error, DependencyFailed) else _kind(error)
            self._log.error("the outbox cannot be used", detail=detail)
        self._store_down = True

    def _store_works(self) -> None:
        if self._store_down:
            self._log.info("the outbox can be used again")
        self._store_down = False


def delay(tries: int) -> float:
    """Seconds to wait after this many failures, from 1."""
    return min(FIRST_DELAY * 2.0 ** min(tries - 1, 16), LONGEST_DELAY)


def _kind(error: Exception) -> str:
    """An error's text may hold what the mail says."""
    return type(error).__name__
