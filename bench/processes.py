"""Processes of a bench: started on one core, counted together with their children, and always stopped."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

TICKS = os.sysconf("SC_CLK_TCK")  # per second; the unit of utime and stime in /proc/PID/stat
PATIENCE = 20.0  # seconds that a start may take
STILL, IDLING = 1.2, 0.05  # seconds, and the share of them that is as good as nothing
LOOPBACK = "127.0.0.1"


class NotStartedError(Exception):
    """A system that cannot be measured here, and why."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Numbers of two cores; the same one twice where a machine has but one. spare: of the others."""

    load: int
    system: int
    spare: tuple[int, ...] = ()

    @classmethod
    def of_this_machine(cls) -> Self:
        usable = sorted(os.sched_getaffinity(0))
        return cls(load=usable[-1], system=usable[0], spare=tuple(usable[1:-1]))

    @property
    def apart(self) -> bool:
        return self.load != self.system


_GIVEN: Final[set[int]] = set()  # the system may name a port again before whoever it was for listens on it


def free_port() -> int:
    """A loopback port that nobody listened on a moment ago, and that this process was not given before."""
    with ExitStack() as tried:
        while True:
            found = tried.enter_context(socket.socket())
            found.bind((LOOPBACK, 0))
            port = int(found.getsockname()[1])
            if port not in _GIVEN:
                _GIVEN.add(port)
                return port


def yielding() -> None:
    """From now on this process runs on its core where nobody else wants to: who is measured there does not wait for it.
    (Niceness does not do that: a turn on the core lasts for milliseconds.)"""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def urgent() -> bool:
    """From now on this process, not its children, has its core whenever it wants to. Whether it may: root may."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except PermissionError:
        return False
    return True


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third (state) on; the second may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


class Process:
    """A program and all its children. log: the file that has what it printed."""

    def __init__(self, name: str, popen: "subprocess.Popen[bytes]", log: Path) -> None:
        self.name = name
        self.log = log
        self._popen = popen

    def family(self) -> list[int]:
        """Its process id and those of its descendants that live now."""
        children: dict[int, list[int]] = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    children.setdefault(int(_stat(int(entry))[1]), []).append(int(entry))
                except OSError:  # it ended while we looked
                    continue
        found, waiting = [], [self._popen.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            waiting += children.get(pid, [])
        return found

    def cpu_seconds(self) -> float:
        """User and system time of the family so far, in steps of 10 ms."""
        return sum(sum(map(int, _stat(pid)[11:13])) for pid in self.family()) / TICKS

    def rest(self) -> None:
        """Return once it has done next to nothing for a while: what a start has put off is over. Or after some time."""
        deadline, before = time.monotonic() + PATIENCE, self.cpu_seconds()
        while time.monotonic() < deadline:
            time.sleep(STILL)
            if (now := self.cpu_seconds()) - before <= IDLING * STILL:
                return
            before = now

    def resident_bytes(self) -> int:
        """Resident memory of the family; pages that its members share are counted in each."""
        total = 0
        for pid in self.family():
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            total += next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)
        return total

    def wait_until_open(self, port: int, patience: float = PATIENCE) -> None:
        """Return once somebody accepts on the loopback port; NotStartedError if the program ends or takes too long."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self._popen.poll() is not None:
                raise NotStartedError(f"{self.name} ended with {self._popen.returncode}: {self.last_words()}")
            try:
                socket.create_connection((LOOPBACK, port), timeout=1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        raise NotStartedError(f"{self.name} did not listen within {patience:.0f} s: {self.last_words()}")

    @property
    def pid(self) -> int:
        return self._popen.pid

    def send(self, number: signal.Signals) -> None:
        """To the process that was started alone, not to its children."""
        self._popen.send_signal(number)

    def wait(self, seconds: float) -> int | None:
        """The exit code of the process that was started; None when it goes on for longer."""
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def last_words(self) -> str:
        return " | ".join(self.log.read_text(errors="replace").split("\n")[-4:]).strip()[-400:]

    def send_all(self, number: signal.Signals) -> None:
        """To the whole group."""
        os.killpg(self._popen.pid, number)

    def kill(self) -> None:
        """The whole group at once, without asking: as if the machine went."""
        os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait(timeout=5)

    def stop(self) -> None:
        """Ask, then insist; the whole group, so that no child is left."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._popen.poll() is None or number is signal.SIGKILL:
                try:
                    os.killpg(self._popen.pid, number)
                except ProcessLookupError:
                    return
                try:
                    self._popen.wait(timeout=5)
                except subprocess.TimeoutExpired:
                    continue


class Stable:
    """Owner of every process of a run; leaving the `with` block stops them all, the last started first."""

    def __init__(self, folder: Path, cores: Cores) -> None:
        self.folder = folder
        self.cores = cores
        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all_but(None)

    def start(
        self, name: str, command: Sequence[str], *, core: int | str | None, environ: Mapping[str, str] | None = None
    ) -> Process:
        """Start in the stable's folder, pinned to the core or cores if given. NotStartedError if there is no such
        program.
        """
        log = self.folder / f"{name.replace(' ', '-')}.log"
        try:
            with log.open("wb") as out:
                popen = subprocess.Popen(
                    command if core is None else ["taskset", "-c", str(core), *command],
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **(environ or {})},
                    start_new_session=True,
                )
        except FileNotFoundError as error:
            raise NotStartedError(f"{name}: {error.filename} is not installed") from error
        process = Process(name, popen, log)
        self._processes.append(process)
        return process

    def stop(self, process: Process) -> None:
        self._processes.remove(process)
        process.stop()

    def stop_all_but(self, kept: Process | None) -> None:
        """Clear away what a row that failed has left."""
        for process in reversed(self._processes):
            if process is not kept:
                process.stop()
        self._processes = [process for process in self._processes if process is kept]
