"""Matching: each rule as rows of a table, and the compiled tree against a slow and obvious reading of the rules."""

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import RequestRejected
from gateway.routes.model import Access, AccessKind, Route
from gateway.routes.table import Conflict, NotAllowed, Table, conflicts, find_equal
from gateway.wire.target import read_target

Line = tuple[str, str] | tuple[str, str, str]  # methods, path, host


def route(methods: str, path: str, host: str | None = None) -> Route:
    return Route(path, frozenset(methods.split()), "upstream", Access(AccessKind.PUBLIC), host=host)


def ask(routes: Sequence[Route], line: str, host: bytes = b"example.org") -> int | str | None:
    """The place of the route for `METHOD TARGET`, the Allow value, or None."""
    method, raw = line.encode().split(b" ")
    found = Table(routes).match(method, host, read_target(raw, method)[0])
    return found.allow.decode() if isinstance(found, NotAllowed) else None if found is None else routes.index(found)


def matched(lines: Sequence[Line], request: str, host: bytes = b"example.org") -> int | str | None:
    return ask([route(*line) for line in lines], request, host)


@pytest.mark.parametrize(
    ("path", "target", "taken"),
    [
        ("/", "/", True),
        ("/", "/a", False),
        ("/orders", "/orders", True),
        ("/orders", "/orders/", False),
        ("/orders/", "/orders/", True),
        ("/orders/", "/orders", False),
        ("/orders", "/Orders", False),
        ("/Orders", "/Orders", True),
        ("/orders", "/orders-old", False),
        ("/orders", "/order", False),
        ("/orders", "/orders/1", False),
        ("/orders", "/orders?a=/b", True),
        ("/orders", "/orders;v=1", False),
        ("/orders;v=1", "/orders;v=1", True),
        ("/admin", "/%61dmin", False),
        ("/a%2Fb", "/a%2Fb", True),
        ("/a%2Fb", "/a%2fb", False),
        ("/a/b", "/a%2Fb", False),
        ("/orders/**", "/orders", True),
        ("/orders/**", "/orders/", True),
        ("/orders/**", "/orders/1", True),
        ("/orders/**", "/orders/1/items/", True),
        ("/orders/**", "/orders-old", False),
        ("/orders/**", "/orders-old/1", False),
        ("/orders/**", "/ORDERS/1", False),
        ("/orders/**", "/", False),
        ("/orders/**", "/x?/orders/1", False),
        ("/api/**", "/api-admin", False),
        ("/**", "/", True),
        ("/**", "/a/b/c", True),
        ("/orders/{id}", "/orders/1", True),
        ("/orders/{id}", "/orders", False),
        ("/orders/{id}", "/orders/", False),
        ("/orders/{id}", "/orders/1/", False),
        ("/orders/{id}", "/orders/1/2", False),
        ("/orders/{id}", "/orders/a%20b", True),
        ("/orders/{id}/", "/orders/1/", True),
        ("/{a}/{b}", "/a/b", True),
        ("/{a}", "/", False),
        ("/orders/{id}/**", "/orders/1", True),
        ("/orders/{id}/**", "/orders/1/a/b", True),
        ("/orders/{id}/**", "/orders", False),
        ("/orders/{id}/**", "/orders/", False),
    ],
)
def test_a_path_takes_what_it_says(path: str, target: str, taken: bool) -> None:
    """Literals, {name} for one segment that is not empty, /** for the rest; bytes as sent, and never the query."""
    assert matched([("GET", path)], f"GET {target}") == (0 if taken else None)


