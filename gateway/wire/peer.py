"""Who is at the other end: the socket's address, or what trusted proxies say about the hops behind it.

Forwarding metadata counts only when the socket belongs to a trusted proxy. Both dialects are read, `Forwarded`
(RFC 7239) and `X-Forwarded-For`, `-Proto`, `-Host`. Proxies pass on the dialect that they do not write as the client
sent it, so one cannot outrank the other: where both are there, what they do not agree on is believed from neither.
`X-Real-IP` and the like are never believed.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gateway.errors import RequestRejected
from gateway.wire.target import read_host

# Hops read from the right. Longer chains are attacks on the parser; the field limit alone allows thousands.
MAX_HOPS = 32

# Addresses remembered, so that a connection costs one lookup a request and a hop behind a proxy two.
_MEMO_ADDRESSES = 4096

# An address of either dialect: bare, or with a port, IPv6 then in brackets (RFC 7239 section 6).
_NODE = re.compile(
    rb"\[([0-9A-Fa-f]*:[0-9A-Fa-f:.]{1,45})\](?::[0-9]{1,5})?|([0-9.]{7,15})(?::[0-9]{1,5})?|([0-9A-Fa-f]*:[0-9A-Fa-f:.]{1,45})"
)

# `forwarded-pair` of RFC 7239 section 4. No value of use holds a comma, semicolon or escape: one with them is garbage.
_PAIR = re.compile(rb"[ \t]*([A-Za-z]+)=(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)|\"([^\"\\,;]*)\")[ \t]*")


@dataclass(frozen=True, slots=True)
class Peer:
    """address: the client's, "" for a socket without addresses. scheme, host: what a trusted proxy says the client
    used, None if none does; host is a valid Host value. direct: the socket is the client's own and no forwarding
    header came. chain: every hop from the client to the socket, both included. trusted: the socket is a proxy's that
    is believed.
    """

    address: str
    scheme: bytes | None
    host: bytes | None
    direct: bool
    chain: tuple[str, ...]
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class _Story:
    """One dialect's account. chain: the hops before the socket that are believed, client first."""

    chain: tuple[str, ...]
    scheme: bytes | None
    host: bytes | None


class TrustedProxies:
    """The networks whose forwarding metadata is believed."""

    def __init__(self, networks: Iterable[str]) -> None:
        """networks: `10.0.0.0/8`, `::1`. Raises ValueError for one that is not a network."""
        parsed = [ipaddress.ip_network(network) for network in networks]
        self._networks = tuple((net.version == 6, int(net.netmask), int(net.network_address)) for net in parsed)
        self._strangers: dict[str, tuple[Peer, Peer]] = {}
        self._trusts = lru_cache(_MEMO_ADDRESSES)(self._is_trusted)

    def resolve(self, socket_ip: str, forwarding: Sequence[tuple[bytes, bytes]]) -> Peer:
        """The client behind a request. forwarding: (lower-case name, value) of every forwarding header, in order.

        From a trusted proxy the hops are read from right to left up to the first that is not trusted, which is the
        client; what cannot be read ends the walk at the hop before it. Peers that are not trusted get the same object
        each time, so callers may keep what they make of it.
        """
        known = self._strangers.get(socket_ip)
        if known is None:
            address = normal_address(socket_ip)
            if self._trusts(address):
                return self._behind_proxy(address, forwarding)
            known = self._remember(socket_ip, address)
        return known[1] if forwarding else known[0]

    def believes(self, socket_ip: str) -> bool:
        """Whether the socket's other end is in one of the networks."""
        return self._trusts(normal_address(socket_ip))

    def _remember(self, socket_ip: str, address: str) -> tuple[Peer, Peer]:
        if len(self._strangers) >= _MEMO_ADDRESSES:
            self._strangers.clear()
        pair = Peer(address, None, None, True, (address,)), Peer(address, None, None, False, (address,))
        self._strangers[socket_ip] = pair
        return pair

    def _behind_proxy(self, address: str, forwarding: Sequence[tuple[bytes, bytes]]) -> Peer:
        story = _agreed(self._x_forwarded(forwarding), self._forwarded(forwarding))
        chain = (*story.chain, address)
        return Peer(chain[0], story.scheme, story.host, not forwarding, chain, trusted=True)

    def _x_forwarded(self, forwarding: Sequence[tuple[bytes, bytes]]) -> _Story | None:
        hops = _listed(forwarding, b"x-forwarded-for")
        schemes = _listed(forwarding, b"x-forwarded-proto")
        hosts = _listed(forwarding, b"x-forwarded-host")
        if not (hops or schemes or hosts):
            return None
        chain = self._walk([_node(hop) for hop in hops])
        return _Story(chain, _scheme(_said_at(chain, hops, schemes)), _host(_said_at(chain, hops, hosts)))

    def _forwarded(self, forwarding: Sequence[tuple[bytes, bytes]]) -> _Story | None:
        elements = [_pairs(element) for element in _listed(forwarding, b"forwarded")]
        if not elements:
            return None
        chain = self._walk([_node(element.get(b"for", b"")) for element in elements])
        client = elements[-max(len(chain), 1)]
        return _Story(chain, _scheme(client.get(b"proto")), _host(client.get(b"host")))

    def _walk(self, hops: Sequence[str | None]) -> tuple[str, ...]:
        chain: list[str] = []
        for hop in reversed(hops):
            if hop is None:
                break
            chain.append(hop)
            if not self._trusts(hop):
                break
        return tuple(reversed(chain))

    def _is_trusted(self, address: str) -> bool:
        if not self._networks or not address:
            return False
        six = ":" in address
        number = int.from_bytes(socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, address))
        return any(six is of_six and number & mask == network for of_six, mask, network in self._networks)


