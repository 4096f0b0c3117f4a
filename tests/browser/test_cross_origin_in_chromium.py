"""CORS as a browser means it: pages of other origins, with fetch and WebSocket, and what they can read."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from harness.fixtures import people, pytest_asyncio_loop_factories, site
from harness.site import Running
from harness.site import Site as Gateways
from harness.upstream import Line, Upstream, answering

from browser.chromium import Browser

__all__ = ["people", "pytest_asyncio_loop_factories", "site"]

PAGE = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 12\r\n\r\n<p>page</p>\n"
DATA = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n{"a":1}'
# What a page's script sees: all of an answer, or that there is none for it.
FETCH = """fetch(%s, %s).then(async r => ({
    status: r.status, id: r.headers.get('x-mycelium-request-id'), body: await r.text(),
}), e => e.name)"""
OPEN = """new Promise(done => { const s = new WebSocket(%s);
    s.onopen = () => done('open'); s.onerror = () => done('refused'); })"""


@dataclass
class Shop:
    """A gateway, the service behind it, and two places that pages come from: the first is allowed."""

    gateway: Running
    upstream: Upstream
    app: Upstream
    evil: Upstream

    def url(self, path: str, scheme: str = "http") -> str:
        host, port = self.gateway.gateway.address
        return f"{scheme}://{host}:{port}{path}"


def routes(origins: list[str]) -> list[Mapping[str, Any]]:
    cors = {"origins": origins, "methods": ["GET"], "expose": ["x-mycelium-request-id"]}
    return [
        {"path": "/open", "access": "public", "cors": cors},
        {"path": "/secure", "access": "protected", "cors": cors},
        {"path": "/cookies", "access": "public", "cors": {**cors, "credentials": True}},
        {"path": "/any", "access": "public", "cors": {"origins": ["*"]}},
        {"path": "/none", "access": "public"},
        {"path": "/ws", "access": "public", "websocket": {"origins": origins}},
    ]


async def shop(site: Gateways, browser: Browser, *, foreign: bool = False, script: Any = None) -> Shop:
    """With the page open in the browser."""
    upstream = await site.upstream(script or answering(DATA))
    app, evil = await site.upstream(answering(PAGE)), await site.upstream(answering(PAGE))
    login = {"mployr": {}, "cors": {"origins": [app.url]}}
    made = Shop(await site.gateway(upstream, routes=routes([app.url]), login=login), upstream, app, evil)
    await browser.open((evil if foreign else app).url)
    return made


async def fetched(browser: Browser, url: str, **options: Any) -> Any:
    return await browser.evaluate(FETCH % (json.dumps(url), json.dumps(options)))


def bearer(running: Running) -> dict[str, str]:
    return {"Authorization": f"Bearer {running.people.ada.token}"}


async def test_a_page_reads_what_its_caller_may(site: Gateways, browser: Browser) -> None:
    """With a credential, which takes a preflight, and with the header that is exposed."""
    made = await shop(site, browser)
    got = await fetched(browser, made.url("/secure"), headers=bearer(made.gateway))
    assert (got["status"], got["body"], len(got["id"])) == (200, '{"a":1}', 36)


async def test_a_page_reads_that_its_token_is_no_good(site: Gateways, browser: Browser) -> None:
    """The gateway's own 401, whole."""
    made = await shop(site, browser)
    got = await fetched(browser, made.url("/secure"), headers={"Authorization": "Bearer nobody"})
    assert (got["status"], json.loads(got["body"])["code"]) == (401, "invalid_credential")
    assert made.upstream.lines == []


async def test_a_page_of_another_origin_reads_nothing(site: Gateways, browser: Browser) -> None:
    """Its preflight is refused, and the request is never sent."""
    made = await shop(site, browser, foreign=True)
    assert await fetched(browser, made.url("/secure"), headers=bearer(made.gateway)) == "TypeError"
    assert made.upstream.lines == []
    assert [(line["method"], line["reason"]) for line in await made.gateway.lines()] == [("OPTIONS", "cors_refused")]