@pytest.mark.parametrize(
    ("lines", "target", "best"),
    [
        ([("GET", "/a/{x}/c"), ("GET", "/a/b/{y}")], "/a/b/c", 1),
        ([("GET", "/a/{x}/c"), ("GET", "/a/b/{y}")], "/a/z/c", 0),
        ([("GET", "/a/{x}/c"), ("GET", "/a/b/d")], "/a/b/c", 0),
        ([("GET", "/{x}"), ("GET", "/**"), ("GET", "/a")], "/a", 2),
        ([("GET", "/{x}"), ("GET", "/**"), ("GET", "/a")], "/b", 0),
        ([("GET", "/{x}"), ("GET", "/**"), ("GET", "/a")], "/a/b", 1),
        ([("GET", "/{x}"), ("GET", "/**"), ("GET", "/a")], "/", 1),
        ([("GET", "/a/**"), ("GET", "/{x}/b/c")], "/a/b/c", 0),
        ([("GET", "/a/**"), ("GET", "/{x}/b/c")], "/z/b/c", 1),
        ([("GET", "/a/**"), ("GET", "/**")], "/a/b", 0),
        ([("GET", "/a/**"), ("GET", "/a/b/**")], "/a/b", 1),
        ([("GET", "/a/**"), ("GET", "/a/b/**")], "/a/c/b", 0),
        ([("GET", "/a/**"), ("GET", "/a")], "/a", 1),
        ([("GET", "/a/**"), ("GET", "/a/")], "/a/", 1),
        ([("GET", "/a/{x}"), ("GET", "/a/**")], "/a/b", 0),
        ([("GET", "/a/{x}"), ("GET", "/a/**")], "/a/", 1),
        ([("GET", "/a/{x}"), ("GET", "/a/**")], "/a", 1),
        ([("GET", "/{x}/**"), ("GET", "/a/b")], "/a/c", 0),
        ([("GET", "/{x}/**"), ("GET", "/a/b")], "/a", 0),
        ([("GET", "/{x}/{y}/d"), ("GET", "/a/{y}/c"), ("GET", "/a/b/b")], "/a/b/c", 1),
        ([("GET", "/{x}/{y}/d"), ("GET", "/a/{y}/c"), ("GET", "/a/b/b")], "/a/b/d", 0),
        ([("GET", "/{x}/{y}/d"), ("GET", "/a/{y}/c"), ("GET", "/a/b/b")], "/a/b/e", None),
    ],
)
def test_the_best_path_wins(lines: list[Line], target: str, best: int | None) -> None:
    """From the left: literal over {name} over /**, however the routes are ordered."""
    assert matched(lines, f"GET {target}") == best
    mirrored = matched(lines[::-1], f"GET {target}")
    assert mirrored == (None if best is None else len(lines) - 1 - best)


@pytest.mark.parametrize(
    ("lines", "request_line", "answer"),
    [
        ([("GET", "/a"), ("POST", "/a")], "POST /a", 1),
        ([("GET", "/a"), ("POST PUT", "/a")], "DELETE /a", "GET, HEAD, POST, PUT"),
        ([("GET", "/a"), ("POST", "/{x}")], "POST /a", "GET, HEAD"),
        ([("GET", "/a/b"), ("POST", "/a/**")], "POST /a/b", "GET, HEAD"),
        ([("GET", "/a/b"), ("POST", "/a/**")], "POST /a/c", 1),
        ([("GET", "/a")], "HEAD /a", 0),
        ([("POST", "/a")], "HEAD /a", "POST"),
        ([("HEAD", "/a")], "GET /a", "HEAD"),
        ([("HEAD", "/a"), ("GET", "/a")], "HEAD /a", 1),
        ([("GET", "/a"), ("HEAD", "/a")], "HEAD /a", 0),
        ([("GET", "/a")], "OPTIONS /a", "GET, HEAD"),
        ([("GET OPTIONS", "/a")], "OPTIONS /a", 0),
        ([("GET OPTIONS", "/**")], "OPTIONS *", None),
        ([("GET OPTIONS", "/"), ("OPTIONS", "/{x}")], "OPTIONS *", None),
        ([("GET", "/a")], "BREW /a", "GET, HEAD"),
        ([("GET", "/a")], "get /a", "GET, HEAD"),
        ([("GET", "/a")], "BREW /b", None),
        ([("", "/a")], "GET /a", ""),
    ],
)
def test_the_best_path_decides_alone(lines: list[Line], request_line: str, answer: int | str | None) -> None:
    """No fall-through to another path for a method; HEAD obeys GET; OPTIONS only where listed; * is no path."""
    assert matched(lines, request_line) == answer


HOSTS: list[Line] = [("GET", "/a/{x}", "api.example.org"), ("GET POST", "/**"), ("GET", "/**", "xn--bcher-kva.example")]


