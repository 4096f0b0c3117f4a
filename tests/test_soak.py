"""The soak in little, and what it judges by."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from e2e.parts import program

from bench.soak.__main__ import read_log
from bench.soak.aside import Aside
from bench.soak.pace import Pace
from bench.soak.record import AFTERMATH, Outages, Record, UnservedError, WrongError
from bench.soak.watch import slope

ROOT = Path(__file__).parents[1]
ACTIONS, RATE = 1500, 100
BOUND = 10  # seconds that a revoked credential may pass here: one is promised, of a machine with room for its load
DOINGS = {"reload", "restart", "revocation", "login, logout"}


@pytest.mark.timeout(240)
def test_a_short_soak_finds_nothing_wrong(tmp_path: Path) -> None:
    """Fifteen seconds of it; each kind of action was right at least once, each doing done."""
    program("redis-server")
    out = tmp_path / "soak.json"
    options = ["--actions", f"{ACTIONS}", "--rate", f"{RATE}", "--bound", f"{BOUND}", "--out", str(out)]
    command = [sys.executable, "-m", "bench.soak", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text())
    assert found["passed"]
    assert found["right"].keys() >= DOINGS | {"bearer", "string", "nobody", "dead", "upload", "download", "events"}
    assert len(found["workers"]) == 2
    assert found["revoked_passed"]


@asynccontextmanager
async def store() -> AsyncIterator[str]:
    yield "a store"


async def transaction(given: str, pipe: Path) -> str:
    for _ in range(10):
        await asyncio.sleep(0)
    pipe.write_text("committed")  # noqa: ASYNC240 - the other end reads
    return given


async def refused(_: str) -> None:
    raise ValueError("no such grant")


async def test_the_door_waits_for_no_client(tmp_path: Path) -> None:
    """Its transactions hold the lock of all writers: they must end while the loop of the clients is busy."""
    os.mkfifo(pipe := tmp_path / "pipe")
    async with Aside(store) as aside:
        under_way = asyncio.ensure_future(aside(partial(transaction, pipe=pipe)))
        await asyncio.sleep(0)  # it is begun
        assert pipe.read_text() == "committed"  # nothing else runs on this loop until then
        assert await under_way == "a store"
        with pytest.raises(ValueError, match="no such grant"):
            await aside(refused)


async def test_an_action_is_judged_by_what_it_raises() -> None:
    """Nothing excuses a wrong answer; none at all is excused while the service is away."""

    async def wrong() -> None:
        raise WrongError("another's token")

    async def unserved() -> None:
        raise UnservedError("502")

    record = Record()
    await record.judge("a", unserved())
    record.outages.begin()
    await record.judge("b", unserved())
    await record.judge("c", wrong())
    record.outages.end()
    assert (record.wrong, record.excused) == ({"a": 1, "c": 1}, {"b": 1})


def test_only_what_meets_an_outage_is_excused() -> None:
    """One that began soon after it may still find connections from before it."""
    outages = Outages()
    outages.spans.append((100.0, 101.0))
    assert outages.excuse(99.0, 100.0)
    assert outages.excuse(101.0 + AFTERMATH, 110.0)
    assert not outages.excuse(98.0, 99.9)
    assert not outages.excuse(101.1 + AFTERMATH, 110.0)


def test_the_slope_is_that_of_the_line_that_fits_best() -> None:
    """Two megabytes up and down again are none."""
    assert slope([(0, 5), (1, 7), (2, 9)]) == pytest.approx(2)
    assert slope([(0, 5), (1, 9), (2, 5)]) == pytest.approx(0)


def test_a_line_of_the_log_that_should_not_be_there_is_found() -> None:
    """A traceback, and an error that nobody has brought about."""
    good = '{"event": "endpoint dead", "level": "warning"}', '{"event": "reloaded", "level": "info"}'
    bad = "Traceback (most recent call last):", '{"event": "oh no", "level": "error"}'
    told, unexpected = read_log([*good, *bad])
    assert told["warning endpoint dead"] == 1
    assert [line.rpartition(": T")[2] for line in unexpected[:1]] == ["raceback (most recent call last):"]
    assert len(unexpected) == 2


async def test_what_is_due_after_so_many_actions_comes_then() -> None:
    """And not at all once they are over."""
    pace = Pace(3, 0)
    assert [await pace.turn() for _ in range(2)] == [True, True]
    assert not await pace.after(1)
    assert [await pace.turn() for _ in range(2)] == [True, False]
