"""One parsed request, as the stages after the parser see it. Written once by the reader, then only read."""

from typing import Final

from gateway.wire.target import Target


class Request:
    """A plain slotted class: it is made once per request on the measured path.

    method: upper case, as sent. target: the only form in which the path is known to later stages. host: the Host
    header as sent. minor: 0 or 1, of HTTP/1.x. fields: what may go on to an upstream, four pieces a field: name,
    b": ", value, b"\\r\\n", in the order of arrival; reserved namespaces, credentials, framing and hop-by-hop fields
    are never in it. length: the Content-Length, None when there is none. chunked: whether the body is chunked.
    connection_string, authorization, tenant_id, request_id: raw values of these headers, or None. listed: lower-case
    names in `Connection`. forwarding: (lower-case name, value) of the forwarding metadata, believed only from trusted
    peers. websocket: whether a WebSocket upgrade is asked for. expects_continue: `Expect: 100-continue`.
    keep_alive: whether the client wants the connection kept. reserved: whether a name in a reserved namespace was there
    and dropped. traceparent, tracestate: raw values, or None; traceparent is b"" where there were several, tracestate
    is all of them joined.
    size: bytes of the head, where it may be over a limit; 0 where it is below all of them.
    """

    __slots__ = (
        "authorization",
        "chunked",
        "connection_string",
        "expects_continue",
        "fields",
        "forwarding",
        "host",
        "keep_alive",
        "length",
        "listed",
        "method",
        "minor",
        "request_id",
        "reserved",
        "size",
        "target",
        "tenant_id",
        "traceparent",
        "tracestate",
        "websocket",
    )

    method: bytes
    target: Target
    fields: list[bytes]

    def __init__(self) -> None:
        """As the simplest request has it; the reader fills in the rest. method, target and fields have no default."""
        self.host = b""
        self.minor = 1
        self.size = 0
        self.keep_alive = True
        self.length: int | None = None
        self.connection_string: bytes | None = None
        self.authorization: bytes | None = None
        self.tenant_id: bytes | None = None
        self.traceparent: bytes | None = None
        self.tracestate: bytes | None = None
        self.request_id: bytes | None = None
        self.chunked = self.websocket = self.expects_continue = self.reserved = False
        self.listed: frozenset[bytes] = NONE
        self.forwarding: tuple[tuple[bytes, bytes], ...] = ()

    def value(self, name: bytes) -> bytes:
        """Of the one field with that lower-case name, without the blanks around it (RFC 9110 section 5.5); lines that
        are empty do not count. b"" where there is none, and where there are several: which of them an upstream goes by
        is unknown here."""
        fields, found = self.fields, b""
        for at in range(0, len(fields), 4):
            if len(fields[at]) == len(name) and fields[at].lower() == name:
                value = fields[at + 2].strip(b" \t")
                if value and found:
                    return b""
                found = value or found
        return found


NONE: Final[frozenset[bytes]] = frozenset()
