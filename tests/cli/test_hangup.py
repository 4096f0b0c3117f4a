"""Signals that ask for a reload, and how many there are."""

import asyncio
import io
import json

import pytest

from gateway.cli.hangup import Hangup
from gateway.ops.logs import application_log


@pytest.mark.parametrize(("signals", "reloads"), [(1, 1), (30, 2)])
async def test_many_signals_are_one_more_reload(signals: int, reloads: int) -> None:
    """The first begins at once; one more begins after the last signal."""
    begun, go_on = 0, asyncio.Event()

    async def reload() -> None:
        nonlocal begun
        begun += 1
        await go_on.wait()

    hangup = Hangup(reload, application_log(io.StringIO(), "info"))
    for _ in range(signals):
        hangup()
        await asyncio.sleep(0)
    assert begun == 1
    go_on.set()
    while hangup.pending:  # noqa: ASYNC110 - it ends by itself
        await asyncio.sleep(0)
    assert begun == reloads


async def test_a_reload_that_fails_is_told_and_the_next_one_comes() -> None:
    """Nobody waits for it who could be told otherwise."""

    async def reload() -> None:
        raise OSError("disk")

    told = io.StringIO()
    hangup = Hangup(reload, application_log(told, "info"))
    for _ in range(2):
        hangup()
        while hangup.pending:  # noqa: ASYNC110 - it ends by itself
            await asyncio.sleep(0)
    assert [json.loads(line)["event"] for line in told.getvalue().splitlines()] == ["reload failed"] * 2
