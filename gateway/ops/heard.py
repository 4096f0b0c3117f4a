"""What a library says of its failures through `logging`, and tells nobody else."""

import logging
import threading


class Heard(logging.Handler):
    """The last word of each thread: one that still sends is told of its own failures, whoever else began meanwhile."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said = threading.local()

    def attend(self, library: str) -> None:
        """Nobody else hears it from now on: an outage is one line of ours, not some for each attempt."""
        logger = logging.getLogger(library)
        logger.addHandler(self)
        logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        self._said.last = record.getMessage().partition("\n")[0]

    def forget(self) -> None:
        """Of the calling thread, as is `last`."""
        self._said.last = ""

    @property
    def last(self) -> str:
        return str(getattr(self._said, "last", ""))
