"""The built-in application's steps wait for their turns, and end as they would without."""

import asyncio
from collections.abc import Callable

import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpClient

from gateway.control.paced import Steps, paced


class Gate:
    """Turns that a test hands out, one at a time. asked: how often one was waited for."""

    def __init__(self) -> None:
        self.asked = 0
        self._waiting: list[asyncio.Future[None]] = []

    async def take(self) -> None:
        self.asked += 1
        self._waiting.append(asyncio.get_running_loop().create_future())
        await self._waiting[-1]

    def open(self) -> None:
        self._waiting.pop().set_result(None)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_has_waited_goes_on_in_a_turn_of_its_own() -> None:
    """Not when what it waits for is there, and not before its first wait is over."""
    gate, ready, done = Gate(), asyncio.Event(), list[str]()

    async def work() -> web.StreamResponse:
        done.append("begun")
        await ready.wait()
        done.append("ready")
        await asyncio.sleep(0)
        done.append("ended")
        return web.Response(status=204)

    task = asyncio.ensure_future(through(work, gate))
    await turns()
    assert (done, gate.asked) == (["begun"], 0)
    ready.set()
    await turns()
    assert (done, gate.asked) == (["begun"], 1)
    gate.open()
    await turns()
    assert (done, gate.asked) == (["begun", "ready"], 2)
    gate.open()
    assert (await task).status == 204


async def test_what_is_cancelled_in_its_wait_for_a_turn_cleans_up() -> None:
    """Its client has gone: a transaction is to be rolled back, and that waits for something in turn."""
    gate, told = Gate(), list[str]()

    async def work() -> web.StreamResponse:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            told.append("rolled back")
            raise
        raise AssertionError

    task = asyncio.ensure_future(through(work, gate))
    await turns()
    task.cancel()
    await turns()
    assert (gate.asked, told) == (2, [])
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == ["rolled back"]


async def test_a_fault_of_what_it_waits_for_is_told_to_it() -> None:
    """At once, as is one of its own to whoever awaits it."""
    gate = Gate()
    failing: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def work() -> web.StreamResponse:
        try:
            await failing
        except LookupError as fault:
            raise PermissionError from fault
        raise AssertionError

    task = asyncio.ensure_future(through(work, gate))
    await turns()
    failing.set_exception(LookupError())
    with pytest.raises(PermissionError):
        await task


async def test_every_handler_of_an_application_is_paced(aiohttp_client: AiohttpClient) -> None:
    """From its start on, whatever routes it has."""
    asked = list[str]()

    async def take() -> None:
        asked.append("")

    async def handler(_: web.Request) -> web.Response:
        await asyncio.sleep(0)
        return web.Response(text="done")

    application = web.Application()
    application.router.add_get("/", handler)
    paced(application, lambda: take)
    client = await aiohttp_client(application)
    assert await (await client.get("/")).text() == "done"
    assert asked == [""]


async def through(work: Callable[[], object], gate: Gate) -> web.StreamResponse:
    return await Steps(work(), gate.take)  # type: ignore[arg-type]