async def test_a_simple_request_of_another_origin_is_sent_and_not_read(site: Gateways, browser: Browser) -> None:
    """CORS is about reading: what such a request may do, its route says."""
    made = await shop(site, browser, foreign=True)
    assert await fetched(browser, made.url("/open")) == "TypeError"
    assert len(made.upstream.requests) == 1


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/open", {"method": "PUT"}),
        ("/open", {"headers": {"x-other": "1"}}),
        ("/none", {}),
        ("/open", {"credentials": "include"}),
    ],
)
async def test_what_is_not_listed_an_allowed_page_cannot_do_either(
    site: Gateways, browser: Browser, path: str, options: dict[str, object]
) -> None:
    """Another method, another header, a route without cors, cookies where they are not allowed."""
    made = await shop(site, browser)
    assert await fetched(browser, made.url(path), **options) == "TypeError"


async def test_cookies_go_along_where_they_are_allowed(site: Gateways, browser: Browser) -> None:
    """And the answer can be read."""
    made = await shop(site, browser)
    await browser.evaluate("document.cookie = 'a=b'")  # cookies do not know ports
    got = await fetched(browser, made.url("/cookies"), credentials="include")
    assert (got["status"], made.upstream.requests[0].one(b"cookie")) == (200, b"a=b")


async def test_everybody_may_read_what_is_everybodys(site: Gateways, browser: Browser) -> None:
    """But not with cookies."""
    made = await shop(site, browser, foreign=True)
    assert (await fetched(browser, made.url("/any")))["status"] == 200
    assert await fetched(browser, made.url("/any"), credentials="include") == "TypeError"


async def test_a_preflight_is_remembered(site: Gateways, browser: Browser) -> None:
    """For max_age: of three requests one is asked about."""
    made = await shop(site, browser)
    for _ in range(3):
        assert (await fetched(browser, made.url("/secure"), headers=bearer(made.gateway)))["status"] == 200
    assert [line["method"] for line in await made.gateway.lines()] == ["OPTIONS", "GET", "GET", "GET"]


async def test_a_page_logs_in(site: Gateways, browser: Browser) -> None:
    """At the gateway's own endpoint: a JSON body takes a preflight."""
    made = await shop(site, browser)
    options = {
        "method": "POST",
        "headers": {"Content-Type": "application/json"},
        "body": '{"email":"a","password":"b"}',
    }
    assert (await fetched(browser, made.url("/v1/login"), **options))["status"] == 401


async def test_a_page_of_another_origin_does_not_log_in(site: Gateways, browser: Browser) -> None:
    """It cannot even try."""
    made = await shop(site, browser, foreign=True)
    options = {"method": "POST", "headers": {"Content-Type": "application/json"}, "body": "{}"}
    assert await fetched(browser, made.url("/v1/login"), **options) == "TypeError"
    assert [line["method"] for line in await made.gateway.lines()] == ["OPTIONS"]


async def _switch(line: Line) -> None:
    got = await line.request()
    key = got.one(b"sec-websocket-key") + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
    accept = base64.b64encode(hashlib.sha1(key, usedforsecurity=False).digest())
    line.send(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
        accept, b"\r\n\r\n",
    )  # fmt: skip
    await line.gone()


@pytest.mark.parametrize(("foreign", "told"), [(False, "open"), (True, "refused")])
async def test_whose_pages_open_a_websocket(site: Gateways, browser: Browser, foreign: bool, told: str) -> None:
    """S-24: CORS does not hold for them, so the gateway looks."""
    made = await shop(site, browser, foreign=foreign, script=_switch)
    assert await browser.evaluate(OPEN % json.dumps(made.url("/ws", "ws"))) == told
    assert len(made.upstream.requests) == (not foreign)
