"""Which access log the settings mean: its sink, and the form of its lines."""

import os
import sys
from pathlib import Path

from gateway.ops import console
from gateway.ops.access_log import AccessLog, open_access_log
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
    form = console.chosen(said.format, sys.stdout.isatty(), os.environ)
    return AccessLog(Sink(sys.stdout.fileno()), failed, form=form)


def stays(old: model.Log, new: model.Log) -> bool:
    """A file is opened anew, which is how it is rotated; one stream has one writer."""
    return (old.access, old.format) == (new.access, new.format) and not isinstance(new.access, Path)


class Replaced:
    """What access logs lost that others have taken the place of: a counter does not go back with a reload."""

    def __init__(self) -> None:
        self._ended = 0
        self._ending: AccessLog | None = None

    @property
    def dropped(self) -> int:
        """Lines."""
        return self._ended + (self._ending.dropped if self._ending is not None else 0)

    async def retire(self, log: AccessLog) -> None:
        """One at a time, as reloads are."""
        self._ending = log
        try:
            await log.aclose()
        finally:
            self._ending = None
            self._ended += log.dropped
