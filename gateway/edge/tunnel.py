"""A WebSocket after its 101: raw bytes both ways with back-pressure, until a side ends it or its grant does.

Frames are not looked into; only their borders from the upstream are followed, so that a Close frame can be put between
two of them (RFC 6455 section 5.5.1).
"""

import struct
from typing import TYPE_CHECKING, Final

from gateway.edge.upstream import UpstreamConnection

if TYPE_CHECKING:
    from gateway.edge.answering import Answering
    from gateway.edge.client import Client

POLICY_VIOLATION: Final = 1008
GOING_AWAY: Final = 1001


class Borders:
    """Follows frame borders in a stream of unmasked frames (RFC 6455 section 5.2)."""

    __slots__ = ("_header", "_left")

    def __init__(self) -> None:
        self._left = 0  # bytes of payload still to come
        self._header = b""  # of a frame whose header is not complete

    @property
    def at_one(self) -> bool:
        return not self._left and not self._header

    def feed(self, data: bytes) -> None:
        if not self._left and not self._header and len(data) > 1 and data[1] + 2 == len(data) and data[1] < 126:
            return  # one whole small frame
        while data:
            if self._left:
                passed = min(self._left, len(data))
                self._left -= passed
                data = data[passed:]
                continue
            self._header += data
            size = _header_size(self._header)
            if len(self._header) < size:
                return
            self._left = _payload_size(self._header)
            data, self._header = self._header[size:], b""


def _header_size(header: bytes) -> int:
    if len(header) < 2:
        return 2
    return 2 + {126: 2, 127: 8}.get(header[1] & 0x7F, 0) + (4 if header[1] & 0x80 else 0)


def _payload_size(header: bytes) -> int:
    short = header[1] & 0x7F
    if short < 126:
        return short
    size: int = struct.unpack_from("!H" if short == 126 else "!Q", header, 2)[0]
    return size


def close_frame(code: int) -> bytes:
    """An unmasked Close frame with a status code (RFC 6455 section 5.5.1)."""
    return struct.pack("!BBH", 0x88, 2, code)


class Tunnel:
    """Registered with the edge, which ends it when its principal's time is over."""

    __slots__ = ("_borders", "_client", "_over", "_upstream", "exchange")

    def __init__(self, client: "Client", upstream: UpstreamConnection, exchange: "Answering") -> None:
        self._client = client
        self._upstream = upstream
        self._borders = Borders()
        self._over = False
        self.exchange = exchange

    def begin(self) -> None:
        """Hands over what the client has sent since its handshake."""
        early, self._client.early = self._client.early, b""
        if early and not self._over:
            self.from_client(early)
        self._client.regulate()

    def from_client(self, data: bytes) -> None:
        self.exchange.bytes_in += len(data)
        self._upstream.transport.write(data)

    def from_upstream(self, data: bytes) -> None:
        if self._over:
            return
        self._borders.feed(data)
        self.exchange.bytes_out += len(data)
        self._client.transport.write(data)

    def client_writable(self, writable: bool) -> None:
        self._upstream.pause(not writable)

    def upstream_writable(self, writable: bool) -> None:
        self._client.regulate()

    @property
    def clogged(self) -> bool:
        return self._upstream.clogged

    def client_lost(self) -> None:
        self._finish("client_gone" if not self._over else None)

    def upstream_lost(self) -> None:
        """The upstream has closed: what it sent last still goes out."""
        if not self._over:
            self._finish(None)
            self._client.close()

    def close(self, code: int, reason: str | None) -> None:
        """From our side: a Close frame if one fits in here, else a cut."""
        if self._over:
            return
        if self._borders.at_one:
            self._client.transport.write(close_frame(code))
            self._client.linger()  # frames on their way must not reset the connection before this one is read
            self._finish(reason)
        else:
            self._finish(reason)
            self._client.cut()

    def _finish(self, reason: str | None) -> None:
        if self._over:
            return
        self._over = True
        self._client.edge.tunnels.discard(self)
        self._upstream.pipe = None
        self.exchange.end_tunnel(reason)
