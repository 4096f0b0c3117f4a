"""How far a long command is: a bar on a terminal, plain lines elsewhere. On standard error; the result alone is on
standard output. What ends before it would be worth a word says nothing.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, TextIO

import click

from gateway.store.told import Told

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar  # what `click.progressbar` returns has no other name

BAR_AFTER = 0.3  # seconds: a bar that flashes up tells nothing
BAR_SECONDS = 0.1  # between two drawings: a terminal far away is not to hold the work up
LINE_SECONDS = 5.0  # between two lines, and before the first


class Interrupted(click.ClickException):
    """The exit code is what a shell makes of a program that a signal ended: 128 and the signal's number."""

    exit_code = 128 + signal.SIGINT

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"gateway: interrupted; {self.message}", err=True)


class Terminated(Interrupted):
    exit_code = 128 + signal.SIGTERM


class Lines:
    """`importing: 12000 of 100000`, one per five seconds at most."""

    def __init__(self, out: TextIO, now: Callable[[], float]) -> None:
        self._out = out
        self._now = now
        self._last = now()

    def tell(self, what: str, done: int, total: int | None) -> None:
        if self._now() - self._last >= LINE_SECONDS:
            self._last = self._now()
            print(f"gateway: {what}: {done}" + ("" if total is None else f" of {total}"), file=self._out, flush=True)

    def close(self) -> None:
        """Nothing is left open."""


class Bar:
    def __init__(self, out: TextIO, now: Callable[[], float]) -> None:
        self._out = out
        self._now = now
        self._what: str | None = None
        self._drawn = self._begun = now()
        self._bar: ProgressBar[int] | None = None

    def tell(self, what: str, done: int, total: int | None) -> None:
        now = self._now()
        if what != self._what:
            self.close()
            self._what, self._begun = what, now
        if self._bar is None and now - self._begun >= BAR_AFTER and done != total:
            self._bar = click.progressbar(length=total or 0, label=what, file=self._out, show_pos=True)
            self._drawn = 0.0
        if self._bar is not None and (done == total or now - self._drawn >= BAR_SECONDS):
            self._drawn = now
            self._bar.length = total
            self._bar.update(done - self._bar.pos)

    def close(self) -> None:
        """Ends the line, and shows the cursor again."""
        if self._bar is not None:
            self._bar.render_finish()
            self._bar = None


def shown_on(out: TextIO, now: Callable[[], float]) -> Bar | Lines:
    return Bar(out, now) if out.isatty() and os.environ.get("TERM") != "dumb" else Lines(out, now)


@contextmanager
def progress(again: str) -> Iterator[Told]:
    """Ctrl-C and SIGTERM end the work where it can go on, and say so.

    again: how it goes on, such as "run it again: what is imported is skipped". Raises Interrupted.
    """
    shows = shown_on(sys.stderr, time.monotonic)
    terminated = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal terminated
        terminated = True
        signal.raise_signal(signal.SIGINT)  # asyncio cancels the work, which rolls back, instead of dying in the middle

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield shows.tell
    except KeyboardInterrupt as error:
        shows.close()
        raise (Terminated if terminated else Interrupted)(again) from error
    finally:
        shows.close()
        signal.signal(signal.SIGTERM, before)
