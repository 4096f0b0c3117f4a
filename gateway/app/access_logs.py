"""Which access log the settings mean: its sink, and the form of its lines."""

import os
import sys
from pathlib import Path

from gateway.ops import console
from gateway.ops.access_log import AccessLog, open_access_log
from gateway.ops.logs import Log
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
    return AccessLog(sys.stdout.fileno(), failed, form=form)


def stays(old: model.Log, new: model.Log) -> bool:
    """A file is opened anew, which is how it is rotated; one stream has one writer."""
    return (old.access, old.format) == (new.access, new.format) and not isinstance(new.access, Path)
