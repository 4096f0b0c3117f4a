"""The decision endpoint as a data plane sees it: the edge's own rules, answered instead of forwarded."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from harness.client import Answer, Client, request
from harness.site import ROUTES, Running, Site

MOUNT = "/_gateway/decide"
DECIDE = {"mount": MOUNT, "peers": ["127.0.0.0/8"]}
IDENTITY = (
    "profile",
    "email",
    "tenant-id",
    "security-group",
    "service-name",
    "assertion",
    "role",
    "scope",
    "request-id",
)
CATCH_ALL = {"path": "/**", "methods": ["GET", "POST", "PUT", "DELETE", "OPTIONS"], "access": "public"}
ODD = {"path": "/odd/**", "access": "public", "allow_encoded": ["%2F"]}


async def deciding(site: Site, **more: Any) -> Running:
    """With a route that takes everything, which nothing below the mount may reach."""
    said: dict[str, Any] = {"decide": DECIDE, "routes": [*ROUTES, CATCH_ALL, ODD], **more}
    return await site.gateway("http://127.0.0.1:9", **said)


def about(
    target: str, *fields: bytes, method: str = "GET", kind: str = "nginx", origin: bytes = b"https://app.test"
) -> bytes:
    """What a data plane asks about a request that it holds. origin: that the request came to, where it says so."""
    raw = target.encode()
    if kind == "envoy":
        return request(f"{MOUNT}/envoy{target}", *fields, method=method)
    if kind in ("nginx", "haproxy"):
        said = (b"X-Original-Method: " + method.encode(), b"X-Original-URI: " + raw)
    else:
        said = (
            b"X-Forwarded-Method: " + method.encode(), b"X-Forwarded-Uri: " + raw,
            b"X-Forwarded-Host: " + origin.partition(b"://")[2], b"X-Forwarded-Proto: " + origin.partition(b":")[0],
        )  # fmt: skip
    return request(f"{MOUNT}/{kind}", *said, *fields)


async def put(client: Client, question: bytes) -> Answer:
    await client.send(question)
    return await client.answer("HEAD" if question.startswith(b"HEAD") else "GET")


KINDS = ("nginx", "haproxy", "traefik", "caddy", "envoy")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_pass_names_every_identity_header_once(site: Site, kind: str) -> None:
    """Without a value where there is none: what is left out would be the client's own. It is never stored."""
    running = await deciding(site)
    client = await site.client(running)
    answer = await put(client, about("/public/x", kind=kind))
    assert (answer.status, answer.body, answer.one(b"cache-control")) == (200, b"", b"no-store")
    told = {name: answer.one(b"x-mycelium-" + name.encode()) for name in IDENTITY}
    assert [name for name, value in told.items() if value] == ["security-group", "service-name", "request-id"]
    answer = await put(client, about("/secure/x", running.people.ada.field, kind=kind))
    told = {name: answer.one(b"x-mycelium-" + name.encode()) for name in IDENTITY}
    assert answer.status == 200
    assert [name for name, value in told.items() if not value] == ["tenant-id", "role", "scope"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refusal_says_why(site: Site, kind: str) -> None:
    """nginx hears 401 and 403 and nothing else; everybody gets the reason code."""
    running = await deciding(site, routes=ROUTES)
    client = await site.client(running)
    manager = about("/roles/x", running.people.bob.field, kind=kind)
    rows = (
        (about("/secure/x", kind=kind), 401, "no_credential"),
        (about("/secure/x", b"Authorization: Bearer x", kind=kind), 401, "invalid_credential"),
        (manager, 403, "role_missing"),
        (about("/elsewhere", kind=kind), 404, "no_route"),
        (about("/public/x", method="PATCH", kind=kind), 405, "method_not_allowed"),
    )
    for question, status, code in rows:
        answer = await put(client, question)
        assert (answer.status, answer.code) == (status if kind != "nginx" or status == 401 else 403, code)
        assert answer.one(b"x-gateway-code") == code.encode()
        assert (len(answer.all(b"www-authenticate")) == 1) is (status == 401)


async def test_a_stranger_finds_nothing(site: Site) -> None:
    """Neither a decision nor the route that takes everything else; what it says of others does not matter."""
    running = await deciding(
        site, decide={"mount": MOUNT, "peers": ["10.0.0.0/8"]}, listen={"trusted_proxies": ["127.0.0.1"]}
    )
    client = await site.client(running)
    for kind in KINDS:
        answer = await put(client, about("/public/x", b"X-Forwarded-For: 10.0.0.1", kind=kind))
        assert (answer.status, answer.code, answer.all(b"x-gateway-code")) == (404, "no_route", [])


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "OPTIONS", "PROPFIND", "DELETE", "HEAD"])
@pytest.mark.parametrize("path", ["", "/", "/x", "/nginx/x", "/nginx/", "/envoyx", "/traefik"])
async def test_nothing_below_the_mount_is_forwarded(site: Site, method: str, path: str) -> None:
    """Whatever the method: there is a route that would take it."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream, decide=DECIDE, routes=[*ROUTES, CATCH_ALL]))
    await client.send(request(MOUNT + path, method=method))
    assert (await client.answer(method)).status in (400, 404)
    assert upstream.requests == []


@pytest.mark.parametrize("kind", ["nginx", "haproxy", "traefik", "caddy"])
async def test_each_fact_is_said_exactly_once(site: Site, kind: str) -> None:
    """Of two, one is the client's; one that is missing is not guessed."""
    client = await site.client(await deciding(site))
    whole = about("/public/x", kind=kind)
    lines = whole.split(b"\r\n")
    facts = [line for line in lines if line.startswith((b"X-Original", b"X-Forwarded"))]
    assert len(facts) == (2 if kind in ("nginx", "haproxy") else 4)
    for fact in facts:
        for spoilt in (whole.replace(fact + b"\r\n", b""), whole.replace(fact, fact + b"\r\n" + fact)):
            answer = await put(client, spoilt)
            assert (answer.status, answer.code) == (403 if kind == "nginx" else 400, "bad_original")
    assert (await put(client, whole)).status == 200


