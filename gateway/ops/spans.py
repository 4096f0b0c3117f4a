"""What is recorded of exchanges, on its way from the event loop to a collector: a bounded queue and its thread.

Nothing here waits in the loop, and a collector that is slow or away costs records, which are counted. What a record
becomes is the sender's: `ops.tracing` for OpenTelemetry.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

BOUND: Final = 2048  # records that may wait: a second of all exchanges at 2,000 requests a second
BATCH: Final = 512  # records of one request to the collector, and when the thread is woken for them
FLUSH_SECONDS: Final = 1.0  # and at least this often
CLOSE_SECONDS: Final = 5.0  # how long a collector may delay the exit


@dataclass(frozen=True, slots=True)
class Exchanged:
    """One exchange that is over. Ids: as in `wire.trace`; a path that may not be told is None.

    ended: seconds since the epoch. began, routed, admitted, sent, answered: seconds before that, negative where it did
    not get so far. waited: whether the credential had to be verified first. forwarded: whether an upstream was tried.
    route: its template. upstream: its name; endpoint: host and port of the one that was sent to. status: 0 when there
    was no answer. asked: whether a data plane asked about it.
    """

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    state: bytes
    ended: float
    began: float
    routed: float
    admitted: float
    sent: float
    answered: float
    waited: bool
    forwarded: bool
    asked: bool
    request_id: str
    client: str
    method: str
    scheme: str
    host: str
    path: str | None
    route: str | None
    upstream: str | None
    endpoint: str | None
    status: int
    reason: str | None


class Sender(Protocol):
    """Where records go. It is called by one thread."""

    def send(self, records: Sequence[Exchanged]) -> str | None:
        """Why they were not taken; None when they were."""

    def close(self) -> None:
        """Gives up what is being sent; called from another thread than `send`."""


class Spans:
    """told: called in the thread when an outage of the collector begins, with the reason, and with None at its end."""

    def __init__(self, sender: Sender, told: Callable[[str | None], object], bound: int = BOUND) -> None:
        self._sender = sender
        self._told = told
        self._bound = bound
        self._waiting: deque[Exchanged] = deque()
        # Each is written by one side only, so that no lock is needed.
        self._refused = 0  # by the loop
        self._lost = 0  # by the thread
        self.exported = 0  # by the thread
        self._broken = False
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Records lost: the collector was too slow, or did not take them."""
        return self._refused + self._lost

    def put(self, record: Exchanged) -> None:
        """Never waits."""
        waiting = len(self._waiting)
        if waiting >= self._bound:
            self._refused += 1
            return
        self._waiting.append(record)
        if waiting >= BATCH and not self._wake.is_set():
            self._wake.set()

    async def aclose(self) -> None:
        """Sends what is left; what a collector has not taken after CLOSE_SECONDS is dropped."""
        self._stopping = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join, CLOSE_SECONDS)
        self._sender.close()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
            self._drain()
        self._drain()

    def _drain(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH))]
            why = self._sender.send(batch)
            if (why is not None) is not self._broken:
                self._broken = why is not None
                self._told(why)
            if why is None:
                self.exported += len(batch)
            else:
                self._lost += len(batch)  # after it was told: whoever sees the count finds the line
            if why is not None and self._stopping:
                self._lost += len(self._waiting)
                self._waiting.clear()  # nobody waits for the next attempts
