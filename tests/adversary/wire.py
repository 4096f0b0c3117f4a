"""The client's side of a case: bytes out, answers in, read leniently, as what is counted is what the gateway said."""

import asyncio
import contextlib
import re
import socket
import time

from .model import Answer, Case, Options, Outcome
from .upstream import RECORD

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})[^\n]*\r?\n")
_RECORD = re.compile(rb"^%b:[ \t]*(\d+)" % RECORD.encode(), re.IGNORECASE | re.MULTILINE)
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d+)", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(rb"^transfer-encoding:[ \t]*chunked", re.IGNORECASE | re.MULTILINE)
_PAUSE = 0.005  # seconds between segments, so that each is read by itself; nothing is wrong where they are not
_DRIP = 0.5  # seconds between the bytes of a slow head
_LONGEST = 10.0  # seconds that any connection but a slow one may be silent before the first answer


def answers_in(data: bytes, ended: bool, head: bool) -> tuple[list[Answer], bytes]:
    """The whole final answers, and what came after a 101. ended: whether there is no more to come."""
    found: list[Answer] = []
    at = 0
    while line := _STATUS_LINE.match(data, at):
        end = re.compile(rb"\r?\n\r?\n").search(data, line.end() - 2)
        if end is None:
            break
        fields, status = data[line.end() - 2 : end.start()], int(line[1])
        record = _RECORD.search(fields)
        answer = Answer(status, int(record[1]) if record else None)
        at = end.end()
        if status == 101:
            return [*found, answer], data[at:]
        if status < 200:
            continue
        bodiless = head or status in (204, 304)
        size = 0 if bodiless else _size(data, at, fields, ended)
        if size is None:
            break
        found.append(answer)
        at += size
    return found, b""


def _size(data: bytes, at: int, fields: bytes, ended: bool) -> int | None:
    """Of the body that begins there; None while it is not whole."""
    if _CHUNKED.search(fields):
        end = re.compile(rb"(?:\A|\r\n)0\r\n\r\n").search(data[at:])
        return end.end() if end else None
    if length := _LENGTH.search(fields):
        return int(length[1]) if len(data) >= at + int(length[1]) else None
    return len(data) - at if ended else None


async def exchange(case: Case, options: Options) -> Outcome:
    """Sends the case on a connection of its own and reads until there is nothing more to expect."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(options.host, options.port, limit=1 << 22)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sending = asyncio.create_task(_send(case, writer))
    data, closed = b"", False
    try:
        while True:
            answers, tunnelled = answers_in(data, closed, case.head)
            if closed or (case.expect is not None and len(answers) >= case.expect and sending.done()):
                break
            more = await _some(reader, _patience(case, answers, options, began))
            if more is None:
                break
            closed = not more
            data += more
    finally:
        ended = time.monotonic()
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await sending
        writer.close()
    return Outcome(answers, closed, ended - began, ended, tunnelled)


def _patience(case: Case, answers: list[Answer], options: Options, began: float) -> float:
    """Seconds of silence that are still borne."""
    if case.slow:
        return max(began + options.patience - time.monotonic(), 0.0)
    if case.expect is not None and not answers:
        return _LONGEST
    return options.wait


async def _send(case: Case, writer: asyncio.StreamWriter) -> None:
    """A gateway that closes in between has said what it thinks of the rest."""
    with contextlib.suppress(ConnectionError):
        for number, segment in enumerate(case.segments):
            if number:
                await asyncio.sleep(_PAUSE)
            writer.write(segment)
            await writer.drain()
        while case.slow:
            await asyncio.sleep(_DRIP)
            writer.write(b"a")
            await writer.drain()


async def _some(reader: asyncio.StreamReader, seconds: float) -> bytes | None:
    """b"" at the end, None where nothing came for so long."""
    try:
        return await asyncio.wait_for(reader.read(1 << 16), seconds)
    except TimeoutError:
        return None
    except ConnectionError:
        return b""