async def test_the_headers_of_another_data_plane_are_not_looked_at(site: Site) -> None:
    """They may be the client's: nginx does not write X-Forwarded-Uri, Traefik not X-Original-URI."""
    client = await site.client(await deciding(site))
    others = (
        b"X-Forwarded-Uri: /public/x",
        b"X-Forwarded-Method: GET",
        b"X-Forwarded-Host: a",
        b"X-Forwarded-Proto: b",
    )
    assert (await put(client, about("/secure/x", *others))).status == 401
    ours = (b"X-Original-URI: /public/x", b"X-Original-Method: GET")
    assert (await put(client, about("/secure/x", *ours, kind="traefik"))).status == 401
    assert (await put(client, about("/secure/x", *ours, *others, kind="envoy"))).status == 401


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "target",
    ["/public/../secure/x", "//secure/x", "/public/%2e%2e/x", "/public/%2fx", "/public/;x", "/public/%", "/public/#"],
)
async def test_a_path_is_read_as_at_the_edge(site: Site, kind: str, target: str) -> None:
    """What is refused there is refused here."""
    client = await site.client(await deciding(site))
    answer = await put(client, about(target, kind=kind))
    assert (answer.status, answer.code) == (403 if kind == "nginx" else 400, "ambiguous_path")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_spelling_that_the_route_lists_passes(site: Site, kind: str) -> None:
    """Also where it stands behind the endpoint's own path."""
    client = await site.client(await deciding(site))
    assert (await put(client, about("/odd/a%2Fb?q=%2F", kind=kind))).status == 200


@pytest.mark.parametrize("method", [b"CONNECT", b"TRACE", b"get", b"G T", b"", b"GET, POST"])
async def test_a_method_that_is_never_forwarded_is_refused(site: Site, method: bytes) -> None:
    """As what is none."""
    client = await site.client(await deciding(site))
    question = about("/public/x", kind="traefik").replace(b"Method: GET", b"Method: " + method)
    assert (await put(client, question)).status == 400


async def test_the_host_that_is_asked_about_counts(site: Site) -> None:
    """A route with a host is found by it; nonsense is refused; another authority in the target too."""
    hosted = {"path": "/hosted", "access": "public", "host": "app.test"}
    client = await site.client(await deciding(site, routes=[hosted]))
    assert (await put(client, about("/hosted", kind="traefik"))).status == 200
    for host in (b"other.test", b"a,app.test", b""):
        question = about("/hosted", kind="traefik").replace(b"app.test", host)
        assert (await put(client, question)).status in (400, 404)
    assert (await put(client, about("http://other.test/hosted", kind="traefik"))).code == "authority_mismatch"


