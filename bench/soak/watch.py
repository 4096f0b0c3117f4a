"""Whether a worker grows: its memory over time, and what it holds when nobody asks anything."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.soak.home import Home
from bench.soak.pace import Pace

KIB, MIB = 1024, 1024 * 1024
EVERY = 5.0  # seconds between two looks
ENOUGH = 60  # looks in the second half, before a slope says anything: five minutes
GROWTH = 128.0  # KiB a minute that a worker may grow: 15 bytes an action
REST_SECONDS = 40.0  # until a worker at rest has let go of everything; a lost client is seen by then
BUSY = ("gateway_connections_open", "gateway_websockets_open", "gateway_upstream_in_flight", "gateway_limit_rooms")
BUILTIN = [
    f'gateway_upstream_connections{{state="{state}",upstream="builtin"}}' for state in ("busy", "idle", "connecting")
]
SPARE = 12  # files more at rest than at first: Redis's pools fill as more is asked at once


@dataclass(frozen=True, slots=True)
class Look:
    """At one worker. seconds, actions: since the beginning."""

    seconds: float
    actions: int
    resident: int
    files: int
    threads: int


def look(pid: int, seconds: float, actions: int) -> Look:
    files = opened(pid)
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    resident = int(fields["VmRSS"].split()[0]) * KIB
    return Look(seconds, actions, resident, files, int(fields["Threads"]))


def opened(pid: int) -> int:
    """How many files and sockets a process has, but for those of the database, whose connections have a pool."""
    links = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed while we looked
            links.append(os.readlink(link))
    return sum("/gateway.db" not in link for link in links)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the straight line that fits best (least squares)."""
    count = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


@dataclass
class Watch:
    home: Home
    pace: Pace
    looks: dict[int, list[Look]] = field(default_factory=dict)  # by process number

    async def run(self, over: asyncio.Event) -> None:
        began = time.monotonic()
        while not over.is_set():
            for pid in self.home.workers():
                self.looks.setdefault(pid, []).append(look(pid, time.monotonic() - began, self.pace.number))
            try:
                await asyncio.wait_for(over.wait(), EVERY)
            except TimeoutError:
                continue

    def second_half(self, pid: int) -> list[Look]:
        looks = self.looks[pid]
        return [found for found in looks if found.seconds >= looks[-1].seconds / 2]

    def growth(self, pid: int) -> tuple[float, float]:
        """Over the second half: KiB a minute, and bytes an action."""
        half = self.second_half(pid)
        by_time = slope([(found.seconds / 60, found.resident / KIB) for found in half])
        return by_time, slope([(float(found.actions), float(found.resident)) for found in half])

    def grown(self, limit: float) -> list[str]:
        """Workers that grow faster. A short run says nothing of that: caches fill."""
        return [
            f"worker {pid} grows by {self.growth(pid)[0]:.0f} KiB a minute"
            for pid in self.looks
            if len(self.second_half(pid)) >= ENOUGH and self.growth(pid)[0] > limit
        ]

    def table(self) -> str:
        lines = [
            f"{'worker':10} {'looks':>6} {'MiB first':>10} {'half-way':>9} {'last':>7} {'KiB/min':>8} {'B/action':>9}  "
        ]
        lines[0] += f"{'files':>11} {'threads':>9}  (first, last)"
        for pid, looks in self.looks.items():
            first, half, last = looks[0], self.second_half(pid)[0], looks[-1]
            a_minute, an_action = self.growth(pid)
            lines.append(
                f"{pid:<10} {len(looks):6} {first.resident / MIB:10.1f} {half.resident / MIB:9.1f}"
                f" {last.resident / MIB:7.1f} {a_minute:8.1f} {an_action:9.2f}  {first.files:5} {last.files:5}"
                f" {first.threads:4} {last.threads:4}"
            )
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Rest:
    """What the gateway holds while nobody asks anything. files: of all workers. held: what should not be there."""

    workers: list[int]
    files: int
    held: list[str]


async def at_rest(home: Home, before: Rest | None = None) -> Rest:
    """Once it holds no more than before; or what it still holds after so long."""
    deadline = time.monotonic() + REST_SECONDS
    while True:
        found = _rest(home.workers(), await asyncio.to_thread(home.gauges), before)
        if not found.held or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.2)


def _rest(workers: list[int], gauges: Mapping[str, float], before: Rest | None) -> Rest:
    held = [f"{name} is {value:g}" for name, value in gauges.items() if value and name.partition("{")[0] in BUSY]
    kept = sum(value for name, value in gauges.items() if name in BUILTIN)  # socket pairs, both ends of them here
    files = sum(map(opened, workers)) - 2 * int(kept)
    if before and files > before.files + SPARE:
        held.append(f"the workers have {files} files open, and had {before.files}")
    if before and before.workers != workers:
        held.append(f"the workers are {workers}, and were {before.workers}")
    return Rest(workers, files, held)
