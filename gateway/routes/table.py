"""The compiled routes: finding the one for a request costs what the path's depth costs, however many routes there are.

A route with a host outranks one without. Then segment by segment from the left: literal over `{name}` over `/**`.
The best path decides alone: when it has no route for the method the answer is 405, also when a route with a worse path,
or one without a host, would have taken it. `/orders` and `/orders/` are two paths; `/orders/**` takes both.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gateway.errors import RequestRejected
from gateway.routes.model import Route
from gateway.routes.template import Template, read_template
from gateway.wire.target import Target, read_host


class NotAllowed:
    """The path has routes, but none for the method. allow: the value of the `Allow` header."""

    __slots__ = ("allow",)

    def __init__(self, allow: bytes) -> None:
        self.allow = allow

    def __repr__(self) -> str:
        return f"NotAllowed({self.allow!r})"


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two routes that claim the same requests. first, second: places in the sequences that were compared."""

    first: int
    second: int
    reason: str


class _Leaf:
    """What ends at one path: the route of each method."""

    __slots__ = ("refused", "routes")

    def __init__(self) -> None:
        self.routes: dict[bytes, Route] = {}
        self.refused = NotAllowed(b"")

    def add(self, route: Route) -> None:
        for method in route.methods:
            self.routes.setdefault(method.encode(), route)
        if "GET" in route.methods:
            self.routes[b"HEAD"] = self.routes[b"GET"]
        self.refused = NotAllowed(b", ".join(sorted(self.routes)))


class _Node:
    """One place in the tree. exact: paths that end here. rest: `/**` after this place."""

    __slots__ = ("exact", "literals", "parameter", "rest")

    def __init__(self) -> None:
        self.literals: dict[bytes, _Node] = {}
        self.parameter: _Node | None = None
        self.exact: _Leaf | None = None
        self.rest: _Leaf | None = None

    def add(self, template: Template, route: Route) -> None:
        node = self
        for segment in template.segments:
            if segment is not None:
                node = node.literals.setdefault(segment, _Node())
            else:
                node.parameter = node = node.parameter or _Node()
        if template.rest:
            node.rest = leaf = node.rest or _Leaf()
        else:
            node.exact = leaf = node.exact or _Leaf()
        leaf.add(route)


class Table:
    """Compiled once per configuration, then only read. Routes that conflict are the caller's error (`conflicts`)."""

    __slots__ = ("_anywhere", "_hosts")

    def __init__(self, routes: Iterable[Route]) -> None:
        """Raises ValueError for a path that `read_template` refuses, or a host that is not one."""
        self._anywhere = _Node()
        self._hosts: dict[bytes, _Node] = {}
        for route in routes:
            host = host_of(route)
            root = self._anywhere if host is None else self._hosts.setdefault(host, _Node())
            root.add(read_template(route.path), route)

    def match(self, method: bytes, host: bytes, target: Target) -> Route | NotAllowed | None:
        """The route for a request, NotAllowed for a path without this method, None for no path (and for `*`).

        method: upper case. host: the Host header as sent; looked at only if some route has a host.
        Raises RequestRejected("bad_host") when it is looked at and is none.
        """
        segments = target.segments
        if not segments:
            return None
        leaf = None
        if self._hosts and (root := self._hosts.get(read_host(host))):
            leaf = _find(root, segments)
        if leaf is None:
            leaf = _find(self._anywhere, segments)
        return None if leaf is None else leaf.routes.get(method, leaf.refused)


def _find(node: _Node, segments: list[bytes]) -> _Leaf | None:
    """The leaf of the best path. Greedy; only where a literal was taken beside a `{name}` can it have to look again."""
    root = node
    rest = None
    branched = False
    for segment in segments:
        if node.rest is not None:
            rest = node.rest
        literal = node.literals.get(segment)
        if literal is not None:
            branched = branched or node.parameter is not None
            node = literal
        elif node.parameter is not None and segment:
            node = node.parameter
        else:
            break
    else:
        if leaf := node.exact or node.rest:
            return leaf
    return _search(root, segments, 0) if branched else rest


def _search(node: _Node, segments: list[bytes], depth: int) -> _Leaf | None:
    """The same by trying everything, best first. Visits a place once, and only places that fit the path so far."""
    if depth == len(segments):
        return node.exact or node.rest
    leaf = None
    if (literal := node.literals.get(segments[depth])) is not None:
        leaf = _search(literal, segments, depth + 1)
    if leaf is None and node.parameter is not None and segments[depth]:
        leaf = _search(node.parameter, segments, depth + 1)
    return leaf or node.rest


def conflicts(routes: Sequence[Route]) -> list[Conflict]:
    """Every later route that has the host, the shape and a method of an earlier one. One row a pair of routes.

    Raises ValueError as `Table` does.
    """
    owners: dict[tuple[bytes | None, Template, str], int] = {}
    found: dict[tuple[int, int], list[str]] = {}
    for place, route in enumerate(routes):
        host, template = host_of(route), read_template(route.path)
        for method in _methods(route):
            owner = owners.setdefault((host, template, method), place)
            if owner != place:
                found.setdefault((owner, place), []).append(method)
    return list(_conflicts(found, routes))


def find_equal(routes: Sequence[Route], endpoints: Sequence[Route]) -> list[Conflict]:
    """Every route (first) that has the shape and a method of a reserved endpoint (second).

    Hosts do not count: an endpoint is served under every host. May raise ValueError as `Table` does.
    """
    reserved = {
        (read_template(endpoint.path), method): place
        for place, endpoint in enumerate(endpoints)
        for method in _methods(endpoint)
    }
    depths = {endpoint.path.count("/") for endpoint in endpoints}  # of another depth, no path has the shape of one
    found: dict[tuple[int, int], list[str]] = {}
    for place, route in enumerate(routes):
        if route.path.count("/") not in depths:
            continue
        template = read_template(route.path)
        for method in _methods(route):
            if (owner := reserved.get((template, method))) is not None:
                found.setdefault((place, owner), []).append(method)
    return list(_conflicts(found, routes))


def host_of(route: Route) -> bytes | None:
    """The route's host as requests are compared with it. Raises ValueError for one that no request can have."""
    if route.host is None:
        return None
    try:
        return read_host(route.host.encode())
    except RequestRejected as refused:
        raise ValueError("host is a name or an address; other than ASCII is written as A-label (xn--)") from refused


def _methods(route: Route) -> list[str]:
    """What the route answers: GET answers HEAD too."""
    return sorted(route.methods | {"HEAD"} if "GET" in route.methods else route.methods)


def _conflicts(found: dict[tuple[int, int], list[str]], routes: Sequence[Route]) -> Iterator[Conflict]:
    for (first, second), methods in found.items():
        yield Conflict(first, second, f"both answer {', '.join(methods)} {routes[first].path}")
