"""Whose pages may send requests here and read the answers: the server's side of the Fetch standard's CORS protocol.

This is no access control: it tells browsers what they may show a page. A caller is authenticated all the same.
"""

import re
from collections.abc import Iterable
from typing import Final

from gateway.wire.hops import tokens
from gateway.wire.message import Request

# Every answer of such a route hangs on the request's Origin, also one to a request without: a shared cache would give
# it to all (Fetch, section "CORS protocol and HTTP caches").
VARY: Final = b"vary: origin\r\n"
VARY_PREFLIGHT: Final = b"vary: origin, access-control-request-method, access-control-request-headers\r\n"

# What the gateway says in the place of an upstream. Two Access-Control-Allow-Origin lines are none to a browser.
# Allow-Private-Network is never said: a page of the open net is not to reach into a private one through a preflight.
OURS: Final = frozenset(
    b"access-control-allow-origin access-control-allow-credentials access-control-allow-methods"
    b" access-control-allow-headers access-control-expose-headers access-control-max-age"
    b" access-control-allow-private-network".split()
)


class Origins:
    """The origins that are listed: `https://app.example.org`, or `https://*.example.org` for one label, or `*`."""

    __slots__ = ("_exact", "_wild", "anybody")

    def __init__(self, listed: Iterable[str]) -> None:
        """listed: as browsers write origins, in lower case; the settings have seen to it."""
        origins = [origin.encode("ascii") for origin in listed]
        self.anybody = b"*" in origins
        self._exact = frozenset(origin for origin in origins if b"*" not in origin)
        wild = [re.escape(origin).replace(rb"\*", rb"[a-z0-9_-]{1,63}") for origin in origins if b"://*." in origin]
        self._wild: re.Pattern[bytes] | None = re.compile(b"|".join(wild)) if wild else None

    def holds(self, origin: bytes | None) -> bool:
        """origin: as sent. A page whose origin is opaque says `null`, which is in no list."""
        if origin is None or origin == b"null":
            return False
        if self.anybody or origin in self._exact:
            return True
        return self._wild is not None and self._wild.fullmatch(origin) is not None


class Preflight:
    """What a preflight asks. origin: None where it is said more than once. headers: lower-case names."""

    __slots__ = ("headers", "method", "origin")

    def __init__(self, origin: bytes | None, method: bytes, headers: frozenset[bytes]) -> None:
        self.origin = origin
        self.method = method
        self.headers = headers


class Cors:
    """One route's answers to other origins. methods: HEAD among them where GET is. headers: lower-case names."""

    __slots__ = ("_allowed", "_answer", "_headers", "_methods", "_preflight", "origins")

    def __init__(
        self,
        origins: Origins,
        methods: tuple[str, ...],
        headers: tuple[str, ...],
        expose: tuple[str, ...],
        credentials: bool,
        max_age: int,
    ) -> None:
        """max_age: seconds. credentials: never with `*` (the settings refuse it, browsers too)."""
        self.origins = origins
        self._methods = frozenset(method.encode() for method in methods)
        self._headers = frozenset(name.lower().encode() for name in headers)
        self._allowed = b"access-control-allow-origin: %b\r\n" + (
            b"access-control-allow-credentials: true\r\n" if credentials else b""
        )
        self._answer = VARY + (b"access-control-expose-headers: " + _list(expose) if expose else b"")
        self._preflight = b"access-control-allow-methods: " + _list(methods)
        if headers:
            self._preflight += b"access-control-allow-headers: " + _list(headers)
        self._preflight += b"access-control-max-age: %d\r\n" % max_age

    def lines(self, request: Request) -> bytes:
        """Field lines for every answer to a request of this route."""
        origin = origin_of(request)
        return self._allow(origin) + self._answer if self.origins.holds(origin) else VARY

    def refusal(self, asked: Preflight) -> str:
        """Why its browser is told no, in a sentence of ours; "" if it is told yes."""
        if not self.origins.holds(asked.origin):
            return "Pages of this origin may not use this route."
        if asked.method not in self._methods:
            return "Pages of other origins may not use this method here."
        if not asked.headers <= self._headers:
            return "Pages of other origins may not send one of these headers here."
        return ""

    def permission(self, asked: Preflight) -> bytes:
        """Field lines of the answer to a preflight that is not refused."""
        return self._allow(asked.origin) + self._preflight

    def _allow(self, origin: bytes | None) -> bytes:
        return self._allowed % (b"*" if self.origins.anybody or origin is None else origin)


class CrossOrigin:
    """What a route says to other origins. cors: None for nothing. websocket: whose pages may open one; None for all."""

    __slots__ = ("cors", "websocket")

    def __init__(self, cors: Cors | None, websocket: Origins | None) -> None:
        self.cors = cors
        self.websocket = websocket

    def shuts_out(self, request: Request) -> bool:
        """Whether the page that opens this WebSocket may not (S-24). Browsers send `Origin` always, and the cookies of
        whoever looks at the page with it; what sends none is no page."""
        if self.websocket is None or not request.websocket:
            return False
        found = _values(request, b"origin")
        return bool(found) and not (len(found) == 1 and self.websocket.holds(found[0]))


def read_preflight(request: Request) -> Preflight | None:
    """None for a request that is none: OPTIONS with `Origin` and `Access-Control-Request-Method`."""
    if request.method != b"OPTIONS":
        return None
    methods = _values(request, b"access-control-request-method")
    if not methods or not _values(request, b"origin"):
        return None
    headers = frozenset[bytes]().union(*map(tokens, _values(request, b"access-control-request-headers")))
    return Preflight(origin_of(request), methods[0] if len(methods) == 1 else b"", headers)


def origin_of(request: Request) -> bytes | None:
    """None where it is not there, or there more than once."""
    found = _values(request, b"origin")
    return found[0] if len(found) == 1 else None


def _values(request: Request, name: bytes) -> list[bytes]:
    fields = request.fields
    return [fields[at + 2].strip(b" \t") for at in range(0, len(fields), 4) if fields[at].lower() == name]


def _list(words: tuple[str, ...]) -> bytes:
    return ", ".join(words).encode() + b"\r\n"