@pytest.mark.parametrize(
    ("host", "request_line", "answer"),
    [
        (b"api.example.org", "GET /a/b", 0),
        (b"API.Example.ORG:8443", "GET /a/b", 0),
        (b"api.example.org.", "GET /a/b", 0),
        (b"api.example.org.:443", "GET /a/b", 0),
        (b"example.org", "GET /a/b", 1),
        (b"x.api.example.org", "GET /a/b", 1),
        (b"api.example.org.evil", "GET /a/b", 1),
        (b"api.example.org", "GET /a", 1),
        (b"api.example.org", "POST /a/b", "GET, HEAD"),
        (b"xn--bcher-kva.example", "GET /a/b", 2),
        (b"XN--BCHER-KVA.example", "GET /a/b", 2),
    ],
)
def test_a_route_with_a_host_outranks_one_without(host: bytes, request_line: str, answer: int | str | None) -> None:
    """Hosts have no case, port or trailing dot; a path of the host decides alone, other paths are looked up without."""
    assert matched(HOSTS, request_line, host) == answer


def test_a_worse_path_with_the_host_beats_a_better_one_without() -> None:
    """The host is looked at first."""
    assert matched([("GET", "/a/b"), ("GET", "/**", "example.org")], "GET /a/b") == 1


@pytest.mark.parametrize("host", [b"u@api.example.org", b"", "bücher.example".encode()])
def test_a_bad_host_is_refused_when_it_is_looked_at(host: bytes) -> None:
    """What is no host never chooses a route."""
    with pytest.raises(RequestRejected, match="bad_host"):
        matched(HOSTS, "GET /a/b", host)


def test_the_host_is_not_looked_at_without_host_routes() -> None:
    """It costs nothing where nobody asks for it."""
    assert matched([("GET", "/a")], "GET /a", b"@") == 0


@pytest.mark.parametrize("host", ["bücher.example", "a/b", "", "u@a"])
def test_a_route_with_a_host_that_cannot_be_is_refused(host: str) -> None:
    """A rule that could never hold is an error when it is compiled."""
    with pytest.raises(ValueError, match="A-label"):
        Table([route("GET", "/a", host)])


SEGMENTS = st.sampled_from(["a", "b", "c", "{x}"])
PATHS = st.tuples(st.lists(SEGMENTS, max_size=4), st.sampled_from(["", "/", "/**"])).map(
    lambda parts: "".join("/" + part for part in parts[0]) + parts[1] or "/"
)
ROUTES = st.lists(
    st.builds(
        route,
        st.lists(st.sampled_from(["GET", "POST", "HEAD", "OPTIONS"]), min_size=1, max_size=2).map(" ".join),
        PATHS,
        st.sampled_from([None, None, "h.example"]),
    ),
    max_size=12,
)
TARGETS = st.tuples(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=5), st.sampled_from(["", "/"])).map(
    lambda parts: "".join("/" + part for part in parts[0]) + parts[1] or "/"
)


def rank(path: str, target: str) -> tuple[int, ...] | None:
    """How well a path takes a target, a smaller tuple is better: a number a segment from the left. None: not at all."""
    rest = path.endswith("/**")
    wanted, given_ = path.removesuffix("/**").split("/")[1:], target.split("/")[1:]
    if len(given_) < len(wanted) or (len(given_) > len(wanted) and not rest):
        return None
    steps = []
    for want, have in zip(wanted, given_, strict=False):
        if want != have and (want != "{x}" or not have):
            return None
        steps.append(0 if want == have else 1)
    return (*steps, 2 if rest else -1)


def obvious(routes: Sequence[Route], method: str, host: str, target: str) -> int | str | None:
    """The rules read aloud: rank all paths, keep the best, then look at its methods."""
    ranked = []
    for one in routes:
        if one.host in (None, host) and (steps := rank(one.path, target)) is not None:
            ranked.append(((one.host is None, steps), one))
    if not ranked:
        return None
    best = min(key for key, _ in ranked)
    owners: dict[str, int] = {}
    for name in ("GET", "HEAD", "POST", "OPTIONS"):
        wanted = {name, "GET"} if name == "HEAD" else {name}
        places = [routes.index(one) for key, one in ranked if key == best and wanted & one.methods]
        owners |= {name: places[0]} if places else {}
    return owners.get(method, ", ".join(sorted(owners)))


