"""What these tests need from the machine: one rule for what is missing, processes that always end, and waiting."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

import pytest

T = TypeVar("T")

LOOPBACK = "127.0.0.1"
NODE = Path(__file__).resolve().parent.parent / "node"
PATIENCE = 60.0  # seconds that a start, or a stop, may take on a busy machine
GRAIN = 0.01  # seconds between two looks


def need(found: object, what: str) -> None:
    """What is not installed is a skip that says so; where everything is installed on purpose, it is a failure."""
    if found:
        return
    if os.environ.get("GATEWAY_CI"):
        pytest.fail(f"{what} is not installed, and GATEWAY_CI is set")
    pytest.skip(f"NOT TESTED: {what} is not installed")


def program(name: str, *others: str) -> str:
    """The path of an installed program; skips or fails without it. others: paths where it may be besides."""
    found = shutil.which(name) or next((path for path in others if os.access(path, os.X_OK)), None)
    need(found, name)
    assert found is not None
    return found


def nginx_user() -> str:
    """A directive for nginx. As root its workers would be another user, who may not look into a folder that is only
    root's; to open the folder does not last: pytest closes it for others whenever another run begins."""
    return "user root;" if os.geteuid() == 0 else ""


def until(look: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """Looks until it sees something true, and returns that; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(GRAIN)
    return found


def took(look: Callable[[], object], what: str, seconds: float) -> float:
    """Like `until`, but returns how many seconds it took."""
    began = time.monotonic()
    until(look, what, seconds)
    return time.monotonic() - began


class Process:
    """A program that was started here, what it printed, and its end. Leaving the `with` block ends it for certain."""

    def __init__(
        self, command: Sequence[object], folder: Path, name: str, environ: Mapping[str, str] | None = None
    ) -> None:
        self.out = folder / f"{name}.out"
        self.err = folder / f"{name}.err"
        for path in (self.out, self.err):
            path.write_bytes(b"")  # of an earlier one by this name
        with self.out.open("ab") as out, self.err.open("ab") as err:  # so that a test may empty them
            self._popen = subprocess.Popen(
                [str(word) for word in command],
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                env={**os.environ, **(environ or {})},
                start_new_session=True,  # a Ctrl-C is for the tests, which then end it
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def printed(self) -> str:
        return self.out.read_text(errors="replace")

    def complained(self) -> str:
        return self.err.read_text(errors="replace")

    def ended(self) -> bool:
        return self._popen.poll() is not None

    def first_line(self) -> str:
        """What it says once it is ready."""
        return until(self._first_line, f"a first line of {self.out.name}: {self.complained()}")

    def _first_line(self) -> str:
        assert not self.ended(), f"ended with {self._popen.returncode}: {self.complained()}"
        line, newline, _ = self.printed().partition("\n")
        return line if newline else ""

    def tell(self, line: str) -> None:
        """A line for its standard input."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(line.encode() + b"\n")
        self._popen.stdin.flush()

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit code."""
        return self._popen.wait(seconds)

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        if not self.ended():
            os.killpg(self.pid, signal.SIGKILL)
            self.wait()
        if self._popen.stdin is not None:
            self._popen.stdin.close()