@lru_cache(_MEMO_ADDRESSES)
def normal_address(text: str) -> str:
    """An address of a socket in its one spelling: IPv4-mapped IPv6 as IPv4, without zone; "" if it has none."""
    try:
        if ":" not in text and "%" not in text:
            socket.inet_pton(socket.AF_INET, text)  # one spelling is all it takes; `ipaddress` takes ten times as long
            return text
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except (OSError, ValueError):
        return ""
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def forwarded_prefix(peer: Peer, scheme: bytes) -> bytes:
    """The part of our forwarding lines that stays the same while peer and scheme do; `forwarded_rest` completes it.

    scheme: of this connection. From a stranger only what we saw ourselves; from a trusted proxy the believed chain,
    client first, with the proxy itself added at the end as RFC 7239 section 4 and `X-Forwarded-For` have it.
    """
    origin = peer.scheme or scheme
    elements = [b"for=" + _quoted(address) for address in peer.chain]
    elements[0] += b";proto=" + origin
    if len(elements) > 1:
        elements[0] += b';host="%b"' % peer.host if peer.host else b""
        elements[-1] += b";proto=" + scheme
    hops = ", ".join(address or "unknown" for address in peer.chain).encode("ascii")
    return b'X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nForwarded: %b;host="' % (
        hops,
        origin,
        b", ".join(elements),
    )


def forwarded_rest(peer: Peer, host: bytes) -> bytes:
    """What follows `forwarded_prefix`. host: the Host header, one that `read_host` takes, as it goes into quotes."""
    origin = peer.host or host
    return (host if len(peer.chain) > 1 else origin) + b'"\r\nX-Forwarded-Host: ' + origin + b"\r\n"


def forwarded_fields(peer: Peer, host: bytes, scheme: bytes) -> bytes:
    """`X-Forwarded-For`, `-Proto`, `-Host` and `Forwarded` for the upstream, whole lines with their CRLF."""
    return forwarded_prefix(peer, scheme) + forwarded_rest(peer, host)


def _agreed(one: _Story | None, other: _Story | None) -> _Story:
    if one is None or other is None:
        return one or other or _Story((), None, None)
    if one.chain != other.chain:
        return _Story((), None, None)
    scheme = one.scheme if one.scheme == other.scheme else None
    return _Story(one.chain, scheme, one.host if one.host == other.host else None)


def _listed(forwarding: Sequence[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """The last items of a list header, over all its lines. A comma in a quoted string only makes garbage of both."""
    joined = b",".join([value for key, value in forwarding if key == name])
    return [item.strip(b" \t") for item in joined.rsplit(b",", MAX_HOPS)[-MAX_HOPS:]] if joined else []


def _said_at(chain: Sequence[str], hops: Sequence[bytes], values: Sequence[bytes]) -> bytes | None:
    """What was said about the client. Lists of one length grew together, so places match; else the nearest proxy's."""
    if not values:
        return None
    return values[-max(len(chain), 1)] if len(values) == len(hops) else values[-1]


def _node(text: bytes) -> str | None:
    if (match := _NODE.fullmatch(text)) is None:
        return None
    bracketed, dotted, bare = match.groups()
    return normal_address((bracketed or dotted or bare).decode("ascii")) or None


def _pairs(element: bytes) -> dict[bytes, bytes]:
    """One `forwarded-element`; empty when it is garbage, or says one thing twice."""
    pairs: dict[bytes, bytes] = {}
    for text in element.split(b";"):
        match = _PAIR.fullmatch(text)
        if match is None or match[1].lower() in pairs:
            return {}
        pairs[match[1].lower()] = match[3] if match[2] is None else match[2]
    return pairs


def _scheme(text: bytes | None) -> bytes | None:
    lower = text.lower() if text else None
    return lower if lower in (b"http", b"https") else None


def _host(text: bytes | None) -> bytes | None:
    if not text:
        return None
    try:
        read_host(text)
    except RequestRejected:
        return None
    return text


def _quoted(address: str) -> bytes:
    """A node of RFC 7239 section 6: IPv6 is quoted and in brackets."""
    return (f'"[{address}]"' if ":" in address else address or "unknown").encode("ascii")
