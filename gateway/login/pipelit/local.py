"""Whether a call is the machine's own operator's: from this very machine, and meant for it."""

import ipaddress
from urllib.parse import urlsplit

from gateway.login.dialect import Call
from gateway.wire.hops import is_relays


def is_local(call: Call, public_url: str) -> bool:
    """Whether it comes from this very machine, and through no proxy.

    A page that a browser of this machine shows is not the operator: one of another site names itself in Origin, also
    where its name was made to lead here (DNS rebinding).
    """
    if not _is_loopback(_host(f"//{call.headers.get('host', '')}")):  # a foreign Host was meant for a relay
        return False
    origin = call.headers.get("origin")
    if origin is not None and origin != _origin_of(public_url) and not _is_loopback(_host(origin)):
        return False
    if any(is_relays(name.encode("latin-1", "replace")) for name in call.headers):
        return False  # the edge has looked as well, and at more: what `Connection` took out is seen there alone
    return _is_loopback(call.origin.address) and call.origin.direct


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if address.version == 6 else None
    return (mapped or address).is_loopback  # Python 3.11 takes ::ffff:127.0.0.1 for none


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
