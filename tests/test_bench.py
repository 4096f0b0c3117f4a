"""What the bench's own figures are worth: its load at a constant rate, and its verdicts."""

import socket
import threading
from collections.abc import Iterator

import pytest

from bench.load import LoadFailedError, Target
from bench.openloop import OpenLoop
from bench.report import Row

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
STALL = 0.3  # seconds


class Upstream:
    """Answers request after request, each connection in a thread of its own. stalled: how many it has let wait."""

    def __init__(self) -> None:
        self.answer = ANSWER
        self.stall = threading.Event()
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while connection.recv(4096):
                if self.stall.is_set():
                    self.stall.clear()
                    self._over.wait(STALL)
                connection.sendall(self.answer)

    def close(self) -> None:
        self._over.set()
        self._listener.close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    found = Upstream()
    yield found
    found.close()


def load(upstream: Upstream) -> OpenLoop:
    return OpenLoop(Target(upstream.port, "/", ("Authorization", "Bearer x")), connections=1)


def test_each_request_counts_from_its_own_time(upstream: Upstream) -> None:
    """One answer that takes 300 ms makes every request wait whose time comes meanwhile, not that one alone."""
    loop = load(upstream)
    upstream.stall.set()
    took = loop.run(rate=100, seconds=2 * STALL)
    assert len(took) == 60
    assert sum(seconds > STALL / 3 for seconds in took) >= 15


def test_no_request_is_left_out(upstream: Upstream) -> None:
    """As many as the rate says, however busy the machine is."""
    assert len(load(upstream).run(rate=500, seconds=0.2)) == 100


def test_it_ends_when_it_is_told(upstream: Upstream) -> None:
    """Long before its time, with what was under way."""
    turns = iter([False, False, True])
    assert len(load(upstream).run(rate=100, seconds=3600, over=lambda: next(turns))) == 3


@pytest.mark.parametrize("answer", [ANSWER.replace(b"200 OK", b"503 No"), ANSWER.replace(b"ok", b"no")])
def test_another_answer_is_no_figure(upstream: Upstream, answer: bytes) -> None:
    """A refusal is fast."""
    loop = load(upstream)
    upstream.answer = answer
    with pytest.raises(LoadFailedError):
        loop.run(rate=100, seconds=1)


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row("P6", "", "", 0.5, limit=0.5, at_least=True), "met"),
        (Row("P6", "", "", 0.49, limit=0.5, at_least=True), "NOT MET"),
        (Row("P6", "", "", 9.0, theirs=1.0, ratio=0.4, limit=0.5, at_least=True), "NOT MET"),
        (Row("P1", "", "", 9.0, theirs=1.0, ratio=0.9, limit=0.9), "met"),
        (Row("P1", "", "", 9.0, theirs=1.0, ratio=0.91, limit=0.9), "NOT MET"),
        (Row("P1", "", "", 9.0, theirs=1.0, ratio=0.75, limit=0.9, stretch=0.75), "stretch met"),
        (Row("P1", "", "", 9.0), "-"),
    ],
)
def test_a_verdict_is_about_the_bound(row: Row, verdict: str) -> None:
    """Of the ratio where there is one, from above or from below, the bound itself included."""
    assert row.verdict == verdict