@pytest.mark.parametrize("kind", ["nginx", "traefik"])
@pytest.mark.parametrize("field", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
async def test_a_body_is_refused(site: Site, kind: str, field: bytes) -> None:
    """It could only be in the way."""
    client = await site.client(await deciding(site))
    answer = await put(client, about("/public/x", field, kind=kind))
    assert (answer.status, answer.code) == (403 if kind == "nginx" else 400, "bad_original")


@pytest.mark.parametrize("line", [b"x_mycelium_profile: forged", b"Authorization: Bearer a\r\nAuthorization: Bearer b"])
async def test_what_cannot_be_read_is_403_to_nginx_too(site: Site, line: bytes) -> None:
    """nginx passes the client's headers on, and answers 500 for a 400."""
    client = await site.client(await deciding(site))
    answer = await put(client, about("/public/x", line))
    assert (answer.status, len(answer.all(b"x-gateway-code"))) == (403, 1)
    client = await site.client(await deciding(site))
    assert (await put(client, about("/public/x", line, kind="caddy"))).status == 400


async def test_our_own_endpoints_are_no_upstreams(site: Site) -> None:
    """Nor is the decision endpoint itself."""
    client = await site.client(await deciding(site))
    for target in ("/_adm/beginners/profile", "/.well-known/jwks.json", f"{MOUNT}/nginx", f"{MOUNT}/x"):
        answer = await put(client, about(target, kind="caddy"))
        assert (answer.status, answer.code) == (404, "no_route")


async def test_callers_on_one_connection_are_told_apart(site: Site) -> None:
    """Also when they are asked about in one write, the first of them for the first time."""
    running = await deciding(site)
    client = await site.client(running)
    ada, bob = running.people.ada, running.people.bob
    fields = [[ada.field], [bob.field], [], [ada.field], [b"Authorization: Bearer x"], [bob.field]]
    await client.send(*(about("/auth/x", *field) for field in fields))
    answers = [await client.answer() for _ in fields]
    assert [answer.status for answer in answers] == [200, 200, 401, 200, 401, 200]
    emails = [answer.one(b"x-mycelium-email") for answer in answers if answer.status == 200]
    assert emails[0] == emails[2] != emails[1] == emails[3]


async def test_head_is_asked_about_without_a_body_in_the_answer(site: Site) -> None:
    """Asked by GET about HEAD, or by HEAD itself: the next question is answered in its place."""
    running = await deciding(site)
    client = await site.client(running)
    for kind in ("nginx", "caddy", "envoy"):
        answer = await put(client, about("/secure/x", method="HEAD", kind=kind))
        assert (answer.status, answer.one(b"content-length")) == (401, b"0")
        assert (await put(client, about("/secure/x", running.people.ada.field, kind=kind))).status == 200


@pytest.mark.parametrize("kind", ["nginx", "traefik"])
async def test_a_bad_path_does_not_cost_the_data_plane_its_connection(site: Site, kind: str) -> None:
    """The client chose it; what the data plane itself sent was in order."""
    client = await site.client(await deciding(site))
    for _ in range(3):
        assert (await put(client, about("//x", kind=kind))).code == "ambiguous_path"
    assert (await put(client, about("/public/x", kind=kind))).status == 200


async def test_a_websocket_is_judged_as_any_request(site: Site) -> None:
    """Should a data plane pass the handshake on, the answer is an answer, and the last one."""
    running = await deciding(site)
    shake = (
        b"Connection: upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    for fields, status in (((running.people.ada.field, *shake), 200), (shake, 401)):
        client = await site.client(running)
        answer = await put(client, about("/secure/x", *fields, kind="envoy"))
        assert (answer.status, answer.one(b"connection")) == (status, b"close")


async def test_http_1_0_is_answered(site: Site) -> None:
    """nginx speaks it unless it is told otherwise."""
    client = await site.client(await deciding(site))
    question = about("/public/x", b"Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")
    for _ in range(2):
        answer = await put(client, question)
        assert (answer.status, answer.one(b"connection")) == (200, b"keep-alive")


async def test_errors_are_in_the_routes_form(site: Site) -> None:
    """Where the answer is relayed, the client reads it."""
    client = await site.client(await deciding(site, route={"errors": "mployr"}))
    answer = await put(client, about("/secure/x", kind="traefik"))
    assert (answer.status, json.loads(answer.body)) == (401, {"success": False, "message": "Unauthenticated."})


async def test_a_decision_is_logged_and_counted_as_one(site: Site) -> None:
    """With the method and the path that were asked about, under a label of its own; no secret of a path."""
    running = await deciding(site)
    client = await site.client(running)
    await put(client, about("/secure/x?secret=1", running.people.ada.field, method="POST"))
    await put(client, about("/secure/y"))
    await put(client, about("//z"))
    hidden = running.gateway.core.generation.secret[0][0].decode()
    await put(client, about(f"{hidden}/secret", kind="caddy"))
    await put(client, about(f"{hidden}/secret/x", method="PUT"))
    await client.ask(f"{MOUNT}/none{hidden}/secret")
    text = (await asyncio.to_thread(running.gateway.metrics)).decode()
    assert 'gateway_requests_total{reason="",route="decide /secure/**",status="2xx"} 1.0' in text
    assert 'gateway_requests_total{reason="no_credential",route="decide /secure/**",status="4xx"} 1.0' in text
    assert 'gateway_requests_total{reason="ambiguous_path",route="decide",status="4xx"} 1.0' in text
    lines = await running.lines()
    shown: list[Mapping[str, Any]] = [
        {name: line[name] for name in ("method", "path", "route", "upstream", "status", "reason")} for line in lines
    ]
    decided = {"route": "decide /secure/**", "upstream": None}
    assert shown[:2] == [
        {"method": "POST", "path": "/secure/x", "status": 200, "reason": None, **decided},
        {"method": "GET", "path": "/secure/y", "status": 401, "reason": "no_credential", **decided},
    ]
    assert lines[0]["account"] == running.people.ada.account_id
    assert (shown[2]["route"], shown[2]["status"]) == ("decide", 403)
    assert "secret" not in str(lines)


async def test_a_store_that_is_down_is_never_a_pass(site: Site) -> None:
    """503 where that is understood, 403 to nginx; who is known goes on."""
    site.expected_errors = True
    running = await deciding(site)
    client = await site.client(running)
    assert (await put(client, about("/secure/x", running.people.ada.field))).status == 200
    (running.people.folder / "gateway.db").rename(running.people.folder / "gone.db")
    answer = await put(client, about("/secure/x", running.people.bob.field))
    assert (answer.status, answer.code) == (403, "store_unavailable")
    answer = await put(client, about("/secure/x", running.people.bob.field, kind="traefik"))
    assert (answer.status, answer.code) == (503, "store_unavailable")
    assert (await put(client, about("/secure/x", running.people.ada.field))).status == 200


@pytest.mark.parametrize("kind", KINDS)
async def test_the_log_names_whom_is_asked_for(site: Site, kind: str) -> None:
    """Who may ask is believed about that, and about no request's identity."""
    running = await deciding(site, decide={"mount": MOUNT, "peers": ["127.0.0.1"]})
    client = await site.client(running)
    mine = b"11111111-2222-4333-8444-555555555555"
    for fields in ((b"X-Forwarded-For: 192.0.2.7", b"X-Mycelium-Request-Id: " + mine), ()):
        answer = await put(client, about("/public/x", *fields, kind=kind))
        assert (answer.status, answer.one(b"x-mycelium-request-id") == mine) == (200, False)
    assert [line["client"] for line in await running.lines()] == ["192.0.2.7", "127.0.0.1"]


@pytest.mark.parametrize("name", [b"X-Mycelium-Other", b"x-mycelium-", b"X-Gateway-Peer", b"X-Mycelium-Profile"])
async def test_what_nginx_would_pass_on_is_refused(site: Site, name: bytes) -> None:
    """It can take out only names that it knows; what it knows, it does not ask with."""
    client = await site.client(await deciding(site))
    answer = await put(client, about("/public/x", name + b": forged"))
    assert (answer.status, answer.code) == (403, "bad_header_name")
    assert (await put(client, about("/public/x", name + b": forged", kind="caddy"))).status == 200
