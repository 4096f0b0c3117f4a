"""S-17: HEAD obeys GET's rule, and what is no method of a route is none."""

import pytest
from harness.client import request
from harness.site import Site

from gateway.settings.faults import SettingsInvalid

from .ground import ASKING, DECIDE, ground, question

# IANA's registry and what caches and old servers understand, as far as the parser knows them
UNKNOWN = [
    "PURGE", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "SEARCH", "BIND", "REBIND",
    "UNBIND", "ACL", "REPORT", "MKACTIVITY", "CHECKOUT", "MERGE", "M-SEARCH", "NOTIFY", "SUBSCRIBE",
    "UNSUBSCRIBE", "MKCALENDAR", "LINK", "UNLINK", "SOURCE", "QUERY",
]  # fmt: skip
NONE = ("get", "Get", "GETT", "GE", "FROB", "X-GET", "GET\x00", "G\xe9T", "", "GET,POST", "HEAD\t", "connect", "TRACE1")
GROUPS = ("/public/x", "/auth/x", "/secure/x", "/roles/x", "/_adm/beginners/profile", "/nowhere")


@pytest.mark.parametrize("path", GROUPS[1:4])
async def test_s17_head_obeys_the_rule_of_get(site: Site, path: str) -> None:
    """With no credential, a wrong one, one without the role, a good one: the same status."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    client = await site.client(running)
    people = running.people
    for fields in ((), (b"Authorization: Bearer nobody",), (people.bob.field,), (people.ada.field,)):
        statuses = [(await client.ask(path, *fields, method=method)).status for method in ("GET", "HEAD")]
        assert statuses[0] == statuses[1]
    assert {got.method for got in upstream.requests} == {b"GET", b"HEAD"}


async def test_s17_head_goes_with_get_and_with_nothing_else(site: Site) -> None:
    """Also where another route has the path for other methods."""
    upstream = await site.upstream()
    routes = [
        {"path": "/both", "methods": ["GET"], "access": "protected"},
        {"path": "/both", "methods": ["POST"], "access": "public"},
        {"path": "/posts", "methods": ["POST", "PUT"], "access": "public"},
    ]
    client = await site.client(await site.gateway(upstream, routes=routes))
    assert (await client.ask("/both", method="HEAD")).status == 401
    assert (await client.ask("/posts", method="HEAD")).status == 405
    assert (await client.ask("/_adm/beginners/users/magic-link/request", method="HEAD")).status == 405
    assert not upstream.requests


@pytest.mark.parametrize("path", GROUPS)
async def test_s17_a_method_that_no_route_lists_is_refused(site: Site, path: str) -> None:
    """405, or 404 where there is nothing; with a credential too."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    client = await site.client(running)
    for method in UNKNOWN:
        answer = await client.ask(path, running.people.ada.field, method=method)
        assert (method, answer.status) == (method, 404 if path == "/nowhere" else 405)
    assert not upstream.requests


@pytest.mark.parametrize("path", GROUPS)
async def test_s17_what_is_no_method_is_no_request(site: Site, path: str) -> None:
    """Lower case among them: methods are case-sensitive (RFC 9110 section 9.1)."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    for method in NONE:
        client = await site.client(running)
        await client.send(request(path).replace(b"GET", method.encode("latin-1"), 1))
        answer = await client.answer()
        assert (method, answer.status, answer.code) == (method, 400, "malformed_request")
        client.close()
    assert not upstream.lines


@pytest.mark.parametrize("path", GROUPS)
@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
async def test_s17_trace_and_connect_are_refused(site: Site, path: str, method: str) -> None:
    """On every path, and in authority-form; what follows on the connection is not read."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    for target in (path, "gateway.test:80", f"127.0.0.1:{upstream.port}", "http://gateway.test" + path, "*"):
        client = await site.client(running)
        await client.send(request(target, running.people.ada.field, method=method), request("/public/after"))
        answer = await client.answer()
        assert (target, answer.status) == (target, 400)
        assert answer.code in ("method_refused", "malformed_request")
        assert await client.rest() == b""
    assert {line["status"] for line in await running.lines()} == {400}
    assert not upstream.lines


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "get", "*", ""])
async def test_s17_no_route_can_list_them(site: Site, method: str) -> None:
    """It is no configuration."""
    with pytest.raises(SettingsInvalid):
        await site.gateway("http://127.0.0.1:9", routes=[{"path": "/x", "methods": [method], "access": "public"}])


@pytest.mark.parametrize("kind", [kind for kind in ASKING if kind != "envoy"])
async def test_s17_a_data_plane_that_asks_about_them_is_told_no(site: Site, kind: str) -> None:
    """HEAD as GET; the rest as at the edge."""
    place = await ground(site, decide=DECIDE)
    ada = place.people.ada.field
    few = kind == "nginx"
    for method in ("TRACE", "CONNECT", "get", "", "GET, POST"):
        answer = await place.send(
            question(kind, "/secure/x", ada).replace(b"Method: GET", b"Method: " + method.encode())
        )
        assert answer.status == (403 if few else 400)
    for method in UNKNOWN:
        answer = await place.send(question(kind, "/secure/x", ada, method=method))
        assert (answer.status, answer.code) == (403 if few else 405, "method_not_allowed")
    for fields, status in (((), 401), ((ada,), 200)):
        assert (await place.send(question(kind, "/secure/x", *fields, method="HEAD"), "HEAD")).status == status
