"""What happens meanwhile: reloads, revocations, and a service that is killed and started again."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count

import aiohttp

from bench.soak.actions import Actions, served
from bench.soak.home import Door, Home
from bench.soak.pace import Pace
from bench.soak.record import Record, UnservedError, WrongError

REFUSED = 4  # every so many reloads is one of a faulty configuration
TERMINATED = 2  # every so many restarts the service is asked to go; else it is killed
AWAY = 0.5  # seconds that the service stays away
POLICY_VIOLATION = 1008


@dataclass(frozen=True, slots=True)
class Timetable:
    """After how many actions each comes again."""

    reload: int
    revoke: int
    restart: int


@dataclass
class Doings:
    """lasted, ended: how long each revoked credential still passed, and when its WebSocket was closed, in seconds after
    its revocation."""

    home: Home
    door: Door
    actions: Actions
    record: Record
    pace: Pace
    lasted: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)

    async def all(self, times: Timetable) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeatedly(times.reload, "reload", self.reload))
            group.create_task(self._repeatedly(times.revoke, "revocation", self.revoke))
            group.create_task(self._repeatedly(times.restart, "restart", self.restart))

    async def _repeatedly(self, actions: int, name: str, doing: Callable[[int], Awaitable[None]]) -> None:
        for number in count():
            if not await self.pace.after(actions):
                return
            await self.record.judge(name, doing(number))

    async def reload(self, number: int) -> None:
        """Its access log rotated first. The new routes are served as soon as it says so, and the old ones are not."""
        log = self.home.folder / "access.log"
        os.replace(log, log.with_suffix(".old"))
        if number % REFUSED == REFUSED - 1:
            await self._refused_reload()
            return
        self.home.generation += 1
        self.home.write()
        status, body = await asyncio.to_thread(self.home.operate, "/reload")
        if status != 200:
            raise WrongError(f"a reload: {status} {body!r}")
        await self._generation(self.home.generation, 200)
        await self._generation(self.home.generation - 1, 404)

    async def _refused_reload(self) -> None:
        """What ran before still does."""
        self.home.write(upstreams={})
        try:
            status, body = await asyncio.to_thread(self.home.operate, "/reload")
            if status != 422:
                raise WrongError(f"a faulty configuration: {status} {body!r}")
            await self._generation(self.home.generation, 200)
        finally:
            self.home.write()
            await asyncio.to_thread(self.home.operate, "/reload")  # opens the log anew

    async def _generation(self, number: int, wanted: int) -> None:
        """On a connection each, so that either worker is asked."""
        url = f"{self.home.url}/generation/{number}/echo/{number}"
        for _ in range(4):
            async with self.actions.sessions[1].get(url) as answer:
                text = await answer.read()
                if wanted == 200:
                    served(answer, text)
                elif answer.status != wanted:
                    raise WrongError(f"the route of a configuration that is gone: {answer.status}")

    async def revoke(self, number: int) -> None:
        """By the store, as the command line does it. A WebSocket that it has opened ends with it."""
        await self.record.outages.served.wait()
        doomed = await self.door.doomed(number)
        headers = dict([doomed.header])
        for _ in range(4):  # so that both workers remember it
            async with self.actions.sessions[1].get(f"{self.home.url}/known/echo/x", headers=headers) as answer:
                served(answer, await answer.read())
        url = f"{self.home.url}/known/websocket"
        try:
            async with self.actions.sessions[0].ws_connect(url, headers=headers, autoclose=False) as socket:
                await self.door.revoke(doomed)
                began = time.monotonic()
                (ended, message), passed = await asyncio.gather(_end(socket), self.actions.passes(headers, began))
        except aiohttp.WSServerHandshakeError as error:
            raise UnservedError(f"handshake: {error.status}") from error
        self.lasted.append(passed)
        if message != (aiohttp.WSMsgType.CLOSE, POLICY_VIOLATION):
            raise UnservedError(f"a revoked WebSocket ended with {message}")
        self.ended.append(ended - began)
        if max(passed, self.ended[-1]) > self.actions.bound:
            raise WrongError(
                f"revoked, and passed {passed:.2f} s later; its WebSocket ended after {self.ended[-1]:.2f} s"
            )
        self.actions.bury(doomed.header)

    async def restart(self, number: int) -> None:
        self.record.outages.begin()
        self.home.service.send(signal.SIGTERM if number % TERMINATED else signal.SIGKILL)
        await asyncio.to_thread(self.home.stable.stop, self.home.service)
        await asyncio.sleep(AWAY)
        await asyncio.to_thread(self.home.start_service)
        self.record.outages.end()


async def _end(socket: aiohttp.ClientWebSocketResponse) -> tuple[float, tuple[aiohttp.WSMsgType, object]]:
    """When it came, and what it was."""
    message = await socket.receive()
    return time.monotonic(), (message.type, message.data)
