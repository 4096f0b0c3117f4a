"""From parser callbacks to messages: a request or a response head, checked, classified and framed.

The readers are what an HTTP/1.1 parser calls back; they never see a socket. A fault is kept in `fault` and raised,
which ends the parser: the connection can only be closed after that.
"""

import dataclasses
import re
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.errors import RequestRejected
from gateway.wire import hops
from gateway.wire.hops import RequestNames, ResponseNames, tokens
from gateway.wire.message import Request
from gateway.wire.target import SHORT, Target, read_host, read_target

_LENGTH_DIGITS: Final = 19  # of 2**63
REFUSED_METHODS: Final = frozenset((b"CONNECT", b"TRACE"))  # a tunnel past the rules; an echo of secrets
_WEBSOCKET_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==\Z").match  # RFC 6455 section 4.1: 16 bytes in base64


class RequestParser(Protocol):
    def feed_data(self, data: bytes) -> None: ...
    def get_method(self) -> bytes: ...
    def get_http_version(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of a whole head, of one field, of the target; number of fields. route: the smallest limit of a whole head
    that a route has of its own, None where none has. least: the smallest of those in bytes.
    """

    least: int = dataclasses.field(init=False)
    head: int = 32 * 1024
    field: int = 8 * 1024
    target: int = 8 * 1024
    fields: int = 100
    route: int | None = None

    def __post_init__(self) -> None:
        route = self.head if self.route is None else self.route
        object.__setattr__(self, "least", min(self.head, self.field, self.target, route))


class RequestReader:
    """Collects request heads, and hands each to `on_request`, which a subclass has. Bodies are the subclass's too.

    It is a base class, not a part, because a callback that is passed on costs a call more per header.
    """

    __slots__ = ("_host", "_target", "_url", "bulky", "fault", "limits", "names", "opening", "parser", "raw")

    def __init__(self, names: RequestNames, limits: Limits) -> None:
        self.names = names
        self.limits = limits
        self._url = b""
        self._host: bytes | None = None  # of the last request, and its target if that is in origin-form and short
        self._target: Target | None = None
        self.bulky = False  # whether the head may be over a limit: more bytes have come than the smallest of them
        self.opening = b""  # bytes that begin with the head's first line, where the subclass knows it
        self.parser: RequestParser
        self.fault: RequestRejected | None = None
        self.raw: list[tuple[bytes, bytes]] | None = None  # not None while a head is being read

    def on_request(self, request: Request) -> None:
        """A head is complete and well-formed. A RequestRejected from here ends the parser as one from the head does."""

    def on_unseen_line(self) -> None:
        """The parser says HTTP/1.1, as it does of RTSP/1.1, and the bytes do not begin with the line that says it."""

    def on_message_begin(self) -> None:
        self._url = b""
        self.raw = []

    def on_url(self, url: bytes) -> None:
        self._url = self._url + url if self._url else url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.raw is not None:  # else it is a trailer, and dropped
            self.raw.append((name, value))

    def on_headers_complete(self) -> None:
        try:
            request = self._read()
            self.raw = None
            self.on_request(request)
        except RequestRejected as fault:
            self.fault = fault
            raise

    def _read(self) -> Request:
        raw, url = self.raw, self._url
        assert raw is not None
        size = self._measure_head(raw) if self.bulky else 0
        if len(raw) > self.limits.fields:
            raise RequestRejected("head_too_large", f"At most {self.limits.fields} header fields are read.")
        request = Request()
        request.size = size
        request.method = method = self.parser.get_method()
        if method in REFUSED_METHODS:
            raise RequestRejected("method_refused", "CONNECT and TRACE are never forwarded.")
        opening, self.opening = self.opening, b""
        at = len(method) + 1 + len(url)
        if opening[at : at + 11] != b" HTTP/1.1\r\n":  # to ask the parser costs 0.4 us
            version = self.parser.get_http_version()
            if version != "1.1":
                if version != "1.0":
                    raise RequestRejected("bad_version")
                request.minor = 0
            else:
                self.on_unseen_line()
        special = self._fields(raw, request)
        if special is not None or request.minor == 0:
            self._special(special or [], request)
        if request.host != self._host:  # which the last request on the connection has had, and it was found to be one
            read_host(request.host)
            self._host = request.host
        target = self._target
        if target is not None and url == target.raw:
            request.target = target
            return request
        target, authority = read_target(url, method)
        request.target = target
        if authority is None:
            self._target = target if url[:1] == b"/" and len(url) <= SHORT else None
        elif authority.lower() != request.host.lower():
            raise RequestRejected("authority_mismatch")
        return request

    def _measure_head(self, raw: list[tuple[bytes, bytes]]) -> int:
        """The limits in bytes. What came in fewer bytes than the smallest of them cannot exceed any."""
        limits = self.limits
        if len(self._url) > limits.target:
            raise RequestRejected("target_too_long", f"The target may have {limits.target} bytes.")
        sizes = [len(name) + len(value) + 4 for name, value in raw]
        if max(sizes, default=0) > limits.field:
            raise RequestRejected("head_too_large", f"A header field may have {limits.field} bytes.")
        size = sum(sizes) + len(self._url) + len(self.parser.get_method()) + 14
        if size > limits.head:
            raise RequestRejected("head_too_large", f"The request head may have {limits.head} bytes.")
        return size

    def _fields(self, raw: list[tuple[bytes, bytes]], request: Request) -> list[tuple[int, bytes, bytes]] | None:
        """Fills what a usual request has; gives back what is neither that, nor forwarded, nor dropped."""
        known = self.names.known
        fields: list[bytes] = []
        special: list[tuple[int, bytes, bytes]] | None = None
        hosts = 0
        for name, value in raw:
            kind = known.get(name)
            if kind is None:
                kind = self.names.classify(name)
            if not kind:  # hops.FORWARD
                fields += (name, b": ", value, b"\r\n")
            elif kind == hops.HOST:
                hosts += 1
                request.host = value
            elif kind == hops.AUTHORIZATION and request.authorization is None:
                request.authorization = value
            elif kind == hops.CONNECTION_STRING and request.connection_string is None:
                request.connection_string = value
            elif kind == hops.TRACEPARENT:
                # of two nobody knows which is true (Trace Context, section 3.2.1): an empty one is none
                request.traceparent = value if request.traceparent is None else b""
            elif kind == hops.TRACESTATE:
                request.tracestate = value if request.tracestate is None else request.tracestate + b"," + value
            elif kind != hops.DROP:
                if special is None:
                    special = []
                special.append((kind, name, value))
        if hosts != 1:
            raise RequestRejected("bad_host", "Send exactly one Host header.")
        request.fields = fields
        return special

    def _special(self, special: list[tuple[int, bytes, bytes]], request: Request) -> None:
        upgrade: list[bytes] = []
        handshake: list[tuple[bytes, bytes]] = []
        for kind, name, value in special:
            match kind:
                case hops.REFUSE:
                    raise RequestRejected("bad_header_name", "Use letters, digits and hyphens in header names.")
                case hops.AUTHORIZATION | hops.CONNECTION_STRING:
                    raise RequestRejected("duplicate_credential")
                case hops.TENANT:
                    if request.tenant_id is not None:
                        raise RequestRejected("duplicate_credential")
                    request.tenant_id = value
                case hops.REQUEST_ID:
                    request.request_id = value
                case hops.CONNECTION:
                    request.listed |= tokens(value)
                case hops.UPGRADE:
                    upgrade.append(value)
                case hops.EXPECT:
                    if value.strip(b" \t").lower() != b"100-continue":
                        raise RequestRejected("expectation_failed")
                    request.expects_continue = request.minor == 1  # RFC 9110 section 10.1.1: ignored from 1.0
                case hops.LENGTH:
                    # digits only, once: the parser has seen to it, but not to their number
                    if len(value) > _LENGTH_DIGITS:
                        raise RequestRejected("bad_framing", "Content-Length has too many digits.")
                    request.length = int(value)
                case hops.ENCODING:
                    request.chunked = _chunked(value, request.minor)
                case hops.FORWARDING:
                    request.forwarding += ((name.lower(), value),)
                case hops.RESERVED:
                    request.reserved = True
                case hops.WEBSOCKET:
                    handshake.append((name.lower(), value))
        listed = request.listed
        request.keep_alive = b"close" not in listed and (request.minor == 1 or b"keep-alive" in listed)
        if upgrade:
            _upgrade(request, upgrade, handshake)


def _chunked(value: bytes, minor: int) -> bool:
    # RFC 9112 section 6.1: no Transfer-Encoding in HTTP/1.0; other codings than chunked would need decoding to re-frame
    if minor == 0 or value.strip(b" \t").lower() != b"chunked":
        raise RequestRejected("bad_framing", "The only transfer coding read here is chunked, in HTTP/1.1.")
    return True


def _upgrade(request: Request, upgrade: list[bytes], handshake: list[tuple[bytes, bytes]]) -> None:
    """Only `websocket` is an upgrade here; any other is dropped and the request goes on without it (h2c: S-23)."""
    if request.chunked or request.length:
        raise RequestRejected("upgrade_with_body")
    asked = frozenset[bytes]().union(*map(tokens, upgrade))
    if asked != {b"websocket"} or b"upgrade" not in request.listed or request.minor == 0:
        return
    sent = dict(handshake)
    if (
        request.method != b"GET"
        or len(handshake) != 2
        or sent.get(b"sec-websocket-version", b"").strip() != b"13"
        or not _WEBSOCKET_KEY(sent.get(b"sec-websocket-key", b"").strip())
    ):
        raise RequestRejected("bad_upgrade", "Send GET with one Sec-WebSocket-Key and Sec-WebSocket-Version: 13.")
    request.websocket = True
    for name, value in handshake:
        request.fields += (name, b": ", value, b"\r\n")


class ResponseParser(Protocol):
    def feed_data(self, data: bytes) -> None: ...
    def should_upgrade(self) -> bool: ...
    def get_status_code(self) -> int: ...
    def get_http_version(self) -> str: ...


class BadAnswer(Exception):  # noqa: N818 - errors are named by fault
    """An upstream's answer that is malformed, ambiguous or too large. The connection is never used again."""


class ResponseReader:
    """Collects response heads, informational ones too, and calls `on_response`, which a subclass has, for each.

    From then on the attributes describe that response: status, reason, fields (as in `Request.fields`), length
    (digits), chunked, keep_alive, minor, upgrade (the `Upgrade` value, or b"").
    """

    __slots__ = (
        "_largest",
        "_names",
        "bulky",
        "chunked",
        "fields",
        "keep_alive",
        "length",
        "minor",
        "opening",
        "parser",
        "raw",
        "reason",
        "status",
        "upgrade",
    )

    def __init__(self, names: ResponseNames, largest: int = 64 * 1024) -> None:
        self._names = names
        self._largest = largest
        self.bulky = False  # whether more bytes have come than the largest head may have
        self.opening = b""  # bytes that begin with the status line, where the subclass knows it
        self.parser: ResponseParser
        self.raw: list[tuple[bytes, bytes]] | None = None
        self.status = 0
        self.reason = b""
        self.fields: list[bytes] = []
        self.length: bytes | None = None
        self.chunked = False
        self.keep_alive = True
        self.minor = 1
        self.upgrade = b""

    def on_response(self) -> None:
        """A head is complete and well-formed. A BadAnswer from here ends the parser as one from the head does."""

    def on_message_begin(self) -> None:
        self.raw = []
        self.reason = b""

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.raw is not None:  # else it is a trailer, and dropped
            self.raw.append((name, value))

    def on_headers_complete(self) -> None:
        raw, self.raw = self.raw, None
        assert raw is not None
        self.status = self.parser.get_status_code()
        opening, self.opening = self.opening, b""
        self.minor = 1 if opening.startswith(b"HTTP/1.1 ") else self._version(opening)
        if self.bulky and sum(len(name) + len(value) + 4 for name, value in raw) + len(self.reason) > self._largest:
            raise BadAnswer("its head is too large")
        self._fields(raw)
        self.on_response()

    def _version(self, opening: bytes) -> int:
        version = self.parser.get_http_version()
        # llhttp reports RTSP/1.0 and ICE/1.0 as version 1.0, 1.1 likewise, and does not say which; where an answer
        # follows an informational one, its line is not known here
        if version == "1.1" and b"HTTP/".startswith(opening.lstrip(b"\r\n")[:5]):
            return 1
        if version != "1.0" or not opening.startswith(b"HTTP/1.0 "):
            raise BadAnswer("only HTTP/1.0 and HTTP/1.1 answers are understood")
        return 0

    def _fields(self, raw: list[tuple[bytes, bytes]]) -> None:
        known = self._names.known
        fields: list[bytes] = []
        self.length, self.chunked, self.upgrade = None, False, b""
        listed: frozenset[bytes] | None = None
        for name, value in raw:
            kind = known.get(name)
            if kind is None:
                kind = self._names.classify(name)
            if not kind:  # hops.FORWARD
                fields += (name, b": ", value, b"\r\n")
            elif kind == hops.LENGTH:
                # digits only, once: the parser has seen to it, but not to their number
                if len(value) > _LENGTH_DIGITS:
                    raise BadAnswer("its Content-Length has too many digits")
                self.length = value
            elif kind == hops.ENCODING:
                self._encoding(value)
            elif kind == hops.CONNECTION:
                if value != b"keep-alive" or not self.minor:  # what goes without saying in HTTP/1.1
                    listed = tokens(value) if listed is None else listed | tokens(value)
            elif kind == hops.UPGRADE:
                self.upgrade = value.strip(b" \t").lower()
        if listed:
            self.keep_alive = b"close" not in listed and (self.minor == 1 or b"keep-alive" in listed)
            if not listed <= hops.OWN_TOKENS:
                fields = hops.without(fields, listed - hops.OWN_TOKENS)
        else:
            self.keep_alive = self.minor == 1
        self.fields = fields

    def _encoding(self, value: bytes) -> None:
        if self.minor == 0 or self.chunked or value.strip(b" \t").lower() != b"chunked":
            raise BadAnswer("its transfer coding is not chunked, or is in HTTP/1.0")
        self.chunked = True
