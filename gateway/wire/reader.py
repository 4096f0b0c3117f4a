"""From parser callbacks to messages: a request or a response head, checked, classified and framed.

The readers are what an HTTP/1.1 parser calls back; they never see a socket. A fault is kept in `fault` and raised,
which ends the parser: the connection can only be closed after that.
"""

import re
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.errors import RequestRejected
from gateway.wire import hops
from gateway.wire.hops import RequestNames, ResponseNames, tokens
from gateway.wire.message import Request
from gateway.wire.target import read_host, read_target

REFUSED_METHODS: Final = frozenset((b"CONNECT", b"TRACE"))  # a tunnel past the rules; an echo of secrets
_WEBSOCKET_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==\Z").match  # RFC 6455 section 4.1: 16 bytes in base64


class RequestParser(Protocol):
    def get_method(self) -> bytes: ...
    def get_http_version(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of a whole head, of one field, of the target; number of fields."""

    head: int = 32 * 1024
    field: int = 8 * 1024
    target: int = 8 * 1024
    fields: int = 100


class RequestReader:
    """Collects request heads, and hands each to `on_request`, which a subclass has. Bodies are the subclass's too.

    It is a base class, not a part, because a callback that is passed on costs a call more per header.
    """

    __slots__ = ("_url", "fault", "limits", "names", "parser", "raw")

    def __init__(self, names: RequestNames, limits: Limits) -> None:
        self.names = names
        self.limits = limits
        self._url = b""
        self.parser: RequestParser
        self.fault: RequestRejected | None = None
        self.raw: list[tuple[bytes, bytes]] | None = None  # not None while a head is being read

    def on_request(self, request: Request) -> None:
        """A head is complete and well-formed. A RequestRejected from here ends the parser as one from the head does."""

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
        limits, raw = self.limits, self.raw
        assert raw is not None
        if len(self._url) > limits.target:
            raise RequestRejected("target_too_long", f"The target may have {limits.target} bytes.")
        if len(raw) > limits.fields:
            raise RequestRejected("head_too_large", f"At most {limits.fields} header fields are read.")
        request = Request()
        request.method = method = self.parser.get_method()
        if method in REFUSED_METHODS:
            raise RequestRejected("method_refused", "CONNECT and TRACE are never forwarded.")
        version = self.parser.get_http_version()
        request.minor = minor = 1 if version == "1.1" else 0
        if minor == 0 and version != "1.0":
            raise RequestRejected("bad_version")
        request.connection_string = request.authorization = request.tenant_id = request.request_id = None
        request.length = None
        request.chunked = request.websocket = request.expects_continue = False
        request.listed = frozenset()
        request.forwarding = ()
        request.host = b""
        special = self._fields(raw, request, limits)
        if special is not None:
            self._special(special, request)
        read_host(request.host)
        request.target, authority = read_target(self._url, method)
        if authority is not None and authority.lower() != request.host.lower():
            raise RequestRejected("authority_mismatch")
        request.keep_alive = b"close" not in request.listed if minor else b"keep-alive" in request.listed
        return request

    def _fields(
        self, raw: list[tuple[bytes, bytes]], request: Request, limits: Limits
    ) -> list[tuple[int, bytes, bytes]] | None:
        """Fills `fields`, Host and Authorization; gives back what is neither forwarded nor dropped."""
        known, largest = self.names.known, limits.field
        fields: list[bytes] = []
        special: list[tuple[int, bytes, bytes]] | None = None
        size = len(self._url) + len(request.method) + 12  # the request line
        hosts = 0
        for name, value in raw:
            kind = known.get(name)
            if kind is None:
                kind = self.names.classify(name)
            length = len(name) + len(value) + 4
            size += length
            if length > largest:
                raise RequestRejected("head_too_large", f"A header field may have {largest} bytes.")
            if kind == hops.FORWARD:
                fields += (name, b": ", value, b"\r\n")
            elif kind == hops.HOST:
                hosts += 1
                request.host = value
            elif kind == hops.AUTHORIZATION and request.authorization is None:
                request.authorization = value
            elif kind != hops.DROP:
                if special is None:
                    special = []
                special.append((kind, name, value))
        if hosts != 1:
            raise RequestRejected("bad_host", "Send exactly one Host header.")
        if size > limits.head:
            raise RequestRejected("head_too_large", f"The request head may have {limits.head} bytes.")
        request.fields = fields
        return special

    def _special(self, special: list[tuple[int, bytes, bytes]], request: Request) -> None:
        upgrade: list[bytes] = []
        handshake: list[tuple[bytes, bytes]] = []
        for kind, name, value in special:
            match kind:
                case hops.REFUSE:
                    raise RequestRejected("bad_header_name", "Use letters, digits and hyphens in header names.")
                case hops.AUTHORIZATION:
                    raise RequestRejected("duplicate_credential")
                case hops.CONNECTION_STRING:
                    request.connection_string = _once(request.connection_string, value, "duplicate_credential")
                case hops.TENANT:
                    request.tenant_id = _once(request.tenant_id, value, "duplicate_credential")
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
                    request.length = int(value)  # digits only, once: the parser has seen to it
                case hops.ENCODING:
                    request.chunked = _chunked(value, request.minor)
                case hops.FORWARDING:
                    request.forwarding += ((name.lower(), value),)
                case hops.WEBSOCKET:
                    handshake.append((name.lower(), value))
        if upgrade:
            _upgrade(request, upgrade, handshake)


def _once(before: bytes | None, value: bytes, code: str) -> bytes:
    if before is not None:
        raise RequestRejected(code)
    return value


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
    def get_status_code(self) -> int: ...
    def get_http_version(self) -> str: ...


class BadAnswer(Exception):  # noqa: N818 - errors are named by fault
    """An upstream's answer that is malformed, ambiguous or too large. The connection is never used again."""


class ResponseReader:
    """Collects response heads, informational ones too, and calls `on_response`, which a subclass has, for each.

    From then on the attributes describe that response: status, reason, fields (as in `Request.fields`), length,
    chunked, keep_alive, minor, upgrade (the `Upgrade` value, or b"").
    """

    __slots__ = (
        "_largest",
        "_names",
        "chunked",
        "fields",
        "keep_alive",
        "length",
        "minor",
        "parser",
        "raw",
        "reason",
        "status",
        "upgrade",
    )

    def __init__(self, names: ResponseNames, largest: int = 64 * 1024) -> None:
        self._names = names
        self._largest = largest
        self.parser: ResponseParser
        self.raw: list[tuple[bytes, bytes]] | None = None
        self.status = 0
        self.reason = b""
        self.fields: list[bytes] = []
        self.length: int | None = None
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
        version = self.parser.get_http_version()
        self.minor = 1 if version == "1.1" else 0
        if self.minor == 0 and version != "1.0":
            raise BadAnswer("only HTTP/1.0 and HTTP/1.1 answers are understood")
        self._fields(raw)
        self.on_response()

    def _fields(self, raw: list[tuple[bytes, bytes]]) -> None:
        known = self._names.known
        fields: list[bytes] = []
        self.length, self.chunked, self.upgrade = None, False, b""
        listed: frozenset[bytes] = frozenset()
        size = 0
        for name, value in raw:
            kind = known.get(name)
            if kind is None:
                kind = self._names.classify(name)
            size += len(name) + len(value) + 4
            if kind == hops.FORWARD:
                fields += (name, b": ", value, b"\r\n")
            elif kind == hops.LENGTH:
                self.length = int(value)
            elif kind == hops.ENCODING:
                self._encoding(value)
            elif kind == hops.CONNECTION:
                listed |= tokens(value)
            elif kind == hops.UPGRADE:
                self.upgrade = value.strip(b" \t").lower()
        if size > self._largest:
            raise BadAnswer("its head is too large")
        if listed:
            self.keep_alive = b"close" not in listed and (self.minor == 1 or b"keep-alive" in listed)
            nominated = listed - {b"keep-alive", b"close", b"upgrade"}
            if nominated:
                fields = hops.without(fields, nominated)
        else:
            self.keep_alive = self.minor == 1
        self.fields = fields

    def _encoding(self, value: bytes) -> None:
        if self.minor == 0 or self.chunked or value.strip(b" \t").lower() != b"chunked":
            raise BadAnswer("its transfer coding is not chunked, or is in HTTP/1.0")
        self.chunked = True
