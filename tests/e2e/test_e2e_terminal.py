"""What who starts the gateway by hand sees: on a terminal both logs are for people, elsewhere they are JSON."""

import json
import os
import pty
import re
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from harness.ports import free_port

from .parts import LOOPBACK, PATIENCE, until
from .world import PROGRAM

LINE = re.compile(
    r"^\d\d:\d\d:\d\d\.\d{3} 401 GET     /orders/1 +/orders/\*\* +echo +[\d.]+ [um]s no_credential [0-9a-f]{8}$", re.M
)
COLOURS = re.compile(r"\x1b\[[\d;]*m")


class Terminal:
    """A program on a terminal of its own, and what it has printed there."""

    def __init__(self, command: list[str], folder: Path, environ: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        given = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env={**given, "TERM": "xterm", **environ},
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self._printed = b""
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        with suppress(OSError):  # EIO: nobody has the other end any more
            while data := os.read(self._ours, 1 << 16):
                self._printed += data

    @property
    def printed(self) -> str:
        return self._printed.decode().replace("\r\n", "\n")

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            self._reading.join()
            os.close(self._ours)


@contextmanager
def demo(folder: Path, environ: Mapping[str, str]) -> Iterator[tuple[Terminal, str]]:
    """On a terminal, with its URL, once it has refused a request."""
    address = f"{LOOPBACK}:{free_port()}"
    terminal = Terminal(
        [str(PROGRAM), "serve", "--demo", "--address", address, "--admin", f"{LOOPBACK}:{free_port()}"], folder, environ
    )
    try:
        until(lambda: "Ctrl-C" in terminal.printed, "the greeting")
        with suppress(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://{address}/orders/1", timeout=PATIENCE)
        until(lambda: "no_credential" in terminal.printed, "a line of the access log")
        yield terminal, address
    finally:
        terminal.close()


def test_the_demo_on_a_terminal_shows_lines_for_people(tmp_path: Path) -> None:
    """In colours; without them it is the same columns. The application's log as well."""
    with demo(tmp_path, {}) as (terminal, _):
        printed = terminal.printed
    assert "\x1b[33m401\x1b[0m" in printed
    assert LINE.search(COLOURS.sub("", printed))
    assert re.search(r"^\d\d:\d\d:\d\d \[info +\] serving .*address=", COLOURS.sub("", printed), re.M)
    assert "{" not in printed.split("Ctrl-C")[1]


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_turned_off(tmp_path: Path, environ: dict[str, str]) -> None:
    """In neither log is an escape sequence left."""
    with demo(tmp_path, environ) as (terminal, _):
        printed = terminal.printed
    assert LINE.search(printed)
    assert "[info" in printed
    assert "\x1b" not in printed


def test_elsewhere_both_logs_are_json(tmp_path: Path) -> None:
    """A pipe, as a service manager or a container has it."""
    command = [
        PROGRAM,
        "serve",
        "--demo",
        "--address",
        (address := f"{LOOPBACK}:{free_port()}"),
        "--admin",
        "127.0.0.1:0",
    ]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert any("Ctrl-C" in line for line in iter(process.stdout.readline, ""))
            with suppress(urllib.error.HTTPError):
                urllib.request.urlopen(f"http://{address}/orders/1", timeout=PATIENCE)
            told = json.loads(next(line for line in iter(process.stdout.readline, "") if line.strip()))
        finally:
            process.terminate()
        logged = [json.loads(line) for line in process.stderr.read().splitlines()]
    assert (told["status"], told["reason"]) == (401, "no_credential")
    assert [line["event"] for line in logged] == ["serving", "draining", "stopped"]