@given(ROUTES, st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "PUT"]), st.sampled_from(["h.example", "o"]), TARGETS)
def test_matching_agrees_with_the_obvious(routes: list[Route], method: str, host: str, target: str) -> None:
    """Over routes without conflicts, the tree and the plain reading of the rules give the same answer."""
    overlapping = {conflict.second for conflict in conflicts(routes)}
    routes = [one for place, one in enumerate(routes) if place not in overlapping]
    assert ask(routes, f"{method} {target}", host.encode()) == obvious(routes, method, host, target)


@pytest.mark.parametrize(
    ("first", "second", "methods"),
    [
        (("GET", "/a"), ("GET", "/a"), "GET, HEAD"),
        (("GET", "/a/{x}"), ("GET", "/a/{y}"), "GET, HEAD"),
        (("GET POST", "/a/**"), ("POST PUT", "/a/**"), "POST"),
        (("GET", "/a"), ("HEAD", "/a"), "HEAD"),
        (("PUT", "/a", "h.example"), ("PUT", "/a", "H.example."), "PUT"),
        (("GET", "/a"), ("POST", "/a"), None),
        (("GET", "/a"), ("GET", "/a/"), None),
        (("GET", "/a"), ("GET", "/a/**"), None),
        (("GET", "/a"), ("GET", "/A"), None),
        (("GET", "/a/{x}"), ("GET", "/a/b"), None),
        (("GET", "/a", "h.example"), ("GET", "/a"), None),
        (("GET", "/a", "h.example"), ("GET", "/a", "o.example"), None),
    ],
)
def test_routes_conflict_when_they_claim_the_same(first: Line, second: Line, methods: str | None) -> None:
    """The same host, the same shape whatever the names, and a method in common."""
    found = conflicts([route(*first), route(*second)])
    assert found == ([] if methods is None else [Conflict(0, 1, f"both answer {methods} {first[1]}")])


def test_every_conflict_is_told() -> None:
    """Each later route names the first that has what it claims."""
    routes = [route("GET", "/a"), route("PUT", "/b"), route("GET PUT", "/a"), route("PUT", "/a"), route("PUT", "/b")]
    assert [(found.first, found.second) for found in conflicts(routes)] == [(0, 2), (2, 3), (1, 4)]


ENDPOINTS = [route("POST", "/v1/login"), route("GET", "/v1/people/{id}")]


@pytest.mark.parametrize(
    ("line", "endpoint"),
    [
        (("POST", "/v1/login"), 0),
        (("GET POST", "/v1/login"), 0),
        (("POST", "/v1/login", "api.example.org"), 0),
        (("HEAD", "/v1/people/{name}"), 1),
        (("GET", "/v1/login"), None),
        (("POST", "/v1/login/"), None),
        (("POST", "/v1/{x}"), None),
        (("POST", "/v1/**"), None),
        (("GET", "/v1/people"), None),
    ],
)
def test_a_route_equal_to_an_endpoint_is_found(line: Line, endpoint: int | None) -> None:
    """Only the very shape and method of an endpoint is reserved, under every host."""
    found = find_equal([route("GET", "/x"), route(*line)], ENDPOINTS)
    assert [(one.first, one.second) for one in found] == ([] if endpoint is None else [(1, endpoint)])


@pytest.mark.parametrize("prefix", ["/{}/x/**", "/tenants/{}", "/a/{{id}}/{}"])
def test_ten_thousand_routes_compile_in_time(prefix: str) -> None:
    """Compiled and checked within 2 s of CPU, also below one prefix; each is still found."""
    routes = [route("GET", prefix.format(f"r{number}")) for number in range(10_000)]
    begun = time.process_time()
    table = Table(routes)
    assert not conflicts(routes)
    assert time.process_time() - begun <= 2
    last = read_target(prefix.format("r9999").replace("{id}", "1").replace("/**", "/y").encode(), b"GET")[0]
    assert table.match(b"GET", b"", last) is routes[-1]


def test_deep_targets_do_not_deepen_the_search() -> None:
    """A target of thousands of segments is no deeper to the table than its routes are."""
    target = "/a" * 4000
    assert matched([("GET", "/{x}/**"), ("GET", "/a/a/b")], f"GET {target}") == 0
