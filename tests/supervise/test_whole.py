"""One answer of several workers, as soon as it is known."""

import asyncio
import socket
from typing import cast

import pytest

from gateway.ops.health import CHECK_SECONDS, Readiness
from gateway.supervise.channel import ChannelClosedError, Message
from gateway.supervise.slot import Slot
from gateway.supervise.whole import READINESS_SECONDS, readiness
from gateway.supervise.worker import Worker


class Asked:
    """What it answers; None: it hangs."""

    def __init__(self, reasons: list[str] | None, release: int = 0) -> None:
        self.release = release
        self._reasons = reasons

    async def ask(self, do: str, seconds: float) -> Message:
        if self._reasons is None:
            await asyncio.sleep(seconds)
            raise ChannelClosedError
        return {"reasons": self._reasons, "warnings": []}


def slots(*workers: Asked | None) -> list[Slot]:
    return [
        Slot(number, cast(socket.socket, None), worker=cast(Worker, worker)) for number, worker in enumerate(workers, 1)
    ]


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        ((Asked([]), Asked([])), Readiness()),
        ((Asked([]), Asked(["x"])), Readiness((), ("worker 2: x",))),
        ((Asked(None), Asked([])), Readiness((), ("worker 1: does not answer",))),
        ((None, Asked([])), Readiness((), ("worker 1: not running",))),
        ((None, Asked(["x"])), Readiness(("worker 1: not running", "worker 2: x"))),
        (
            (Asked([], 1), Asked([])),
            Readiness((), ("upgrade: 1 of 2 workers run the program as it was before",)),
        ),
    ],
)
async def test_it_is_told_once_nobody_could_change_it(workers: tuple[Asked | None, ...], expected: Readiness) -> None:
    """A worker that hangs is not waited for when another is ready."""
    async with asyncio.timeout(5):
        assert await readiness(slots(*workers), seconds=60, grace=0.01) == expected


async def test_it_has_a_bound() -> None:
    """Which balancers wait for, and in which a worker can say what it lacks."""
    async with asyncio.timeout(5):
        found = await readiness(slots(Asked(None), Asked(None)), seconds=0.01)
    assert found == Readiness(("worker 1: does not answer", "worker 2: does not answer"))
    assert CHECK_SECONDS < READINESS_SECONDS < 2.0
