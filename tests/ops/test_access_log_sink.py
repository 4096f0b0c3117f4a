"""The access log's sink: what is slow, full or gone costs lines, which are counted and told of, and nothing else."""

import asyncio
import errno
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.site import until

from gateway.app.access_logs import Lost
from gateway.ops import access_log
from gateway.ops.access_log import AccessLog, open_access_log
from gateway.ops.sink import BLOCK, Sink

from .test_access_log import LINE, ignore


class Pipe:
    """A sink that a test can leave unread: it blocks once the pipe's buffer is full."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()

    def drain(self) -> threading.Thread:
        def run() -> None:
            while os.read(self.read_end, 1 << 16):
                pass

        thread = threading.Thread(target=run)
        thread.start()
        return thread


async def test_a_sink_that_blocks_costs_lines_beyond_the_bound() -> None:
    """They are counted, memory stays bounded, and nobody waits."""
    pipe = Pipe()
    log = AccessLog(Sink(pipe.write_end, owned=True), ignore, bound=4 * BLOCK)
    for _ in range(4000):  # about 1.6 MiB; the bound and the pipe's buffer hold 320 KiB
        log.write(*LINE)
    assert 0 < log.losses.lines < 4000
    reader = pipe.drain()
    await log.aclose()
    reader.join()
    os.close(pipe.read_end)


async def test_a_sink_that_is_too_slow_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many lines it costs, and by the writer: what tells may write to the same sink, and wait for it."""
    monkeypatch.setattr(access_log, "TELL_SECONDS", 3600.0)
    pipe, failures = Pipe(), list[tuple[str, str]]()
    log = AccessLog(
        Sink(pipe.write_end, owned=True),
        lambda error: failures.append((threading.current_thread().name, str(error))),
        bound=4 * BLOCK,
    )
    for _ in range(4000):
        log.write(*LINE)
    told, lost = list(failures), log.losses.lines
    reader = pipe.drain()
    await log.aclose()
    reader.join()
    os.close(pipe.read_end)
    assert (told, failures) == ([], [("access-log", f"its sink was too slow: {lost} lines are lost")])


def refused(told: list[str]) -> int:
    return sum(int(text) for line in told for text in re.findall("[0-9]+", line))


async def test_a_reader_that_stands_still_is_told_of_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no afterwards, as nothing is taken. All that is lost is told."""
    monkeypatch.setattr(access_log, "TELL_SECONDS", 0.0)
    pipe, told = Pipe(), list[str]()
    log = AccessLog(Sink(pipe.write_end, owned=True), lambda error: told.append(str(error)), bound=4 * BLOCK)
    for _ in range(4000):
        log.write(*LINE)
    await until(lambda: refused(told) == log.losses.refused > 0)
    reader = pipe.drain()
    await log.aclose()
    reader.join()
    os.close(pipe.read_end)


class Gated(Sink):
    """Takes a block as often as it is let."""

    def __init__(self, fd: int, owned: bool = False) -> None:
        super().__init__(fd, owned)
        self.gate = threading.Semaphore(0)

    def put(self, lines: bytes, waits: Callable[[], object] = lambda: None) -> tuple[int, OSError | None]:
        self.gate.acquire()
        return len(lines), None


async def test_a_sink_that_never_catches_up_is_told_of_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines come as fast as it takes them."""
    monkeypatch.setattr(access_log, "TELL_SECONDS", 0.0)
    told = list[str]()
    sink = Gated(os.open(os.devnull, os.O_WRONLY), owned=True)
    log = AccessLog(sink, lambda error: told.append(str(error)), bound=4 * BLOCK)
    for _ in range(4000):
        log.write(*LINE)
    sink.gate.release()
    await until(lambda: refused(told) == log.losses.refused > 0)
    sink.gate.release(4000)
    await log.aclose()


def open_at(path: Path) -> list[str]:
    """This process's descriptors of a file."""
    return [name for name in os.listdir("/proc/self/fd") if links_to(Path("/proc/self/fd") / name, path)]


def links_to(descriptor: Path, path: Path) -> bool:
    try:
        return os.readlink(descriptor) == str(path)
    except FileNotFoundError:  # closed meanwhile
        return False


async def test_a_log_that_is_closed_holds_no_descriptor(tmp_path: Path) -> None:
    """As after each reload. It reads its file too, to see whether a line was cut."""
    log = open_access_log(tmp_path / "access.log", ignore)
    assert len(open_at(tmp_path / "access.log")) == 2
    await log.aclose()
    assert open_at(tmp_path / "access.log") == []


