"""The upstream of bodies and WebSockets: a program of its own on the core of the load, `python -m bench.origin PORT`.

A request with `Upgrade` becomes a WebSocket whose messages come back; a GET is answered with as many bytes as the last
segment of its path says; what is sent to it is thrown away, and the answer says how many bytes that were, with framing.
"""

import asyncio
import base64
import hashlib
import re
import sys
from collections.abc import Callable
from typing import Final, cast

import uvloop

from bench.processes import LOOPBACK

GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
PIECE: Final = bytes(256 * 1024)
LAST_CHUNK: Final = b"0\r\n\r\n"
BACKLOG = 4096


class Origin(asyncio.Protocol):
    """One connection, one exchange after the other."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0  # bytes of the answer that are not written
        self._writable = True
        self._take: Callable[[bytes], None] = self._read_head
        self._expected: int | None = None  # bytes of the request's body; None: until the last chunk
        self._taken, self._tail = 0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not registered as such

    def data_received(self, data: bytes) -> None:
        self._take(data)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._write_on()

    def _read_head(self, data: bytes) -> None:
        head, end, rest = (self._head + data).partition(b"\r\n\r\n")
        if not end:
            self._head = head
            return
        self._head = b""
        if key := re.search(rb"(?i)\r\nsec-websocket-key: *(\S+)", head):
            accept = base64.b64encode(hashlib.sha1(key[1] + GUID, usedforsecurity=False).digest())
            lines = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept
            self._transport.write(b"HTTP/1.1 101 Switching Protocols\r\n" + lines + b"\r\n\r\n")
            self._take = self._echo
        elif head.startswith(b"GET "):
            path = head.split(b" ", 2)[1].rpartition(b"/")[2]
            self._left = int(path) if path.isdigit() else 0
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % self._left)
            self._write_on()
        else:
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            self._expected = int(length[1]) if length else None
            self._taken, self._tail, self._take = 0, b"", self._swallow
            self._swallow(rest)

    def _write_on(self) -> None:
        while self._left and self._writable:
            size = min(self._left, len(PIECE))
            self._left -= size
            self._transport.write(PIECE if size == len(PIECE) else PIECE[:size])

    def _swallow(self, data: bytes) -> None:
        """Bodies here are zero bytes, so no part of one looks like the last chunk."""
        self._taken += len(data)
        self._tail = (self._tail + data[-len(LAST_CHUNK) :])[-len(LAST_CHUNK) :]
        if self._tail == LAST_CHUNK if self._expected is None else self._taken >= self._expected:
            self._take = self._read_head
            said = b"%d\n" % self._taken
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))

    def _echo(self, data: bytes) -> None:
        """Whole, short frames of this bench's client, whose mask is zero; so the payload need not be unmasked."""
        answer = b""
        while data:
            size = data[1] & 0x7F
            answer += bytes((data[0], size)) + data[6 : 6 + size]
            data = data[6 + size :]
        self._transport.write(answer)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Origin, LOOPBACK, port, backlog=BACKLOG)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
