"""The access log: what a line says, whatever a client sends, and that it is written whole."""

import json
import os
import select
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.ops.access_log import REMEMBERED, SHORT, AccessLog, open_access_log
from gateway.ops.sink import Sink

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
