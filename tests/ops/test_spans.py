"""Records on their way to a collector: a sink that is slow, away or gone costs records, and nothing else."""

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence

from gateway.ops.spans import BATCH, Exchanged, Spans

RECORD = Exchanged(
    b"1" * 32, b"2" * 16, b"", b"", 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, False, False, False, "id", "192.0.2.1", "GET", "http",
    "a", "/", "/**", None, None, 200, None,
)  # fmt: skip


def numbered(count: int) -> list[Exchanged]:
    return [dataclasses.replace(RECORD, status=number) for number in range(count)]


class Sink:
    """A sender that answers what it is told to, once it may. busy: a batch has been handed over."""

    def __init__(self, *answers: str | None, open: bool = True) -> None:
        self.batches: list[list[int]] = []
        self.busy, self.gate = threading.Event(), threading.Event()
        self._answers = list(answers)
        if open:
            self.gate.set()

    def send(self, records: Sequence[Exchanged]) -> str | None:
        self.batches.append([record.status for record in records])
        self.busy.set()
        self.gate.wait()
        return self._answers.pop(0) if self._answers else None

    def close(self) -> None:
        self.gate.set()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_everything_is_sent_in_order() -> None:
    """In batches, the last of them at the end."""
    sink = Sink()
    spans = Spans(sink, lambda why: None)
    for record in numbered(BATCH + 10):
        spans.put(record)
    await spans.aclose()
    assert [number for batch in sink.batches for number in batch] == list(range(BATCH + 10))
    assert max(map(len, sink.batches)) <= BATCH
    assert (spans.exported, spans.dropped) == (BATCH + 10, 0)


async def test_what_is_more_than_may_wait_is_dropped_and_counted() -> None:
    """Both sides of the bound; nobody waits."""
    sink = Sink(open=False)
    spans = Spans(sink, lambda why: None, bound=5)
    spans.put(RECORD)
    until(sink.busy.is_set)
    for record in numbered(5):
        spans.put(record)
    assert spans.dropped == 0
    spans.put(RECORD)
    spans.put(RECORD)
    assert spans.dropped == 2
    sink.gate.set()
    await spans.aclose()
    assert (spans.exported, spans.dropped) == (6, 2)


async def test_an_outage_is_told_once_and_so_is_its_end() -> None:
    """However many batches fail in it."""
    told: list[str | None] = []
    spans = Spans(Sink("down", "down still", None, None), told.append)
    for number in range(1, 5):
        spans.put(RECORD)
        until(lambda number=number: spans.exported + spans.dropped == number)
    await spans.aclose()
    assert told == ["down", None]
    assert (spans.exported, spans.dropped) == (2, 2)


async def test_what_is_left_is_not_tried_for_ever_at_the_end() -> None:
    """After one failure the rest is dropped, and counted."""
    sink = Sink("down", open=False)
    spans = Spans(sink, lambda why: None)
    spans.put(RECORD)
    until(sink.busy.is_set)
    for record in numbered(2 * BATCH):
        spans.put(record)
    closing = threading.Timer(0.1, sink.gate.set)
    closing.start()
    await spans.aclose()
    assert len(sink.batches) == 1
    assert (spans.exported, spans.dropped) == (0, 2 * BATCH + 1)
