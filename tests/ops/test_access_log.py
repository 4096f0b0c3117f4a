"""The access log: what a line says, and that a sink which is slow, full or gone costs lines and nothing else."""

import asyncio
import errno
import json
import os
import re
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from harness.site import until

from gateway.app.access_logs import Lost
from gateway.ops import access_log
from gateway.ops.access_log import REMEMBERED, SHORT, AccessLog, open_access_log
from gateway.ops.sink import BLOCK, Sink

LINE = (
    1_700_000_000.0425, "an-id", "192.0.2.1", b"GET", b"shop.example", "/orders/**", b"/orders/7", "orders",
    "http://10.0.0.7:80", 200, None, "acc", "grant", 3, 5, 0.000012, 0.000021, 0.0009, 0.0012345,
    "0af7651916cd43dd8448eb211c80319c",
)  # fmt: skip
NAMES = (
    "now", "id", "client", "method", "host", "route", "path", "upstream", "endpoint", "status", "reason", "account",
    "grant", "bytes_in", "bytes_out", "routing", "authentication", "first_byte", "seconds", "trace",
)  # fmt: skip


def changed(**values: object) -> tuple[object, ...]:
    return tuple(values.get(name, old) for name, old in zip(NAMES, LINE, strict=True))


def ignore(error: Exception) -> None: ...


async def written(tmp_path: Path, *lines: tuple[object, ...]) -> str:
    log = open_access_log(tmp_path / "access.log", ignore)
    for line in lines:
        log.write(*line)  # type: ignore[arg-type]
    await log.aclose()
    return (tmp_path / "access.log").read_text()


async def test_a_line_tells_the_exchange(tmp_path: Path) -> None:
    """Every field under its name, the time in RFC 3339 with milliseconds."""
    assert json.loads(await written(tmp_path, LINE)) == {
        "time": "2023-11-14T22:13:20.042Z",
        "id": "an-id",
        "client": "192.0.2.1",
        "method": "GET",
        "host": "shop.example",
        "route": "/orders/**",
        "path": "/orders/7",
        "upstream": "orders",
        "endpoint": "http://10.0.0.7:80",
        "status": 200,
        "reason": None,
        "account": "acc",
        "grant": "grant",
        "bytes_in": 3,
        "bytes_out": 5,
        "routing": 0.000012,
        "authentication": 0.000021,
        "first_byte": 0.0009,
        "seconds": 0.001234,
        "trace": "0af7651916cd43dd8448eb211c80319c",
    }


@pytest.mark.parametrize("name", ["host", "path", "upstream", "endpoint", "reason", "account", "grant", "trace"])
async def test_what_is_not_known_is_null(tmp_path: Path, name: str) -> None:
    """Not the text "None"."""
    assert json.loads(await written(tmp_path, changed(**{name: None})))[name] is None


@pytest.mark.parametrize("name", ["routing", "authentication", "first_byte"])
@pytest.mark.parametrize(("seconds", "shown"), [(-1.0, None), (0.0, 0.0), (0.0000015, 0.000001), (61.5, 61.5)])
async def test_a_stage_that_was_not_come_to_has_no_duration(
    tmp_path: Path, name: str, seconds: float, shown: float | None
) -> None:
    """Null, where one that took no time has 0."""
    line = json.loads(await written(tmp_path, changed(**{name: seconds})))
    assert [line[stage] for stage in ("routing", "authentication", "first_byte")].count(None) == (shown is None)
    assert line[name] == pytest.approx(shown, abs=1.1e-6)


