"""What must hold between keys: names that exist, names given once. Route conflicts are found where routes are compiled.

Works on the plain data rather than on the model, so that one bad key elsewhere does not hide an unknown upstream. What
has the wrong type here is somebody else's fault and is passed over.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.settings.faults import quoted, suggestion
from gateway.settings.state_url import state_url
from gateway.settings.values import normalised

Path = tuple[str | int, ...]
Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """path: keys and positions down to the value. first: where the same was said before."""

    path: Path
    code: str
    message: str
    first: Path | None = None


def findings(data: Data) -> Iterator[Finding]:
    """Every fault between keys, in the order of the checks."""
    yield from _routes(data)
    yield from _issuers(data)
    yield from _upstream_tls(data)
    yield from _listeners(data)
    yield from _workers(data)
    yield from _state(data)
    yield from _headers(data)
    yield from _hsts(data)
    for at, route in _listed(data.get("routes")):
        yield from _header_rules(data, ("routes", at), _mapping(route))


def _mapping(value: object) -> Data:
    return value if isinstance(value, dict) else {}


def _listed(value: object) -> list[tuple[int, Any]]:
    return list(enumerate(value)) if isinstance(value, tuple) else []


def _routes(data: Data) -> Iterator[Finding]:
    upstreams = _mapping(data.get("upstreams"))
    issuers = [
        name for _, issuer in _listed(data.get("issuers")) if isinstance(name := _mapping(issuer).get("name"), str)
    ]
    for at, route in _listed(data.get("routes")):
        name = _mapping(route).get("upstream")
        if isinstance(name, str) and name not in upstreams:
            hint = suggestion(name, upstreams) or "; there are none under upstreams:"
            yield Finding(("routes", at, "upstream"), "unknown_upstream", f"no upstream is called {quoted(name)}{hint}")
        access = _mapping(_mapping(route).get("access"))
        for position, issuer in _listed(access.get("issuers")):
            if isinstance(issuer, str) and issuer not in (*issuers, "internal"):
                hint = suggestion(issuer, (*issuers, "internal"))
                path = ("routes", at, "access", "issuers", position)
                yield Finding(path, "unknown_issuer", f"no issuer is called {quoted(issuer)}{hint}")


def _issuers(data: Data) -> Iterator[Finding]:
    """A token is judged by the issuer that its `iss` names, so that must be one, and never ourselves."""
    ours = (_mapping(data.get("tokens")).get("issuer"), data.get("public_url", "http://localhost:8080"))
    for key in ("name", "issuer"):
        first: dict[str, int] = {}
        for at, issuer in _listed(data.get("issuers")):
            value = _mapping(issuer).get(key)
            if not isinstance(value, str):
                continue
            path = ("issuers", at, key)
            if value in first:
                yield Finding(path, "duplicate_name", f"{quoted(value)} is given twice", ("issuers", first[value], key))
            first.setdefault(value, at)
            if key == "issuer" and value in ours:
                yield Finding(path, "wrong_value", "this is the gateway's own issuer")


def _upstream_tls(data: Data) -> Iterator[Finding]:
    for name, upstream in _mapping(data.get("upstreams")).items():
        servers = [server for _, server in _listed(_mapping(upstream).get("endpoints"))]
        texts = [text for server in servers if isinstance(text := _mapping(server).get("url", server), str)]
        if "tls" in _mapping(upstream) and texts and all(text.startswith("http://") for text in texts):
            message = "no endpoint is https://, so this protects nothing"
            yield Finding(("upstreams", name, "tls"), "wrong_value", message)


def _listeners(data: Data) -> Iterator[Finding]:
    """Two listeners on one address fail at start, where it is late to say so."""
    clients = _mapping(data.get("listen")).get("address", "127.0.0.1:8080")
    operators = _mapping(data.get("admin")).get("address", "127.0.0.1:9901")
    if isinstance(clients, str) and clients == operators and not clients.endswith(":0"):
        path = ("admin", "address") if "address" in _mapping(data.get("admin")) else ("listen", "address")
        yield Finding(path, "wrong_value", "listen and admin have the same address")


def _workers(data: Data) -> Iterator[Finding]:
    """Limits that each of several workers keeps for itself would let through as many guesses as there are workers."""
    workers = _mapping(data.get("listen")).get("workers", 1)
    url = _mapping(data.get("state")).get("url", "memory")
    if isinstance(workers, int) and workers > 1 and url == "memory":
        message = "several workers need a shared state: write `state: { url: redis://HOST:6379 }`, or one worker"
        yield Finding(("listen", "workers"), "wrong_value", message)


def _state(data: Data) -> Iterator[Finding]:
    """Redis has no user without a password."""
    said = _mapping(data.get("state"))
    url = said.get("url")
    if isinstance(url, str) and said.get("password") is None:
        try:
            named = state_url(url).user
        except ValueError:
            return
        if named:
            message = "the url names a user; write password: { env: NAME } or { file: path } beside it"
            yield Finding(("state", "url"), "wrong_value", message)


def _headers(data: Data) -> Iterator[Finding]:
    """A look-alike of the connection string's header would pass a credential that nobody checked."""
    header = _mapping(data.get("connection_strings")).get("header", "x-mycelium-connection-string")
    for at, name in _listed(_mapping(data.get("listen")).get("allow_headers")):
        if isinstance(name, str) and isinstance(header, str) and _same(name, header):
            path = ("listen", "allow_headers", at)
            yield Finding(
                path, "wrong_value", f"{quoted(name)} is read by some servers as the connection string's header"
            )


