"""The request that a data plane holds and asks about, read from what it says of it. Who may ask is seen to in `edge`.

It is read by the very functions that read a request at the edge, so what is refused there is refused here. Each data
plane says it in its own way (`Contract`), and no other way is looked at: a header that a data plane does not write
itself is one that its client may have written.
"""

import re
from dataclasses import dataclass
from typing import Final

from gateway.errors import RequestRejected
from gateway.wire.message import Request
from gateway.wire.reader import REFUSED_METHODS
from gateway.wire.target import read_host, read_target

_METHOD = re.compile(rb"[A-Z][A-Z-]{0,31}").fullmatch
_SCHEMES: Final = frozenset((b"http", b"https", b"ws", b"wss"))  # Traefik calls an upgrade's ws


@dataclass(frozen=True, slots=True)
class Contract:
    """Lower-case names of the headers that say it. target None: the method and host are the asking request's own, and
    the target is what follows the path that it asks at. host None: the Host header.

    blind: it asks with the client's headers, and cannot take out by their beginning those that it does not know.
    """

    name: str
    target: bytes | None = None
    method: bytes = b""
    host: bytes | None = None
    scheme: bytes | None = None
    blind: bool = False


_X_ORIGINAL: Final = (b"x-original-uri", b"x-original-method")
_X_FORWARDED: Final = (b"x-forwarded-uri", b"x-forwarded-method", b"x-forwarded-host", b"x-forwarded-proto")
CONTRACTS: Final = (
    Contract("nginx", *_X_ORIGINAL, blind=True),
    Contract("haproxy", *_X_ORIGINAL),
    Contract("traefik", *_X_FORWARDED),
    Contract("caddy", *_X_FORWARDED),
    Contract("envoy"),
)


def read_original(asking: Request, contract: Contract, prefix: int) -> Request:
    """The request that is asked about: without fields, as it is not forwarded from here, and framed as the asking one.

    prefix: length of the path that is asked at. Raises RequestRejected: `bad_original` for what is not said exactly
    once, else as the edge does.
    """
    if asking.length or asking.chunked:
        raise RequestRejected("bad_original", "Ask without the body: nothing is decided by it.")
    if contract.blind and asking.reserved:
        raise RequestRejected("bad_header_name", "A reserved name that is not the client's to send would go on.")
    request = Request()
    request.minor, request.keep_alive, request.websocket = asking.minor, asking.keep_alive, asking.websocket
    request.authorization, request.connection_string = asking.authorization, asking.connection_string
    request.fields = []
    if contract.target is None:
        request.method, request.host = asking.method, asking.host
        raw = asking.target.raw[prefix:]
        if raw[:1] != b"/":
            raise RequestRejected("bad_original", "The path that is asked about follows the endpoint's own.")
    else:
        raw = _said(asking, contract.target)
        request.method = _said(asking, contract.method)
        request.host = asking.host if contract.host is None else _said(asking, contract.host)
        _check(asking, contract, request)
    request.target, authority = read_target(raw, request.method)
    if authority is not None and authority.lower() != request.host.lower():
        raise RequestRejected("authority_mismatch")
    return request


def _check(asking: Request, contract: Contract, request: Request) -> None:
    if not _METHOD(request.method):
        raise RequestRejected("bad_original", "The method that is asked about is none.")
    if request.method in REFUSED_METHODS:
        raise RequestRejected("method_refused", "CONNECT and TRACE are never forwarded.")
    read_host(request.host)
    if contract.scheme is not None and _said(asking, contract.scheme) not in _SCHEMES:
        raise RequestRejected("bad_original", "The scheme that is asked about is none.")


def _said(asking: Request, name: bytes) -> bytes:
    """Exactly once: of two values, one is the data plane's and the other its client's, and nobody knows which."""
    found = [value for key, value in asking.forwarding if key == name]
    if len(found) != 1:
        raise RequestRejected("bad_original", f"Send exactly one {name.decode('ascii')}.")
    return found[0]
