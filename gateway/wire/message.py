"""One parsed request, as the stages after the parser see it. Written once by the reader, then only read."""

from gateway.wire.target import Target


class Request:
    """Made once per request on the measured path: what is seldom there has its default in the class, not in a slot
    (a request with two headers costs a third less to make).

    method: upper case, as sent. target: the only form in which the path is known to later stages. host: the Host
    header as sent. minor: 0 or 1, of HTTP/1.x. fields: what may go on to an upstream, four pieces a field: name,
    b": ", value, b"\\r\\n", in the order of arrival; reserved namespaces, credentials, framing and hop-by-hop fields
    are never in it. length: the Content-Length, None when there is none. chunked: whether the body is chunked.
    connection_string, authorization, tenant_id, request_id: raw values of these headers, or None. listed: lower-case
    names in `Connection`. forwarding: (lower-case name, value) of the forwarding metadata, believed only from trusted
    peers. websocket: whether a WebSocket upgrade is asked for. expects_continue: `Expect: 100-continue`.
    keep_alive: whether the client wants the connection kept.
    """

    method: bytes
    target: Target
    fields: list[bytes]
    host: bytes = b""
    minor: int = 1
    keep_alive: bool = True
    length: int | None = None
    chunked: bool = False
    connection_string: bytes | None = None
    authorization: bytes | None = None
    tenant_id: bytes | None = None
    request_id: bytes | None = None
    listed: frozenset[bytes] = frozenset()
    forwarding: tuple[tuple[bytes, bytes], ...] = ()
    websocket: bool = False
    expects_continue: bool = False
