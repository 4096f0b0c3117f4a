"""How long commands say how far they are: a bar on a terminal, lines elsewhere, nothing on standard output."""

import io
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from gateway.cli.progress import LINE_SECONDS, Bar, Interrupted, Lines, Terminated, progress, shown_on

WORKS = """
import sys, time
from gateway.cli.progress import progress
with progress("run it again") as told:
    for done in range(int(sys.argv[1])):
        told("importing", done, int(sys.argv[1]))
        time.sleep(0.01)
    told("importing", int(sys.argv[1]), int(sys.argv[1]))
print("created 3")
"""


class Hand:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at


class Terminal(io.StringIO):
    """What isatty is asked of."""

    def isatty(self) -> bool:
        return True


def on_terminal(words: Sequence[str]) -> tuple[str, str]:
    """A program on a terminal of its own, whose standard output goes to a file: what each got."""
    mine, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=theirs, stdin=theirs, env=environ) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                read = os.read(mine, 4096)
            except OSError:  # EIO: nobody holds the other end any more
                break
            if not read:
                break
            seen += read
        assert process.stdout is not None
        printed = process.stdout.read()
    os.close(mine)
    return seen.decode(), printed.decode()


def test_a_terminal_gets_a_bar() -> None:
    """With the number and how many there are, drawn over itself; the result is on standard output alone."""
    seen, printed = on_terminal((sys.executable, "-c", WORKS, "100"))
    assert printed == "created 3\n"
    assert re.search(r"importing\s+\[#+-+\]\s+\d+/100", seen)
    assert re.search(r"importing\s+\[#+\]\s+100/100", seen)
    assert seen.endswith("\x1b[?25h\r\n")  # the cursor is there again


def test_what_is_done_at_once_draws_nothing() -> None:
    """Not even an empty line."""
    assert on_terminal((sys.executable, "-c", WORKS, "3")) == ("", "created 3\n")


def test_a_pipe_gets_no_bar() -> None:
    """No escape, no carriage return; and short work says nothing."""
    done = subprocess.run((sys.executable, "-c", WORKS, "60"), capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("created 3\n", "")


def test_lines_come_once_in_five_seconds() -> None:
    """With count and total, or the count alone."""
    out, hand = io.StringIO(), Hand()
    lines = Lines(out, hand.now)
    for second in range(12):
        hand.at = float(second)
        lines.tell("importing", second * 100, 5000)
    hand.at = 20.0
    lines.tell("checking", 7, None)
    assert LINE_SECONDS == 5
    assert out.getvalue() == (
        "gateway: importing: 500 of 5000\ngateway: importing: 1000 of 5000\ngateway: checking: 7\n"
    )


def test_a_bar_is_drawn_ten_times_a_second_at_most() -> None:
    """However often it is told."""
    out, hand = Terminal(), Hand()
    bar = Bar(out, hand.now)
    for done in range(10_000):
        hand.at = done / 5000
        bar.tell("importing", done, 20_000)
    bar.close()
    assert 10 <= out.getvalue().count("importing") <= 20


def test_another_work_begins_another_bar() -> None:
    """The one before is ended first."""
    out, hand = Terminal(), Hand()
    bar = Bar(out, hand.now)
    for what in ("checking", "importing"):
        for done in (0, 1, 2):
            hand.at += 1
            bar.tell(what, done, 2)
    bar.close()
    assert re.findall(r"(checking|importing)  \[#+\]  2/2", out.getvalue()) == ["checking", "importing"]


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, Interrupted), (signal.SIGTERM, Terminated)])
def test_a_signal_ends_work_with_its_own_code(number: signal.Signals, error: type[Interrupted]) -> None:
    """As a shell says it: 130 or 143."""
    with pytest.raises(error, match="run it again") as raised, progress("run it again"):
        signal.raise_signal(number)  # to this thread: one of the process may come by another one, and late
    assert raised.value.exit_code == 128 + number


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot move its cursor."""
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(shown_on(Terminal(), Hand().now), Lines)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(shown_on(Terminal(), Hand().now), Bar)
