"""What each header name means to a proxy: the tables of names, and the classifier that the readers use.

The strict row is the absent one: a name is forwarded only if it is made of letters, digits and hyphens, is outside of
the reserved namespaces, and is in none of the tables.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from gateway.wire import spellings

FORWARD: Final = 0
DROP: Final = 1
REFUSE: Final = 2
HOST: Final = 3
AUTHORIZATION: Final = 4
CONNECTION_STRING: Final = 5
TENANT: Final = 6
REQUEST_ID: Final = 7
CONNECTION: Final = 8
UPGRADE: Final = 9
EXPECT: Final = 10
LENGTH: Final = 11
ENCODING: Final = 12
FORWARDING: Final = 13
WEBSOCKET: Final = 14
RESERVED: Final = 15  # dropped as well; that it was there is told to who could not take it out
TRACEPARENT: Final = 16
TRACESTATE: Final = 17

NAMESPACES: Final = (b"x-mycelium-", b"x-gateway-")

HOP_BY_HOP: Final = frozenset(
    # RFC 9110 section 7.6.1, and the older names that servers still act on
    b"keep-alive proxy-connection te trailer proxy-authenticate proxy-authorization http2-settings".split()
)
METADATA: Final = frozenset(
    # who the client is and where it wanted to go: written by the gateway, read only from trusted peers
    b"forwarded x-forwarded-for x-forwarded-proto x-forwarded-host".split()
)
ORIGINALS: Final = frozenset(
    # which request a data plane asks about: read at the decision endpoint, from its peers, and nowhere else
    b"x-forwarded-method x-forwarded-uri x-original-method x-original-uri".split()
)
RELAYED: Final = frozenset(
    # what only a relay writes and an upstream may believe: goes on to none
    b"x-forwarded-port x-forwarded-prefix x-forwarded-server x-forwarded-by x-forwarded-scheme x-forwarded-ssl"
    b" x-real-ip x-client-ip x-cluster-client-ip true-client-ip x-original-url x-original-host x-rewrite-url"
    b" front-end-https".split()
)
# What relays of all kinds leave on a request: a caller who comes with one is not taken for one on this machine. Wide on
# purpose, as a name too many only makes somebody use the token that others need.
_RELAYS: Final = (
    *(b"via", b"forwarded", b"cdn-loop", b"max-forwards", b"early-data", b"client-ip", b"surrogate-capability"),
    *(b"x-forward", b"x-orig", b"x-real", b"x-client", b"x-remote", b"x-cluster", b"x-proxy", b"x-rewrite", b"x-via"),
    *(b"x-host", b"x-scheme", b"x-url", b"x-ssl", b"x-https", b"x-request-start", b"x-queue-start", b"x-lb-"),
    *(b"x-envoy", b"x-amz", b"x-azure", b"x-arr-", b"x-waws", b"x-appengine", b"x-cloud-trace", b"x-google"),
    *(b"x-akamai", b"x-varnish", b"x-nginx", b"x-traefik", b"x-haproxy", b"x-vercel", b"x-nf-", b"x-cdn", b"x-ip"),
    *(b"x-sucuri", b"x-bluecoat", b"x-coming-from", b"x-geo", b"x-country"),
    *(b"cf-", b"fastly-", b"fly-", b"akamai-", b"cloudfront-", b"cdn-", b"incap-", b"do-connecting", b"true-client"),
    *(b"proxy-", b"wl-proxy", b"front-end", b"ssl-", b"http-"),
)

REWRITES: Final = RELAYED | frozenset(
    # an upstream that believes one of these sees another request than the rule saw
    b"x-http-method x-http-method-override x-method-override"
    b" proxy".split()  # CGI makes HTTP_PROXY of it, which clients in the upstream obey (httpoxy)
)
OWN_TOKENS: Final = frozenset((b"close", b"keep-alive", b"upgrade"))  # in `Connection`: they name no header to drop
SPECIAL: Final = {
    b"host": HOST,
    b"authorization": AUTHORIZATION,
    b"connection": CONNECTION,
    b"upgrade": UPGRADE,
    b"expect": EXPECT,
    b"content-length": LENGTH,
    b"transfer-encoding": ENCODING,
    b"x-mycelium-tenant-id": TENANT,
    b"x-mycelium-request-id": REQUEST_ID,
    # the trace goes on under the gateway's own span, in a field that it writes
    b"traceparent": TRACEPARENT,
    b"tracestate": TRACESTATE,
    # a handshake goes to the upstream only together with the upgrade it belongs to
    b"sec-websocket-key": WEBSOCKET,
    b"sec-websocket-version": WEBSOCKET,
}
_PLAIN = re.compile(rb"[A-Za-z0-9-]+\Z").match
_NOT_ALNUM = re.compile(rb"[^a-z0-9]")
_REMEMBERED: Final = 2048  # spellings, the usual ones among them
_LONGEST: Final = 64  # bytes of a spelling that is remembered: else a field's limit times the above is anybody's to pin


def fold(name: bytes) -> bytes:
    """The name as the most forgiving upstream reads it: CGI and WSGI fold case and every other character."""
    return _NOT_ALNUM.sub(b"-", name.lower())


def is_relays(name: bytes) -> bool:
    """Whether a relay writes a field of that name: where the caller has to be at this machine itself."""
    return fold(name).startswith(_RELAYS)


class _Names(ABC):
    """Classifies header names; remembers each spelling, so that the warm cost is one dictionary lookup.

    All connections share what is remembered. Whoever invents names fills it, and it is then forgotten but for the
    usual spellings: what others send costs no more afterwards, or is learned again once.
    """

    def __init__(self, usual: dict[bytes, int]) -> None:
        """usual: shared, and so never written to."""
        self._usual = self.known = usual

    def classify(self, name: bytes) -> int:
        kind = self._kind(name)
        if len(name) <= _LONGEST:
            if self.known is self._usual or len(self.known) >= _REMEMBERED:
                self.known = dict(self._usual)
            self.known[name] = kind
        return kind

    @abstractmethod
    def _kind(self, name: bytes) -> int: ...


class RequestNames(_Names):
    """Of requests."""

    def __init__(self, connection_string: bytes, allowed: Iterable[bytes] = ()) -> None:
        """connection_string: lower-case name of its header. allowed: names outside of letters, digits and hyphens."""
        self._connection_string = connection_string
        self._allowed = frozenset(name.lower() for name in allowed)
        super().__init__(_usual_requests(connection_string, self._allowed))

    def _kind(self, name: bytes) -> int:
        return _request_kind(name, self._connection_string, self._allowed)


class ResponseNames(_Names):
    """Of answers. `reserved`: whether the upstream may speak in the reserved namespace."""

    def __init__(self, reserved: bool = False) -> None:
        self._reserved = reserved
        super().__init__(_usual_responses(reserved))

    def _kind(self, name: bytes) -> int:
        return _response_kind(name.lower(), self._reserved)


@lru_cache(maxsize=8)
def _usual_requests(connection_string: bytes, allowed: frozenset[bytes]) -> dict[bytes, int]:
    names = (*spellings.REQUEST, *spellings.spelled(b" ".join((connection_string, *allowed))))
    return {name: _request_kind(name, connection_string, allowed) for name in names}


@lru_cache(maxsize=2)
def _usual_responses(reserved: bool) -> dict[bytes, int]:
    return {name: _response_kind(name.lower(), reserved) for name in spellings.RESPONSE}


def _request_kind(name: bytes, connection_string: bytes, allowed: frozenset[bytes]) -> int:
    lower = name.lower()
    if lower == connection_string:
        return CONNECTION_STRING
    if lower in SPECIAL:
        return SPECIAL[lower]
    if not _PLAIN(name) and lower not in allowed:
        return REFUSE
    folded = fold(lower)
    if folded.startswith(NAMESPACES):
        return RESERVED
    if folded == fold(connection_string):
        return DROP
    if folded in METADATA or folded in ORIGINALS or folded in RELAYED:
        return FORWARDING if lower == folded else DROP
    if folded in SPECIAL or folded in HOP_BY_HOP or folded in REWRITES:
        return DROP
    return FORWARD


def _response_kind(lower: bytes, reserved: bool) -> int:
    if lower in (b"connection", b"upgrade", b"content-length", b"transfer-encoding"):
        return SPECIAL[lower]
    if lower in HOP_BY_HOP:
        return DROP
    if not reserved and fold(lower).startswith(NAMESPACES):
        return DROP
    return FORWARD


def tokens(value: bytes) -> frozenset[bytes]:
    """The lower-case members of a comma-separated list such as `Connection` (RFC 9110 section 5.6.1)."""
    return _remembered(value) if len(value) <= _LONGEST else _members(value)


@lru_cache(maxsize=256)
def _remembered(value: bytes) -> frozenset[bytes]:
    return _members(value)


def _members(value: bytes) -> frozenset[bytes]:
    return frozenset(part.strip(b" \t").lower() for part in value.split(b",")) - {b""}


def without(fields: list[bytes], names: frozenset[bytes]) -> list[bytes]:
    """The field pieces (four a field, the name first) less those whose lower-case name is listed."""
    kept: list[bytes] = []
    for at in range(0, len(fields), 4):
        if fields[at].lower() not in names:
            kept += fields[at : at + 4]
    return kept