def _hsts(data: Data) -> Iterator[Finding]:
    """RFC 6797 section 7.2: never over plain TCP. Where another proxy ends TLS, it is that one's to say."""
    listen = _mapping(data.get("listen"))
    if _mapping(listen.get("security_headers")).get("hsts", "off") != "off" and "tls" not in listen:
        path = ("listen", "security_headers", "hsts")
        yield Finding(path, "wrong_value", "only a listener with tls: may say this")


def _header_rules(data: Data, at: Path, route: Data) -> Iterator[Finding]:
    """A name has one rule, and none where another key decides."""
    for direction in ("request", "response"):
        said = _mapping(_mapping(route.get("headers")).get(direction))
        first: dict[str, Path] = {}
        for place, name in _named(said):
            path = (*at, "headers", direction, *place)
            if name in first:
                yield Finding(path, "duplicate_name", f"{quoted(name)} has two rules", first[name])
            first.setdefault(name, path)
            why = _taken(data, route, direction, name, _mapping(said.get("set")))
            if why:
                yield Finding(path, "wrong_value", f"{quoted(name)}: {why}")


def _named(said: Data) -> Iterator[tuple[Path, str]]:
    for kind in ("set", "add"):
        for name in _mapping(said.get(kind)):
            yield (kind, name), normalised(str(name))
    for at, name in _listed(said.get("remove")):
        if isinstance(name, str):
            yield ("remove", at), normalised(name)


def _taken(data: Data, route: Data, direction: str, name: str, given: Data) -> str:
    """Why there can be no rule for this name; "" if there can. given: what is set."""
    if direction == "request":
        header = _mapping(data.get("connection_strings")).get("header", "x-mycelium-connection-string")
        if isinstance(header, str) and name == header.lower():
            return "the gateway takes it off, and no upstream gets it"
        if name == "authorization" and _mapping(route.get("forward")).get("authorization") is True:
            return "forward: sends the client's on; one of the two"
        if name == "authorization" and any(
            isinstance(value, str) for key, value in given.items() if normalised(str(key)) == name
        ):
            return "a credential is never in this file; write { env: NAME } or { file: path }"
        return ""
    if name.startswith("access-control-") and "cors" in route:
        return "cors: takes the upstream's away as it is"
    hsts = _mapping(_mapping(data.get("listen")).get("security_headers")).get("hsts", "off")
    return "listen.security_headers.hsts says it" if name == "strict-transport-security" and hsts != "off" else ""


def _same(odd: str, header: str) -> bool:
    return normalised(odd) == header.lower()
