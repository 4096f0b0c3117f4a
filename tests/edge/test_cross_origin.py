"""CORS on the wire: the gateway answers preflights itself, and every answer of a route can be read by its pages."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from harness.client import Answer, Client
from harness.site import Running, Site
from harness.upstream import Upstream, answering

from .test_tunnel import HANDSHAKE, SWITCH

APP, EVIL = "https://app.example.org", "https://evil.example"
CORS = {"origins": [APP, "https://*.example.net"], "expose": ["x-mycelium-request-id"], "credentials": True}
ROUTES: list[Mapping[str, Any]] = [
    {"path": "/secure/**", "methods": ["GET", "POST"], "access": "protected", "cors": CORS, "limits": {"body": "1KiB"}},
    {"path": "/secure/**", "methods": ["DELETE"], "access": "protected"},
    {"path": "/open/**", "methods": ["GET", "OPTIONS"], "access": "public", "cors": CORS},
    {"path": "/asks/**", "methods": ["GET", "OPTIONS"], "access": "public"},
    {"path": "/any/**", "methods": ["GET"], "access": "public", "cors": {"origins": ["*"]}},
    {"path": "/odd/**", "access": "public", "cors": CORS, "allow_encoded": ["%2F"]},
    {"path": "/manager/**", "access": {"roles": [{"role": "nobody"}]}, "cors": CORS},
]
ALLOWED = {
    "access-control-allow-origin": APP,
    "access-control-allow-credentials": "true",
    "access-control-allow-methods": "GET, POST, HEAD",
    "access-control-allow-headers": "authorization, content-type",
    "access-control-max-age": "600",
}


async def shop(site: Site, *answers: bytes, **more: Any) -> tuple[Running, Upstream, Client]:
    upstream = await site.upstream(answering(*answers) if answers else None)
    running = await site.gateway(upstream, routes=ROUTES, **more)
    return running, upstream, await site.client(running)


async def preflight(
    client: Client, path: str = "/secure/x", *fields: bytes, origin: str = APP, method: str = "GET", headers: str = ""
) -> Answer:
    asked = [b"Origin: " + origin.encode(), b"Access-Control-Request-Method: " + method.encode()]
    if headers:
        asked.append(b"Access-Control-Request-Headers: " + headers.encode())
    return await client.ask(path, *asked, *fields, method="OPTIONS")


def cors_of(answer: Answer) -> dict[str, str]:
    return {
        name.decode().lower(): value.decode()
        for name, value in answer.fields
        if name.lower().startswith(b"access-control-")
    }


async def test_a_preflight_is_answered_without_a_credential(site: Site) -> None:
    """204, what the page may do, and that no cache may give it to another one. The upstream hears nothing of it."""
    _, upstream, client = await shop(site)
    answer = await preflight(client, method="POST", headers="authorization,content-type")
    assert (answer.status, answer.body, cors_of(answer)) == (204, b"", ALLOWED)
    assert answer.one(b"vary") == b"origin, access-control-request-method, access-control-request-headers"
    assert answer.all(b"content-length") == answer.all(b"connection") == []
    assert len(answer.one(b"x-mycelium-request-id")) == 36
    assert upstream.lines == []


@pytest.mark.parametrize(("origin", "status"), [(APP, 204), (EVIL, 403)])
async def test_preflights_count_by_address(site: Site, origin: str, status: int) -> None:
    """Allowed or not, with the requests that they are about; 429 says what a refused request is told, and no more."""
    rate = {"by": "address", "at_most": 2, "in": "7d"}
    routes = [{"path": "/secure/**", "access": "public", "cors": CORS, "limits": {"rate": [rate]}}]
    client = await site.client(await site.gateway(await site.upstream(), routes=routes))
    answers = [await preflight(client, origin=origin), await client.ask("/secure/x"), await preflight(client)]
    assert [answer.status for answer in answers] == [status, 200, 429]
    assert [answer.one(b"ratelimit").split(b";")[1] for answer in answers] == [b"r=1", b"r=0", b"r=0"]
    assert (answers[2].code, cors_of(answers[2])) == ("rate_limited", {})
    assert (await client.ask("/secure/x")).status == 429


async def test_preflights_count_for_no_other_limit(site: Site) -> None:
    """They have no caller and no header of one, take no place, and are not what the route is limited for."""
    week = {"at_most": 1, "in": "7d"}
    rates = [{"by": "route", **week}, {"by": {"header": "x-client"}, **week}, {"by": "account", **week}]
    limits = {"rate": rates, "concurrency": 1}
    routes = [{"path": "/secure/**", "access": "authenticated", "cors": CORS, "limits": limits}]
    running = await site.gateway(await site.upstream(), routes=routes)
    client = await site.client(running)
    answers = [await preflight(client) for _ in range(3)]
    assert [(answer.status, answer.all(b"ratelimit")) for answer in answers] == [(204, [])] * 3
    assert (await client.ask("/secure/x", running.people.ada.field)).status == 200


async def test_the_connection_goes_on_after_a_preflight(site: Site) -> None:
    """The request that was asked about comes next on it."""
    running, upstream, client = await shop(site)
    assert (await preflight(client)).status == 204
    answer = await client.ask("/secure/x", running.people.ada.field, b"Origin: " + APP.encode())
    assert (answer.status, len(upstream.requests)) == (200, 1)


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ({"origin": EVIL}, "origin"),
        ({"origin": "null"}, "origin"),
        ({"origin": "http://app.example.org"}, "origin"),
        ({"origin": "https://a.b.example.net"}, "origin"),
        ({"headers": "x-other"}, "headers"),
        ({"headers": "authorization, x-mycelium-connection-string"}, "headers"),
    ],
)
async def test_a_preflight_that_is_refused_says_so(site: Site, asked: dict[str, str], part: str) -> None:
    """403 `cors_refused` without one of the headers that would allow it: what browsers and people understand."""
    _, upstream, client = await shop(site)
    answer = await preflight(client, **asked)  # type: ignore[arg-type]
    assert (answer.status, answer.code, cors_of(answer)) == (403, "cors_refused", {})
    assert part in json.loads(answer.body)["detail"]
    assert b"access-control-request-method" in answer.one(b"vary")
    assert upstream.lines == []


async def test_a_wildcard_is_one_label(site: Site) -> None:
    """And the answer names the origin that asked, not the pattern."""
    _, _, client = await shop(site)
    answer = await preflight(client, origin="https://a.example.net")
    assert cors_of(answer)["access-control-allow-origin"] == "https://a.example.net"


async def test_the_rule_is_that_of_the_route_with_the_method(site: Site) -> None:
    """DELETE has a route without cors, PATCH has none: both as any OPTIONS that nobody lists."""
    _, _, client = await shop(site)
    answers = [await preflight(client, method=method) for method in ("DELETE", "PATCH", "OPTIONS")]
    assert [(answer.status, cors_of(answer)) for answer in answers] == [(405, {})] * 3


async def test_an_options_that_is_no_preflight_goes_on_as_it_did(site: Site) -> None:
    """405 where it is not listed, forwarded where it is, with what a page may read."""
    _, upstream, client = await shop(site)
    assert (await client.ask("/secure/x", method="OPTIONS")).status == 405
    assert (await client.ask("/secure/x", b"Origin: " + APP.encode(), method="OPTIONS")).status == 405
    answer = await client.ask("/open/x", b"Origin: " + APP.encode(), method="OPTIONS")
    assert (answer.status, upstream.requests[0].method) == (200, b"OPTIONS")
    assert cors_of(answer)["access-control-allow-origin"] == APP


async def test_where_options_is_listed_a_preflight_is_the_gateways_all_the_same(site: Site) -> None:
    """With cors; also one for a method that the path does not have."""
    _, upstream, client = await shop(site)
    assert (await preflight(client, "/open/x")).status == 204
    assert (await preflight(client, "/open/x", method="PUT")).code == "cors_refused"
    assert upstream.lines == []


async def test_where_options_is_listed_without_cors_the_upstream_answers_preflights(site: Site) -> None:
    """It does its own CORS, and its headers go on as they are."""
    own = b"HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: https://its.example\r\n\r\n"
    _, upstream, client = await shop(site, own)
    answer = await preflight(client, "/asks/x")
    assert cors_of(answer) == {"access-control-allow-origin": "https://its.example"}
    assert upstream.requests[0].one(b"access-control-request-method") == b"GET"


@pytest.mark.parametrize(
    ("path", "credential", "fields", "method", "status"),
    [
        ("/secure/x", True, (), "GET", 200),
        ("/secure/x", True, (), "HEAD", 200),
        ("/secure/x", False, (), "GET", 401),
        ("/secure/x", False, (b"Authorization: Bearer nobody",), "GET", 401),
        ("/manager/x", True, (), "GET", 403),
        ("/secure/x", True, (b"Content-Length: 2000",), "POST", 413),
        ("/odd/a;b", True, (), "GET", 400),
    ],
)
async def test_a_page_can_read_every_answer_of_the_route(
    site: Site, path: str, credential: bool, fields: tuple[bytes, ...], method: str, status: int
) -> None:
    """Refusals too: else it could not tell an expired token from a gateway that is down."""
    running, _, client = await shop(site)
    said = (running.people.ada.field,) if credential else ()
    answer = await client.ask(path, b"Origin: " + APP.encode(), *said, *fields, method=method)
    assert (answer.status, cors_of(answer)) == (
        status,
        {
            "access-control-allow-origin": APP,
            "access-control-allow-credentials": "true",
            "access-control-expose-headers": "x-mycelium-request-id",
        },
    )
    assert answer.one(b"vary") == b"origin"


async def test_a_page_can_read_that_the_upstream_is_down(site: Site) -> None:
    """502 with the same headers."""
    running = await site.gateway("http://127.0.0.1:9", routes=ROUTES)
    answer = await (await site.client(running)).ask("/open/x", b"Origin: " + APP.encode())
    assert (answer.status, cors_of(answer)["access-control-allow-origin"]) == (502, APP)


@pytest.mark.parametrize("fields", [(), (b"Origin: " + EVIL.encode(),), (b"Origin: null",)])
async def test_another_page_is_told_nothing(site: Site, fields: tuple[bytes, ...]) -> None:
    """The request is served as any other: who may is decided by the credential, not by the page."""
    running, _, client = await shop(site)
    answer = await client.ask("/secure/x", running.people.ada.field, *fields)
    assert (answer.status, cors_of(answer), answer.one(b"vary")) == (200, {}, b"origin")


async def test_two_origins_are_told_nothing(site: Site) -> None:
    """No browser sends them."""
    _, _, client = await shop(site)
    answer = await client.ask("/open/x", b"Origin: " + APP.encode(), b"Origin: " + APP.encode())
    assert cors_of(answer) == {}


async def test_what_the_upstream_says_to_pages_is_replaced_and_its_vary_stays(site: Site) -> None:
    """On a route with cors."""
    own = (
        b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Private-Network: true\r\n"
        b"access-control-expose-headers: x-secret\r\nVary: Accept-Encoding\r\nContent-Length: 0\r\n\r\n"
    )
    _, _, client = await shop(site, own)
    answer = await client.ask("/open/x", b"Origin: " + APP.encode())
    assert answer.all(b"access-control-allow-origin") == [APP.encode()]
    assert answer.all(b"access-control-expose-headers") == [b"x-mycelium-request-id"]
    assert answer.all(b"access-control-allow-private-network") == []
    assert answer.all(b"vary") == [b"Accept-Encoding", b"origin"]


async def test_everybody_is_everybody_without_cookies(site: Site) -> None:
    """The origin is not named, and a credential does not go with it."""
    _, _, client = await shop(site)
    answer = await client.ask("/any/x", b"Origin: " + EVIL.encode())
    assert cors_of(answer) == {"access-control-allow-origin": "*"}
    assert "access-control-allow-credentials" not in cors_of(await preflight(client, "/any/x", origin=EVIL))


async def test_a_page_of_the_open_net_does_not_reach_into_a_private_one(site: Site) -> None:
    """A browser that asks for it is not told yes."""
    _, _, client = await shop(site)
    answer = await preflight(client, "/open/x", b"Access-Control-Request-Private-Network: true")
    assert (answer.status, cors_of(answer)) == (204, {**ALLOWED, "access-control-allow-methods": "GET, OPTIONS, HEAD"})


async def test_a_client_of_http_10_gets_its_preflight_answered(site: Site) -> None:
    """And its connection closed, as it did not ask for another request."""
    _, _, client = await shop(site)
    fields = (b"Origin: " + APP.encode(), b"Access-Control-Request-Method: GET")
    answer = await client.ask("/secure/x", *fields, method="OPTIONS", version="HTTP/1.0")
    assert (answer.status, answer.one(b"connection")) == (204, b"close")
    assert await client.rest() == b""


async def test_a_preflight_is_logged_with_its_route(site: Site) -> None:
    """204 without a reason, and 403 with it."""
    running, _, client = await shop(site)
    await preflight(client)
    await preflight(client, origin=EVIL)
    lines = await running.lines()
    assert [(line["status"], line.get("reason"), line["route"]) for line in lines] == [
        (204, None, "GET,POST /secure/**"),
        (403, "cors_refused", "GET,POST /secure/**"),
    ]


# the built-in endpoints


async def test_the_built_in_endpoints_have_no_word_for_other_origins_unless_given(site: Site) -> None:
    """Off: a preflight is a method that is not there."""
    _, _, client = await shop(site, login={"mployr": {}})
    assert (await preflight(client, "/v1/login", method="POST", headers="content-type")).status == 405
    answer = await client.ask("/v1/me", b"Origin: " + APP.encode())
    assert (answer.status, cors_of(answer), answer.all(b"vary")) == (401, {}, [])


async def test_pages_of_other_origins_may_log_in_where_that_is_said(site: Site) -> None:
    """Preflight and answer, whatever the application answers."""
    _, _, client = await shop(site, login={"mployr": {}, "cors": {"origins": [APP]}})
    answer = await preflight(client, "/v1/login", method="POST", headers="content-type")
    assert (answer.status, cors_of(answer)["access-control-allow-methods"]) == (204, "POST")
    assert (await preflight(client, "/v1/login", method="GET")).status == 405
    answer = await client.ask("/v1/me", b"Origin: " + APP.encode())
    assert (answer.status, cors_of(answer)) == (401, {"access-control-allow-origin": APP})
    assert cors_of(await client.ask("/v1/me", b"Origin: " + EVIL.encode())) == {}


async def test_the_path_of_a_built_in_endpoint_is_not_logged_for_its_preflight(site: Site) -> None:
    """It may hold a token."""
    running, _, client = await shop(site, login={"cors": {"origins": [APP]}})
    assert (await preflight(client, "/_adm/beginners/tokens", method="GET")).status == 204
    (line,) = await running.lines()
    assert line["path"] is None or "path" not in line


# WebSockets


@pytest.mark.parametrize(
    ("origin", "status", "code"),
    [(APP, 101, None), (None, 101, None), (EVIL, 403, "origin_refused"), ("null", 403, "origin_refused")],
)
async def test_whose_pages_may_open_a_websocket(site: Site, origin: str | None, status: int, code: str | None) -> None:
    """S-24: a page that is not listed cannot use its visitor's cookies; what sends no Origin is no page."""

    async def switch(line: Any) -> None:
        await line.request()
        line.send(SWITCH)
        await line.gone()

    upstream = await site.upstream(switch)
    route = {"path": "/ws", "access": "public", "websocket": {"origins": [APP]}}
    running = await site.gateway(upstream, routes=[route])
    client = await site.client(running)
    fields = [field for field in HANDSHAKE if not field.startswith(b"Origin")]
    if origin is not None:
        fields.append(b"Origin: " + origin.encode())
    await client.send(b"\r\n".join((b"GET /ws HTTP/1.1", b"Host: gateway.test", *fields, b"", b"")))
    answer = await client.head()
    assert answer.status == status
    assert len(upstream.requests) == (status == 101)
    if code is not None:
        assert json.loads(await client.body(answer))["code"] == code
