"""One worker process, as its supervisor sees it."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, cast

from gateway.ops.metrics import process
from gateway.supervise.channel import Channel, ChannelClosedError, Message, open_channel
from gateway.supervise.children import Child, End
from gateway.supervise.reading import Fault, Reading

ANSWER_SECONDS: Final = 2.0  # for metrics, readiness and purge


class WorkerFailed(Exception):  # noqa: N818 - errors are named by fault
    """A worker did not come to serve. code: 1 for a wrong configuration, 3 for a dependency, as `gateway serve` has it.

    told: at a first start it has said so itself.
    """

    def __init__(self, detail: str, faults: Sequence[Fault] = (), code: int = 1, told: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = faults
        self.code = code
        self.told = told


class Worker:
    """exposition: of its metrics, as it was told last. since: monotonic seconds, when it became ready.

    reading: what it has. release: as in Fleet. missed: as in `pulse`.
    """

    def __init__(self, number: int, child: Child, control: socket.socket, since: float = 0.0) -> None:
        self.number = number
        self.child = child
        self.control_number = control.fileno()
        self._control = control
        self.since = since
        self.exposition = ""
        self.address = ""
        self.reading: Reading | None = None
        self.release = 0
        self.missed = 0
        self._ready: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._failure: Message = {}
        self._channel: Channel
        self._listening: asyncio.Task[None]

    async def open(self) -> None:
        self._channel = await open_channel(self._control, _refuse, self._hear)
        self._listening = asyncio.create_task(self._channel.run())

    async def until_ready(self, seconds: float | None) -> None:
        """Raises WorkerFailed, after its end."""
        over = asyncio.create_task(self.over())
        try:
            waiting: set[asyncio.Future[Any]] = {over, self._ready}
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if self._ready.done():
                return
            late = not over.done()
            if late:
                self.kill()
            end = await over
        finally:
            over.cancel()
        if late:
            raise WorkerFailed(f"it was not ready within {seconds:g} s")
        told = self._failure
        code = cast(int, told.get("code", end.code))
        detail = str(told.get("detail", "")) or f"it ended with {how(end)} before it was ready"
        raise WorkerFailed(detail, cast(Sequence[Fault], told.get("faults", ())), code, bool(told))

    async def over(self) -> End:
        """After its end, when all that it told is known."""
        end = await self.child.end()
        await asyncio.wait({self._listening})  # whatever it raised
        await self._channel.aclose()
        return end

    @property
    def fault(self) -> str:
        """As in Channel."""
        return self._channel.fault

    async def ask(self, do: str, seconds: float = ANSWER_SECONDS, **fields: object) -> Message:
        """Raises ChannelClosedError."""
        return await self._channel.ask({"do": do, **fields}, seconds)

    def tell(self, do: str, **fields: object) -> None:
        self._channel.tell({"do": do, **fields})

    def kill(self) -> None:
        self.child.kill()

    async def measure(self) -> None:
        """Takes its exposition, if it answers."""
        with suppress(ChannelClosedError):
            self.exposition = str((await self.ask("metrics")).get("exposition", self.exposition))

    def usage(self) -> dict[str, float]:
        """As `ops.metrics.process`."""
        return process(self.child.pid)

    def _hear(self, message: Message) -> None:
        match message.get("event"):
            case "ready":
                self.address = str(message.get("address", ""))
                if not self._ready.done():
                    self._ready.set_result(message)
            case "failed":
                self._failure = message
            case "last":
                self.exposition = str(message.get("exposition", self.exposition))


def how(end: End) -> str:
    return f"signal {-end.code}" if end.code < 0 else f"exit code {end.code}"


async def _refuse(_: Message) -> Message:
    """A worker asks nothing."""
    return {}
