"""The head of the client's response: the upstream's fields as they may go back, and the framing of what follows."""

from enum import Enum
from typing import Final, NamedTuple

from gateway.wire.message import Request
from gateway.wire.reader import ResponseReader

_BODILESS: Final = frozenset((204, 304))


class Framing(Enum):
    """How the body goes to the client."""

    NONE = 0
    COUNTED = 1
    CHUNKED = 2
    UNTIL_CLOSE = 3


class Finished(NamedTuple):
    head: bytes
    framing: Framing
    keep_alive: bool


def finish(response: ResponseReader, request: Request, keep_alive: bool, request_id: bytes) -> Finished:
    """keep_alive: whether the gateway is willing to; the answer may say no where only closing can end the body."""
    status, length = response.status, response.length
    if request.method == b"HEAD" or status in _BODILESS:
        framing, line = Framing.NONE, _promised(status, length)
    elif length is not None:
        framing, line = Framing.COUNTED, b"content-length: %d\r\n" % length
    elif request.minor:
        framing, line = Framing.CHUNKED, b"transfer-encoding: chunked\r\n"
    else:
        framing, line, keep_alive = Framing.UNTIL_CLOSE, b"", False
    head = b"".join(
        (
            b"HTTP/1.1 %d " % status,
            response.reason,
            b"\r\n",
            *response.fields,
            line,
            _persistence(request.minor, keep_alive),
            b"x-mycelium-request-id: ",
            request_id,
            b"\r\n\r\n",
        )
    )
    return Finished(head, framing, keep_alive)


def informational(response: ResponseReader) -> bytes:
    """A 1xx head (RFC 9110 section 15.2), as it goes on to an HTTP/1.1 client."""
    return b"".join((b"HTTP/1.1 %d " % response.status, response.reason, b"\r\n", *response.fields, b"\r\n"))


def switching(response: ResponseReader, request_id: bytes) -> bytes:
    """The 101 that turns the connection into a tunnel."""
    return b"".join(
        (
            b"HTTP/1.1 101 Switching Protocols\r\n",
            *response.fields,
            b"connection: upgrade\r\nupgrade: websocket\r\nx-mycelium-request-id: ",
            request_id,
            b"\r\n\r\n",
        )
    )


def _promised(status: int, length: int | None) -> bytes:
    # RFC 9110 section 8.6: no Content-Length in a 204; in a 304 or for HEAD it tells what GET would have sent
    return b"" if length is None or status == 204 else b"content-length: %d\r\n" % length


def _persistence(minor: int, keep_alive: bool) -> bytes:
    if keep_alive:
        return b"" if minor else b"connection: keep-alive\r\n"
    return b"connection: close\r\n"
