"""The head of the client's response: the upstream's fields as they may go back, and the framing of what follows."""

import re
from enum import Enum
from functools import lru_cache
from typing import Final

from gateway.wire.message import Request
from gateway.wire.reader import ResponseReader
from gateway.wire.rules import Rules

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
_BODILESS: Final = frozenset((204, 304))
_OK: Final = b"HTTP/1.1 200 OK\r\n"  # what most answers begin with


class Framing(Enum):
    """How the body goes to the client."""

    NONE = 0
    COUNTED = 1
    CHUNKED = 2
    UNTIL_CLOSE = 3


_NONE, _COUNTED, _CHUNKED = Framing.NONE, Framing.COUNTED, Framing.CHUNKED  # found faster than through the Enum


def finish(
    response: ResponseReader,
    request: Request,
    keep_alive: bool,
    request_id: bytes,
    lines: bytes = b"",
    rules: Rules | None = None,
) -> tuple[bytes, Framing, bool]:
    """The head, how the body goes, and whether the connection lives on.

    keep_alive: whether the gateway is willing to; the answer may say no where only closing can end the body. lines:
    whole field lines of the gateway's own, which no rule of the route's touches.
    """
    status, length = response.status, response.length
    if request.method == b"HEAD" or status in _BODILESS:
        framing, line = _NONE, _promised(status, length)
    elif length is not None:
        framing, line = _COUNTED, b"content-length: " + length + b"\r\n"
    elif request.minor:
        framing, line = _CHUNKED, b"transfer-encoding: chunked\r\n"
    else:
        framing, line, keep_alive = Framing.UNTIL_CLOSE, b"", False
    if not keep_alive:
        line += b"connection: close\r\n"
    elif not request.minor:
        line += b"connection: keep-alive\r\n"
    head = b"".join(
        [
            _OK if status == 200 and response.reason == b"OK" else _status_line(status, response.reason),
            *(response.fields if rules is None else rules.apply(response.fields)),
            line,
            lines,
            b"x-mycelium-request-id: ",
            request_id,
            b"\r\n\r\n",
        ]
    )
    return head, framing, keep_alive


@lru_cache(maxsize=256)
def _status_line(status: int, reason: bytes) -> bytes:
    # RFC 9112 section 4: HTAB, SP, visible characters and obs-text; some clients show the phrase to people
    return b"HTTP/1.1 %d %b\r\n" % (status, b"" if _CONTROL(reason) else reason)


def informational(response: ResponseReader, rules: Rules | None = None) -> bytes:
    """A 1xx head (RFC 9110 section 15.2), as it goes on to an HTTP/1.1 client."""
    fields = response.fields if rules is None else rules.remove(response.fields)
    return b"".join((_status_line(response.status, response.reason), *fields, b"\r\n"))


def switching(response: ResponseReader, request_id: bytes, lines: bytes = b"", rules: Rules | None = None) -> bytes:
    """The 101 that turns the connection into a tunnel. lines, rules: as in `finish`."""
    return b"".join(
        (
            b"HTTP/1.1 101 Switching Protocols\r\n",
            *(response.fields if rules is None else rules.apply(response.fields)),
            lines,
            b"connection: upgrade\r\nupgrade: websocket\r\nx-mycelium-request-id: ",
            request_id,
            b"\r\n\r\n",
        )
    )


def _promised(status: int, length: bytes | None) -> bytes:
    # RFC 9110 section 8.6: no Content-Length in a 204; in a 304 or for HEAD it tells what GET would have sent
    return b"" if length is None or status == 204 else b"content-length: " + length + b"\r\n"
