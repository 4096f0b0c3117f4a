"""The head of the upstream's request: the client's fields less what is reserved, then ours, then the aim.

The reader has kept reserved, hop-by-hop and credential fields out of `request.fields` already. What `Connection` lists
goes first, then the route's rules are applied, and identity is put in last: neither a client nor a rule can have the
gateway's own fields removed (S-7).
"""

from dataclasses import dataclass
from typing import Final

from gateway.access.authorize import Permit
from gateway.wire.hops import HOP_BY_HOP, OWN_TOKENS, is_relays, without
from gateway.wire.message import Request
from gateway.wire.peer import Peer

# Of what goes on to our own application, which refuses a request that repeats one of them, in other words than ours.
_SINGLE = (b"content-type", b"user-agent", b"max-forwards", b"etag", b"server", b"content-range", b"content-location")
_OF_CONNECTIONS: Final = OWN_TOKENS | HOP_BY_HOP
_CHUNKED: Final = b"transfer-encoding: chunked\r\n"
_UPGRADE: Final = b"connection: upgrade\r\nupgrade: websocket\r\n"


@dataclass(frozen=True, slots=True)
class Aim:
    """One endpoint of an upstream. host: for its `Host`, with the port. path: put before every target; b"" for none."""

    host: bytes
    path: bytes = b""


def prepare(
    request: Request, permit: Permit, injected: bytes, aim: Aim, forwarded: bytes, request_id: bytes, trace: bytes
) -> bytes:
    """The request head for a proxied upstream. injected, forwarded, trace: whole field lines; request_id: a UUID."""
    route = permit.route
    fields = request.fields
    if request.listed and (listed := request.listed - OWN_TOKENS):
        fields = without(fields, listed)
    # beside a connection string nobody has verified it
    if route.forward_authorization and request.authorization is not None and request.connection_string is None:
        fields = [*fields, b"authorization", b": ", request.authorization, b"\r\n"]
    if route.request_rules is not None:
        fields = route.request_rules.apply(fields)
    return b"".join(
        [
            request.method,
            b" ",
            aim.path,
            request.target.raw if route.strip_prefix is None else _stripped(request, route.strip_prefix),
            b" HTTP/1.1\r\nhost: ",
            request.host if route.preserve_host else aim.host,
            b"\r\n",
            *fields,
            _framing(request),
            forwarded,
            b"x-mycelium-request-id: ",
            request_id,
            b"\r\n",
            trace,
            injected,
            b"\r\n",
        ]
    )


def prepare_builtin(
    request: Request, sender: bytes, connection_string: bytes, request_id: bytes, trace: bytes
) -> bytes:
    """The request head for our own application: credentials go in unchanged, the identity headers do not.

    sender: from `sender_fields`. connection_string: the name of its header. trace: whole field lines.
    """
    fields = request.fields
    if request.listed and (listed := request.listed - OWN_TOKENS):
        fields = without(fields, listed)
    fields = without(fields, _repeated(fields))
    lines = [request.method, b" ", request.target.raw, b" HTTP/1.1\r\nhost: ", request.host, b"\r\n", *fields]
    for name, value in (
        (b"authorization", request.authorization),
        (connection_string, request.connection_string),
        (b"x-mycelium-tenant-id", request.tenant_id),
        (b"x-gateway-request-id", request_id),
    ):
        if value is not None:
            lines += (name, b": ", value, b"\r\n")
    return b"".join((*lines, _framing(request), sender, trace, b"\r\n"))


def _repeated(fields: list[bytes]) -> frozenset[bytes]:
    """Fields that stand more than once though they have one value (RFC 9110 section 5.3): neither is believed."""
    names = [name.lower() for name in fields[::4]]
    return frozenset(name for name in _SINGLE if names.count(name) > 1)


def sender_fields(request: Request, peer: Peer, scheme: bytes) -> bytes:
    """The x-gateway-* lines that tell our own application who is at the other end: it sees a socket pair only."""
    direct = peer.direct and not _relayed(request)
    return b"x-gateway-peer: %b\r\nx-gateway-direct: %d\r\nx-gateway-scheme: %b\r\nx-gateway-host: %b\r\n" % (
        peer.address.encode("ascii"),
        direct,
        peer.scheme or scheme,
        peer.host or request.host,
    )


def _relayed(request: Request) -> bool:
    """Judged by all that arrived. `Connection` takes fields out before our application could look at them, and who
    names more there than connections have of their own hides something: a relay's mark, or an `Origin`."""
    return not request.listed <= _OF_CONNECTIONS or any(map(is_relays, request.fields[::4]))


def _framing(request: Request) -> bytes:
    if request.length is not None:
        return b"content-length: %d\r\n" % request.length
    if request.chunked:
        return _CHUNKED
    return _UPGRADE if request.websocket else b""


def _stripped(request: Request, prefix: str) -> bytes:
    """The target without the prefix, which the route has matched on whole segments; never empty."""
    rest = request.target.raw[len(prefix) :]
    return rest if rest.startswith(b"/") else b"/" + rest
