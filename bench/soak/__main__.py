"""The command line of the soak: starts everything, runs it, prints what was seen. Exit code 1: something was wrong."""

import argparse
import asyncio
import contextlib
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from bench.fleet.servers import start_redis
from bench.processes import Cores, Stable
from bench.soak.actions import Actions
from bench.soak.doings import Doings, Timetable
from bench.soak.home import Home
from bench.soak.pace import Pace
from bench.soak.record import Record
from bench.soak.watch import GROWTH, Rest, Watch, at_rest

OUT = Path(__file__).parents[1] / "out"
CLIENTS = 32
WARM_UP = 500  # actions before the first rest
STOP_SECONDS = 40.0  # more than listen.timeouts.drain
BOUND = 1.0  # seconds: docs/concepts.md, "how fast a no is a no"
EXPECTED = {"warning endpoint dead", "error reload refused"}  # above info, and nothing but what was done to it


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long, at that rate (default 30)")
    parser.add_argument("--rate", type=float, default=150.0, help="actions a second (default 150)")
    parser.add_argument("--actions", type=int, help="so many, in place of minutes")
    parser.add_argument("--bound", type=float, default=BOUND, help="seconds that a revoked credential may pass")
    parser.add_argument("--growth", type=float, default=GROWTH, help="KiB a minute that a worker may grow")
    parser.add_argument("--seed", type=int, default=0, help="of what is chosen at random")
    parser.add_argument("--out", type=Path, help="where the figures go as JSON (default: a new file in bench/out)")
    return parser.parse_args(arguments)


@dataclass(frozen=True, slots=True)
class Outcome:
    """told: events of the log. faults: beside wrong answers; each is a reason to fail."""

    record: Record
    watch: Watch
    doings: Doings
    told: Counter[str]
    faults: list[str]

    @property
    def failed(self) -> bool:
        return bool(self.faults or self.record.wrong)

    def text(self) -> str:
        """For people."""
        lines = [self.record.table(), "", self.watch.table(), ""]
        for what, seconds in (("a request passed", self.doings.lasted), ("a WebSocket ended", self.doings.ended)):
            if seconds:
                lines.append(
                    f"revoked {len(seconds)} times: {what} {max(seconds):.2f} s later at most,"
                    f" {sum(seconds) / len(seconds):.2f} on average"
                )
        lines += [f"{count:6} x {name}" for name, count in sorted(self.told.items())]
        lines += [f"WRONG: {line}" for line in (*self.record.descriptions, *self.faults)]
        return "\n".join([*lines, "", "failed" if self.failed else "passed"])

    def fields(self) -> dict[str, Any]:
        """For programs."""
        return {
            "passed": not self.failed,
            "right": self.record.right,
            "excused": self.record.excused,
            "wrong": self.record.wrong,
            "longest": self.record.longest,
            "revoked_passed": self.doings.lasted,
            "revoked_websockets_ended": self.doings.ended,
            "workers": {str(pid): [asdict(look) for look in looks] for pid, looks in self.watch.looks.items()},
            "told": self.told,
            "faults": [*self.record.descriptions, *self.faults],
        }


async def run(chosen: argparse.Namespace, stable: Stable) -> Outcome:
    redis = start_redis(stable)
    home = Home(stable, f"redis://127.0.0.1:{redis.port}")
    home.make()
    home.start_service()
    async with home.door() as door:
        say("seeding")
        await door.fill()
        say("starting the gateway")
        await asyncio.to_thread(home.start_gateway)
        chance, record = random.Random(chosen.seed), Record()
        say("warming up")
        async with clients() as sessions:
            await drive(Actions(home, door, sessions, chance, chosen.bound), record, Pace(WARM_UP, chosen.rate))
        before = await rest(home)
        pace = Pace(chosen.actions or int(chosen.rate * 60 * chosen.minutes), chosen.rate)
        say(f"soaking: {pace.total} actions")
        async with watching(home, pace) as watch, clients() as sessions:
            actions = Actions(home, door, sessions, chance, chosen.bound)
            doings = Doings(home, door, actions, record, pace)
            async with asyncio.TaskGroup() as group:
                group.create_task(doings.all(timetable(pace.total)))
                group.create_task(drive(actions, record, pace))
        say("until it is at rest")
        faults = [*before.held, *(await rest(home, before)).held, *watch.grown(chosen.growth)]
        home.gateway.send(signal.SIGTERM)
        if (code := await asyncio.to_thread(home.gateway.wait, STOP_SECONDS)) != 0:
            faults.append(f"the gateway ended with {code}, after SIGTERM")
        told, unexpected = read_log(home.told())
        return Outcome(record, watch, doings, told, faults + unexpected)


def timetable(total: int) -> Timetable:
    """About once in half a minute, four seconds, and a minute and a half of a long run; some of each in a short one."""
    return Timetable(min(4_500, total // 6), min(600, total // 15), min(13_000, total // 2))


@contextlib.asynccontextmanager
async def clients() -> AsyncIterator[tuple[aiohttp.ClientSession, aiohttp.ClientSession]]:
    """One session that keeps its connections, one that does not."""
    patience = aiohttp.ClientTimeout(total=None)  # `Record.judge` has its own
    connectors = [aiohttp.TCPConnector(limit=0, force_close=force) for force in (False, True)]
    async with (
        aiohttp.ClientSession(connector=connectors[0], timeout=patience) as kept,
        aiohttp.ClientSession(connector=connectors[1], timeout=patience) as fresh,
    ):
        yield kept, fresh


@contextlib.asynccontextmanager
async def watching(home: Home, pace: Pace) -> AsyncIterator[Watch]:
    watch, over = Watch(home, pace), asyncio.Event()
    task = asyncio.create_task(watch.run(over))
    try:
        yield watch
    finally:
        over.set()
        await task


async def drive(actions: Actions, record: Record, pace: Pace) -> None:
    table = actions.table()
    kinds, weights = list(table), [weight for _, weight in table.values()]

    async def client() -> None:
        while await pace.turn():
            (kind,) = actions.chance.choices(kinds, weights)
            await record.judge(kind, table[kind][0]())

    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client())


async def rest(home: Home, before: Rest | None = None) -> Rest:
    """With the service started anew, so that no connection to it is kept from before."""
    await asyncio.to_thread(home.stable.stop, home.service)
    await asyncio.to_thread(home.start_service)
    return await at_rest(home, before)


def read_log(lines: Sequence[str]) -> tuple[Counter[str], list[str]]:
    """How often each event was told, and the lines that should not be there."""
    told: Counter[str] = Counter()
    unexpected = []
    for line in lines:
        try:
            found = json.loads(line)
            name = f"{found['level']} {found['event']}"
        except (ValueError, KeyError, TypeError):
            unexpected.append(f"not a line of the log: {line[:300]}")
            continue
        told[name] += 1
        if found["level"] not in ("info", "debug") and name not in EXPECTED:
            unexpected.append(f"told: {line[:300]}")
    return told, unexpected


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> int:
    chosen = options(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # through the blocks that stop what was started
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-soak-")))
        stable = stack.enter_context(Stable(folder, Cores.of_this_machine()))
        outcome = asyncio.run(run(chosen, stable))
    print(outcome.text())
    OUT.mkdir(exist_ok=True)
    out = chosen.out or OUT / f"soak-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    out.write_text(json.dumps(outcome.fields(), indent=2) + "\n")
    return int(outcome.failed)


if __name__ == "__main__":
    sys.exit(main())