def test_a_sink_whose_thread_cannot_start_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As at a limit of processes: a fault of the start, or of the reload."""

    def full(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    with pytest.raises(OSError, match="the thread that would write the access log: can't start new thread"):
        open_access_log(tmp_path / "access.log", ignore)
    assert open_at(tmp_path / "access.log") == []


async def test_a_reader_that_does_not_read_is_given_up_at_the_end() -> None:
    """Its pipe is closed all the same, and what it did not take is counted."""
    pipe, failures = Pipe(), list[Exception]()
    log = AccessLog(Sink(pipe.write_end, owned=True), failures.append)
    for _ in range(1000):
        log.write(*LINE)
    await log.aclose()
    lost = log.losses.lines
    with os.fdopen(pipe.read_end, "rb") as reading:
        whole = reading.read().count(b"\n")
    assert (whole + lost, [type(error) for error in failures]) == (1000, [TimeoutError])


async def test_what_a_terminal_holds_at_the_end_is_counted() -> None:
    """The writer may be held until somebody reads; nobody waits for that, and what it has not begun with is lost."""
    reading, writing = os.openpty()
    log = AccessLog(Sink(writing, owned=True), ignore)
    lost = Lost()
    lost.adopt(log)
    for _ in range(1000):
        log.write(*LINE)
    await lost.retire(log)
    begun = 1000 - log.losses.left
    assert (log.ended, log.losses.failed, 0 < begun < 100, lost.lines) == (False, 0, True, 1000 - begun)
    os.close(reading)
    await until(lambda: log.ended)
    assert log.losses.left < lost.lines <= 1000  # what it is held with fails now: it is counted too


async def test_below_the_bound_nothing_is_lost() -> None:
    """What waits is written once the sink reads again."""
    pipe = Pipe()
    log = AccessLog(Sink(pipe.write_end, owned=True), ignore, bound=8 * BLOCK)
    for _ in range(1000):  # about 400 KiB
        log.write(*LINE)
    reader = pipe.drain()
    await log.aclose()
    reader.join()
    os.close(pipe.read_end)
    assert log.losses.lines == 0


async def test_a_sink_that_is_gone_is_reported_once() -> None:
    """Every line is counted as lost; the log goes on."""
    failures: list[Exception] = []
    reported = threading.Event()

    def failed(error: Exception) -> None:
        failures.append(error)
        reported.set()

    pipe = Pipe()
    os.close(pipe.read_end)
    log = AccessLog(Sink(pipe.write_end, owned=True), failed)
    log.write(*LINE)
    await asyncio.to_thread(reported.wait, 10)
    log.write(*LINE)
    await log.aclose()
    assert (log.losses.lines, [type(error) for error in failures]) == (2, [BrokenPipeError])


async def test_a_full_disk_is_reported_and_survived() -> None:
    """/dev/full answers every write as a full disk does."""
    failures: list[Exception] = []
    log = open_access_log(Path("/dev/full"), failures.append)
    log.write(*LINE)
    await log.aclose()
    assert (log.losses.lines, [error.errno for error in failures if isinstance(error, OSError)]) == (1, [errno.ENOSPC])


async def test_a_form_that_fails_costs_lines_and_no_more() -> None:
    """It is told once, and lines of the form that is well again are written."""
    failures: list[Exception] = []
    well, tried = False, threading.Semaphore(0)

    def form(line: str) -> str:
        if not well:
            tried.release()
            raise KeyError("client")
        return line

    pipe = Pipe()
    log = AccessLog(Sink(pipe.write_end, owned=True), failures.append, form=form)
    for _ in range(2):
        log.write(*LINE)  # type: ignore[arg-type]
        assert await asyncio.to_thread(tried.acquire, timeout=10)
    well = True
    log.write(*LINE)  # type: ignore[arg-type]
    line = await asyncio.to_thread(os.read, pipe.read_end, 4096)
    await log.aclose()
    os.close(pipe.read_end)
    assert line.endswith(b"}\n")
    assert (log.losses.lines, [type(error) for error in failures]) == (2, [KeyError])


async def test_a_descriptor_that_does_not_block_is_waited_for() -> None:
    """Somebody else may have made stdout so."""
    pipe = Pipe()
    os.set_blocking(pipe.write_end, False)
    log = AccessLog(Sink(pipe.write_end, owned=True), ignore)
    for _ in range(1000):
        log.write(*LINE)
    reader = pipe.drain()
    await log.aclose()
    reader.join()
    os.close(pipe.read_end)
    assert log.losses.lines == 0


async def test_a_quiet_log_is_flushed_without_being_closed() -> None:
    """At least twice a second: who watches sees a single request."""
    pipe = Pipe()
    log = AccessLog(Sink(pipe.write_end, owned=True), ignore)
    log.write(*LINE)
    line = await asyncio.to_thread(os.read, pipe.read_end, 4096)
    await log.aclose()
    os.close(pipe.read_end)
    assert line.endswith(b"}\n")
