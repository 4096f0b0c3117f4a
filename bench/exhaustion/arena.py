"""A gateway under attack: its memory, and another caller's waits, before, meanwhile and after."""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.exhaustion.attacks import Aim
from bench.issuer import Issuer
from bench.load import Client, LoadFailedError, Target, Waits
from bench.ours import ASIDE, NOTHING, Ours, start_gateway
from bench.processes import Process, Stable, free_port
from bench.seed import Seeded

PATIENCE = 300.0  # seconds until an attack stands, and again until it has come far enough
PAUSE = 0.002  # seconds between two requests of the caller beside it


@dataclass(frozen=True, slots=True)
class Found:
    """Memory: MiB of the worker, resident; the peak is since the attack began. done: how far the attack came."""

    name: str
    before: float
    peak: float
    after: float
    quiet: Waits
    during: Waits
    done: dict[str, int]


@dataclass(frozen=True, slots=True)
class Arena:
    stable: Stable
    issuer: Issuer
    seeded: Seeded
    upstream: int
    attacked_upstream: int

    @classmethod
    def opened(cls, stable: Stable, issuer: Issuer, seeded: Seeded) -> "Arena":
        """With its upstreams, on the core of the load: whoever is measured has one without the attack's load, as it is
        the gateway's share of the wait that is looked for."""
        ports = free_port(), free_port()
        environ = {"PYTHONPATH": str(Path(__file__).parents[2])}
        for port, more in zip(ports, ([], ["yielding"]), strict=True):
            command = [sys.executable, "-m", "bench.exhaustion.upstream", str(port), *more]
            process = stable.start(f"upstream-{port}", command, core=stable.cores.load, environ=environ)
            process.wait_until_open(port)
        return cls(stable, issuer, seeded, *ports)

    def gateway(
        self, sections: Mapping[str, Mapping[str, object]] = NOTHING, route: Mapping[str, object] = NOTHING
    ) -> Ours:
        aside = self.attacked_upstream
        return start_gateway(
            self.stable, self.seeded, self.issuer, self.upstream, sections=sections, route=route, aside=aside
        )

    @contextlib.contextmanager
    def attacked(self, ours: Ours, name: str, count: int, size: int = 0, answers: int = 0) -> Iterator[dict[str, int]]:
        """An attack that stands. What it did is in the mapping when it is over: not before it got so many answers."""
        target = ours.bearer()
        aim = Aim(target.port, f"{ASIDE}/orders/42", ": ".join(target.header), self.issuer.url, count, size, answers)
        command = [sys.executable, "-m", "bench.exhaustion.attacks", name, json.dumps(asdict(aim))]
        pinned = ["taskset", "-c", str(self.stable.cores.load), *command]
        root = Path(__file__).parents[2]
        process = subprocess.Popen(pinned, stdout=subprocess.PIPE, text=True, cwd=root)
        done: dict[str, int] = {}
        late = threading.Timer(PATIENCE, process.kill)
        late.start()
        try:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise LoadFailedError(f"the attack {name} does not stand")
            late.cancel()
            yield done
            process.terminate()
            done |= json.loads(process.communicate(timeout=PATIENCE)[0])
        finally:
            late.cancel()
            process.kill()
            process.communicate()

    def measured(self, name: str, count: int, size: int, seconds: float) -> Found:
        """On a gateway of its own."""
        ours = self.gateway()
        process, target = ours.system.process, ours.bearer()
        quiet = waits(target, seconds)
        before = resident(process)
        forget_peak(process)
        with self.attacked(ours, name, count, size) as done:
            during = waits(target, seconds)
        high = peak(process)
        time.sleep(2)  # its connections are closed in the next second
        waits(target, 0.2)
        after = resident(process)
        self.stable.stop(process)
        return Found(name, before, high, after, quiet, during, done)


def waits(target: Target, seconds: float) -> Waits:
    """Of one caller who asks again and again."""
    client, found, end = Client(target), [], time.monotonic() + seconds
    while time.monotonic() < end:
        found.append(client.ask())
        time.sleep(PAUSE)
    client.close()
    return Waits.of(found)


def _status(process: Process, name: str) -> float:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def resident(process: Process) -> float:
    """MiB."""
    return _status(process, "VmRSS")


def peak(process: Process) -> float:
    """MiB, the most since it was forgotten."""
    return _status(process, "VmHWM")


def forget_peak(process: Process) -> None:
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # proc(5)