async def test_more_names_than_are_remembered_are_told_all_the_same(tmp_path: Path) -> None:
    """A client chooses hosts: their quoted forms do not pile up."""
    log = open_access_log(tmp_path / "access.log", ignore)
    hosts = [f"h{number}.example" for number in range(2 * REMEMBERED)] + ["x" * (SHORT + 1), "h1.example"]
    for host in hosts:
        log.write(*changed(host=host.encode()))  # type: ignore[arg-type]
    assert len(log._quoted) <= REMEMBERED
    assert b"x" * (SHORT + 1) not in log._quoted
    await log.aclose()
    assert [json.loads(line)["host"] for line in (tmp_path / "access.log").read_text().splitlines()] == hosts


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (1_700_000_000.0, "2023-11-14T22:13:20.000Z"),
        (1_700_000_000.9999, "2023-11-14T22:13:20.999Z"),
        (1_700_000_001.0, "2023-11-14T22:13:21.000Z"),
    ],
)
async def test_the_time_is_cut_to_milliseconds(tmp_path: Path, now: float, text: str) -> None:
    """Rounding up would need the next second."""
    assert json.loads(await written(tmp_path, changed(now=now)))["time"] == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("path", b'/a"b', '/a"b'),
        ("path", b"/a\\b", "/a\\b"),
        ("path", b'/\n{"forged":1}', '/\n{"forged":1}'),
        ("path", b"/\x00\x1b[31m", "/\x00\x1b[31m"),
        ("path", b"/\xff\xe2\x80\xa8", "/\xff\xe2\x80\xa8"),
        ("method", b'G"T', 'G"T'),
        ("client", '1"\n2', '1"\n2'),
        ("host", b'a"b', 'a"b'),
        ("endpoint", '"', '"'),
        ("route", '/a"', '/a"'),
        ("account", '"', '"'),
    ],
)
async def test_client_controlled_text_stays_inside_its_string(
    tmp_path: Path, name: str, value: object, text: str
) -> None:
    """One line, valid JSON, ASCII: nobody forges a line or writes to the terminal of who reads it."""
    line = await written(tmp_path, changed(**{name: value}))
    assert (json.loads(line)[name], line.count("\n"), line.isascii(), "\x1b" in line) == (text, 1, True, False)


async def test_lines_keep_their_order(tmp_path: Path) -> None:
    """Over several blocks."""
    text = await written(tmp_path, *(changed(status=100 + number % 900, bytes_in=number) for number in range(2000)))
    assert [json.loads(line)["bytes_in"] for line in text.splitlines()] == list(range(2000))


async def test_a_file_is_appended_to(tmp_path: Path) -> None:
    """A restart loses nothing."""
    await written(tmp_path, LINE)
    assert (await written(tmp_path, LINE)).count("\n") == 2


async def test_a_file_is_not_for_everybody(tmp_path: Path) -> None:
    """It tells who did what."""
    await written(tmp_path)
    assert (tmp_path / "access.log").stat().st_mode & 0o007 == 0


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


async def test_a_pipe_is_given_whole_lines_that_it_takes_at_once() -> None:
    """Several workers write to it: what is longer than PIPE_BUF would be mixed with another's."""
    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)  # keeps the bounds of every write
    with reader, writer:
        writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        log = AccessLog(Sink(writer.fileno()), ignore)
        for _ in range(100):
            log.write(*LINE)  # type: ignore[arg-type]
        await log.aclose()
        reader.setblocking(False)
        blocks = []
        with suppress(BlockingIOError):
            while True:
                blocks.append(reader.recv(1 << 20))
    assert sum(block.count(b"\n") for block in blocks) == 100
    assert all(block.endswith(b"\n") and len(block) <= select.PIPE_BUF for block in blocks)


@pytest.mark.parametrize("name", ["path", "method", "host"])
@pytest.mark.parametrize("long", [b"/" + b"x" * 9000, b"/" + b"\xe9" * 3000, b"/" + b'"' * 5000, b"/" * 4096])
async def test_a_line_to_a_pipe_is_never_longer_than_what_it_takes_whole(name: str, long: bytes) -> None:
    """The target is cut, and the line is JSON still: another worker's line cannot end up inside."""
    reading, writing = os.pipe()
    log = AccessLog(Sink(writing, owned=True), ignore)
    log.write(*changed(**{name: long}))  # type: ignore[arg-type]
    await log.aclose()
    with os.fdopen(reading, "rb") as pipe:
        line = pipe.read()
    told = json.loads(line)[name]
    assert select.PIPE_BUF - 6 <= len(line) <= select.PIPE_BUF
    assert told.endswith("...")
    assert long.decode("latin-1").startswith(told.removesuffix("..."))


async def test_what_is_not_there_is_not_cut() -> None:
    """A long route of the configuration: what the request did not have stays null."""
    reading, writing = os.pipe()
    log = AccessLog(Sink(writing, owned=True), ignore)
    log.write(*changed(route="/" + "r" * 5000, host=None, path=b"/" + b"x" * 100))  # type: ignore[arg-type]
    await log.aclose()
    with os.fdopen(reading, "rb") as pipe:
        told = json.loads(pipe.read())
    assert (told["host"], told["path"]) == (None, "...")


async def test_a_line_to_a_file_is_whole(tmp_path: Path) -> None:
    """Appending takes any length at once."""
    assert len(json.loads(await written(tmp_path, changed(path=b"/" + b"x" * 9000)))["path"]) == 9001
