"""Slots and who has them, with processes that only sleep: what a worker says is said here."""

import asyncio
import io
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.clock import Clock
from gateway.ops.health import Readiness
from gateway.ops.logs import application_log
from gateway.supervise.channel import Channel, Message, open_channel
from gateway.supervise.children import Children
from gateway.supervise.fleet import Fleet
from gateway.supervise.reading import Fault, Reading
from gateway.supervise.slot import Slot
from gateway.supervise.worker import Worker


class Played:
    """The other side of a worker. taken: configurations, the one of its start first. deaf: to whatever it is asked."""

    def __init__(self, pid: int, configuration: str) -> None:
        self.pid = pid
        self.taken = [configuration]
        self.deaf = asyncio.Event()
        self.channel: Channel

    async def answer(self, message: Message) -> Message:
        if self.deaf.is_set():
            await asyncio.Event().wait()
        if message["do"] == "reload":
            self.taken.append(str(message["configuration"]))
            return {"faults": []}
        return {"reasons": [], "warnings": [], "labels": [], "exposition": ""}


class Stage:
    """A fleet of two, whose workers are ready at once."""

    def __init__(self, children: Children) -> None:
        self.log = io.StringIO()
        self.played: list[Played] = []
        self.text = "first"
        self.faults: list[Fault] = []
        self._children = children
        self._running: list[asyncio.Task[None]] = []
        slots = [Slot(number, socket.socket()) for number in (1, 2)]
        log = application_log(self.log, "info")
        self.fleet = Fleet(slots, Reading("first"), self.launch, lambda: Reading(self.text, self.faults), log, Clock())

    async def launch(self, slot: Slot, configuration: str, *, first: bool = False, migrate: bool = False) -> Worker:
        ours, theirs = socket.socketpair()
        pid = os.posix_spawnp("sleep", ["sleep", "600"], os.environ)  # noqa: ASYNC221 - returns at once
        worker = Worker(slot.number, self._children.adopt(pid), ours)
        await worker.open()
        played = Played(pid, configuration)
        played.channel = await open_channel(theirs, played.answer, lambda _: None)
        self._running.append(asyncio.create_task(played.channel.run()))
        self.played.append(played)
        played.channel.tell({"event": "ready"})
        return worker

    async def end(self, played: Played) -> None:
        """As a process does: its side of the channel goes with it."""
        os.kill(played.pid, 9)
        await played.channel.aclose()

    async def until(self, look: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not look():  # noqa: ASYNC110 - what it looks at has no event
                await asyncio.sleep(0.01)

    def run(self) -> list[str]:
        """What those have that serve now."""
        taken = {played.pid: played.taken[-1] for played in self.played}
        return [taken[slot.worker.child.pid] for slot in self.fleet.slots if slot.worker is not None]

    async def close(self) -> None:
        for played in self.played:
            await played.channel.aclose()
        await self.fleet.aclose()
        await asyncio.gather(*self._running)
        for slot in self.fleet.slots:
            slot.listening.close()


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    children = Children()
    made = Stage(children)
    try:
        await made.fleet.start()
        yield made
    finally:
        await made.close()
        children.close()


@pytest.mark.parametrize(
    "said", [{"answer": {}}, {"event": "last", "exposition": "# TYPE x"}, {"event": "last"}, {"event": ["x"]}]
)
async def test_a_worker_that_speaks_nonsense_has_a_successor(said: Message) -> None:
    """Its slot does not stay empty because nobody understands what it left."""
    async with stage() as on:
        one = on.played[0]
        one.channel.tell(said)
        await on.end(one)
        await on.until(lambda: len(on.played) == 3 and on.fleet.slots[0].worker is not None)


async def test_a_worker_starts_while_another_is_asked_to_reload() -> None:
    """It begins with what runs, takes what the others took, and all have the same."""
    async with stage() as on:
        hanging, healthy = on.played
        hanging.deaf.set()
        on.text = "second"
        reloading = asyncio.create_task(on.fleet.reload())
        await on.end(healthy)
        await on.until(lambda: len(on.played) == 3 and on.fleet.slots[1].worker is not None)
        assert not reloading.done()
        await on.end(hanging)
        assert await reloading == []
        await on.until(lambda: on.run() == ["second", "second"])


async def test_a_configuration_that_was_refused_is_a_warning_until_one_is_taken() -> None:
    """Also where the workers have not heard of it: the supervisor reads it first."""
    async with stage() as on:
        on.faults = [{"code": "unknown_key", "message": "there is no such key"}]
        before = await on.fleet.readiness()
        await on.fleet.reload()
        refused = await on.fleet.readiness()
        on.faults = []
        await on.fleet.reload()
        found = [before, refused, await on.fleet.readiness()]
        assert found == [Readiness(), Readiness(warnings=("configuration_refused",)), Readiness()]


async def test_a_fleet_that_stops_holds_no_socket_open() -> None:
    """The kernel would go on completing handshakes."""
    async with stage() as on:
        stopping = asyncio.create_task(on.fleet.stop())
        await asyncio.sleep(0)
        assert [slot.listening.fileno() for slot in on.fleet.slots] == [-1, -1]
        for played in on.played:
            await on.end(played)
        await stopping
