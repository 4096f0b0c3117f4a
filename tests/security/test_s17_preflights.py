"""S-17: `OPTIONS` is free only for real preflights, and nothing gets past the rules in the dress of one."""

from collections.abc import Mapping
from typing import Any

import pytest
from harness.client import chunked, request
from harness.site import Running, Site
from harness.upstream import Upstream

APP = b"Origin: https://app.example.org"
EVIL = b"Origin: https://evil.example"
GET = b"Access-Control-Request-Method: GET"
CORS = {"origins": ["https://app.example.org"]}
ROUTES: list[Mapping[str, Any]] = [
    {"path": "/public/**", "access": "public", "cors": CORS},
    {"path": "/secure/**", "access": "protected", "cors": CORS},
    {"path": "/listed/**", "methods": ["GET", "OPTIONS"], "access": "protected", "cors": CORS},
    {"path": "/closed/**", "access": "protected"},
    {"path": "/asks/**", "methods": ["GET", "OPTIONS"], "access": "protected"},
]


async def shop(site: Site, **more: Any) -> tuple[Running, Upstream]:
    upstream = await site.upstream()
    return await site.gateway(upstream, routes=ROUTES, **more), upstream


@pytest.mark.parametrize("path", ["/public/x", "/secure/x", "/listed/x"])
@pytest.mark.parametrize("origin", [APP, EVIL])
async def test_s17_no_preflight_reaches_an_upstream(site: Site, path: str, origin: bytes) -> None:
    """Whatever it brings: a credential, a body, a chunked body, an upgrade, an expectation, fields of the gateway's."""
    running, upstream = await shop(site)
    ada = running.people.ada.field
    websocket = (b"Connection: upgrade", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")
    sent = [
        request(path, origin, GET, ada, method="OPTIONS"),
        request(path, origin, GET, ada, method="OPTIONS", body=b"GET /closed/x HTTP/1.1\r\nHost: gateway.test\r\n\r\n"),
        request(path, origin, GET, b"Transfer-Encoding: chunked", method="OPTIONS") + chunked(b"abc"),
        request(path, origin, GET, *websocket, method="OPTIONS"),
        request(path, origin, GET, b"Expect: 100-continue", b"Content-Length: 3", method="OPTIONS") + b"abc",
        request(path, origin, GET, b"x-mycelium-profile: forged", b"X-Forwarded-For: 1.2.3.4", method="OPTIONS"),
        request(path, origin, origin, GET, method="OPTIONS"),
        request(path, origin, GET, b"X-HTTP-Method-Override: GET", method="OPTIONS"),
    ]
    statuses = []
    for data in sent:
        client = await site.client(running)
        await client.send(data)
        statuses.append((await client.answer()).status)
    assert set(statuses) <= {204, 403}
    assert (statuses[0], statuses[6]) == (204 if origin == APP else 403, 403)
    assert upstream.lines == []


async def test_s17_the_body_of_a_preflight_is_not_read_as_a_request(site: Site) -> None:
    """What follows it is answered in its turn, and nothing of the body is."""
    running, upstream = await shop(site)
    client = await site.client(running)
    hidden = b"GET /public/hidden HTTP/1.1\r\nHost: gateway.test\r\n\r\n"
    await client.send(
        request("/public/x", APP, GET, method="OPTIONS", body=hidden), request("/public/next", b"Connection: close")
    )
    assert [(await client.answer()).status, (await client.answer()).status] == [204, 200]
    assert [got.target for got in upstream.requests] == [b"/public/next"]


async def test_s17_a_preflight_whose_body_is_yet_to_come_ends_the_connection(site: Site) -> None:
    """Nobody waits for it."""
    running, upstream = await shop(site)
    client = await site.client(running)
    await client.send(request("/public/x", APP, GET, b"Content-Length: 1000000", method="OPTIONS"))
    answer = await client.answer()
    assert (answer.status, answer.one(b"connection")) == (204, b"close")
    assert upstream.lines == []


@pytest.mark.parametrize("fields", [(APP,), (GET,), ()])
async def test_s17_half_a_preflight_is_none(site: Site, fields: tuple[bytes, ...]) -> None:
    """OPTIONS without one of the two headers wants what any request wants."""
    running, upstream = await shop(site)
    client = await site.client(running)
    assert (await client.ask("/listed/x", *fields, method="OPTIONS")).code == "no_credential"
    assert (await client.ask("/secure/x", *fields, method="OPTIONS")).code == "method_not_allowed"
    assert upstream.lines == []


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD"])
async def test_s17_no_other_method_passes_for_a_preflight(site: Site, method: str) -> None:
    """Its headers alone open nothing."""
    running, upstream = await shop(site)
    answer = await (await site.client(running)).ask("/secure/x", APP, GET, method=method)
    assert answer.status == 401
    assert upstream.lines == []


async def test_s17_where_the_upstream_answers_preflights_they_want_a_credential(site: Site) -> None:
    """OPTIONS that is listed on a protected route without cors is a protected request."""
    running, upstream = await shop(site)
    answer = await (await site.client(running)).ask("/asks/x", APP, GET, method="OPTIONS")
    assert (answer.status, answer.code) == (401, "no_credential")
    assert upstream.lines == []


@pytest.mark.parametrize(
    ("path", "status"), [("/nowhere", 404), ("/closed/x", 405), ("/closed/also/nowhere", 405), ("/", 404)]
)
@pytest.mark.parametrize("asked", [b"GET", b"POST", b"BREW", b"OPTIONS", b"get", b"", b"GET /x"])
async def test_s17_a_preflight_tells_no_more_of_routes_than_any_options(
    site: Site, path: str, status: int, asked: bytes
) -> None:
    """The same status, and the same headers but for the request's id, with and without its headers."""
    running, _ = await shop(site)
    client = await site.client(running)
    plain = await client.ask(path, method="OPTIONS")
    preflight = await client.ask(path, APP, b"Access-Control-Request-Method: " + asked, method="OPTIONS")
    assert plain.status == preflight.status == status

    def comparable(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        return [field for field in fields if field[0] != b"x-mycelium-request-id"]

    assert comparable(plain.fields) == comparable(preflight.fields)


@pytest.mark.parametrize("target", ["*", "/secure/a%2Fb", "/secure//x", "/secure/../public/x", "/SECURE/x"])
async def test_s17_a_path_that_no_request_gets_through_with_gets_no_preflight_either(site: Site, target: str) -> None:
    """Read two ways, or by nobody."""
    running, upstream = await shop(site)
    answer = await (await site.client(running)).ask(target, APP, GET, method="OPTIONS")
    assert answer.status in (400, 404)
    assert not [name for name, _ in answer.fields if name.startswith(b"access-control")]
    assert upstream.lines == []


@pytest.mark.parametrize("kind", ["nginx", "traefik"])
async def test_s17_a_data_plane_that_asks_about_a_preflight_is_told_of_an_options(site: Site, kind: str) -> None:
    """Nobody is admitted by it: what the decision lets through goes on to the upstream."""
    running, _ = await shop(site, decide={"peers": ["127.0.0.0/8"]})
    client = await site.client(running)
    said = {
        "nginx": (b"X-Original-Method: OPTIONS", b"X-Original-URI: /secure/x"),
        "traefik": (
            b"X-Forwarded-Method: OPTIONS",
            b"X-Forwarded-Uri: /secure/x",
            b"X-Forwarded-Host: app.test",
            b"X-Forwarded-Proto: https",
        ),
    }[kind]
    answer = await client.ask(f"/_gateway/decide/{kind}", *said, APP, GET)
    assert (answer.status, answer.one(b"x-gateway-code")) == (403 if kind == "nginx" else 405, b"method_not_allowed")


async def test_s17_the_endpoint_of_a_data_plane_is_no_preflights(site: Site) -> None:
    """OPTIONS there asks as GET does: by its contract."""
    running, _ = await shop(site, decide={"peers": ["127.0.0.0/8"]}, login={"cors": CORS})
    client = await site.client(running)
    answer = await client.ask("/_gateway/decide/nginx", APP, GET, method="OPTIONS")
    assert answer.status in (400, 403)
    assert not [name for name, _ in answer.fields if name.startswith(b"access-control")]
