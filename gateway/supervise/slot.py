"""The place of one worker: its number, its listening socket, and who has it now."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.supervise.backoff import Backoff
from gateway.supervise.worker import Worker


@dataclass(slots=True, eq=False)
class Slot:
    """worker: that serves; None while it is started again. leaving: those before it that still drain.

    restarts: of workers that ended unasked. seconds: of processor time, of all that have ended.
    """

    number: int
    listening: socket.socket
    backoff: Backoff = field(default_factory=Backoff)
    worker: Worker | None = None
    leaving: set[Worker] = field(default_factory=set)
    restarts: int = 0
    seconds: float = 0.0

    def processes(self) -> Iterator[Worker]:
        if self.worker is not None:
            yield self.worker
        yield from tuple(self.leaving)
