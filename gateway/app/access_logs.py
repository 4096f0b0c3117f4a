"""Which access log the settings mean: its sink, and the form of its lines."""

import errno
import os
import sys
from pathlib import Path

from gateway.ops import console
from gateway.ops.access_log import AccessLog, Losses, open_access_log
from gateway.ops.logs import Log
from gateway.ops.sink import Sink
from gateway.settings import model


def opened(said: model.Log, log: Log) -> AccessLog | None:
    """None where it is off. log: is told when the sink fails. Raises OSError."""

    def failed(error: Exception) -> None:
        log.error("the access log cannot be written", exc_info=error)

    if isinstance(said.access, Path):
        return open_access_log(said.access, failed, console.chosen(said.format, False, os.environ))
    if said.access == "off":
        return None
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")
    form = console.chosen(said.format, sys.stdout.isatty(), os.environ)
    return AccessLog(Sink(sys.stdout.fileno()), failed, form=form)


def stays(old: model.Log, new: model.Log) -> bool:
    """A file is opened anew, which is how it is rotated; one stream has one writer."""
    return (old.access, old.format) == (new.access, new.format) and not isinstance(new.access, Path)


class Lost:
    """What access logs lost, those among them that others have taken the place of: a counter does not go back."""

    def __init__(self) -> None:
        # in one piece: metrics are rendered in a thread
        self._counts: tuple[int, tuple[Losses, ...]] = 0, ()

    @property
    def lines(self) -> int:
        ended, live = self._counts
        return ended + sum(losses.lines for losses in live)

    def adopt(self, log: AccessLog) -> None:
        ended, live = self._counts
        self._counts = ended, (*live, log.losses)

    async def retire(self, log: AccessLog) -> None:
        """Closes it. One at a time, as reloads are."""
        try:
            await log.aclose()
        finally:
            if log.ended:
                ended, live = self._counts
                rest = tuple(losses for losses in live if losses is not log.losses)
                self._counts = ended + log.losses.lines, rest
