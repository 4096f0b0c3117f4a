"""The pages of approvals as a browser takes them: readable, within their policy, and each button says what it is."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from harness.client import Answer, Client
from harness.fixtures import people, pytest_asyncio_loop_factories, site
from harness.people import PUBLIC_URL
from harness.site import Running, until
from harness.site import Site as Gateways

from browser.chromium import Browser
from gateway.login.dialect import Reply
from gateway.login.pages.decisions import DecisionPages, DecisionView

__all__ = ["people", "pytest_asyncio_loop_factories", "site"]

VIEW = DecisionView(
    "approval", "yun", "yun@example.org", "2026-06-01 12:00 UTC", "cURL", "192.0.2.7", 9, False, False
)  # fmt: skip
LONG = replace(VIEW, username="y" * 32, platform="x" * 64, address=f"a@{'long.' * 40}example", ip="2001:db8:" * 4)
PAGES = DecisionPages("gateway.example")
REPLIES = {
    "ask": PAGES.question(VIEW),
    "code": PAGES.question(replace(VIEW, needs_code=True, elsewhere=True)),
    "wrong": PAGES.question(replace(VIEW, needs_code=True), wrong=True),
    "address": PAGES.question(replace(VIEW, question="new_email")),
    "long": PAGES.question(replace(LONG, needs_code=True, elsewhere=True)),
    "approved": PAGES.decided("approved"),
    "denied": PAGES.decided("denied"),
    "gone": PAGES.gone(),
}
LOOKS = [(390, 844, False), (390, 844, True), (1280, 800, False), (1280, 800, True)]


class Desk:
    """Serves the replies by name, and keeps what the forms send."""

    def __init__(self) -> None:
        self.posted: list[dict[str, str]] = []
        application = web.Application()
        application.router.add_get("/{name}", self._get)
        application.router.add_post("/{name}", self._post)
        self.server = TestServer(application)

    def url(self, name: str) -> str:
        return str(self.server.make_url(f"/{name}"))

    async def _get(self, request: web.Request) -> web.Response:
        found = REPLIES.get(request.match_info["name"])
        return web.Response(status=404) if found is None else response(found)

    async def _post(self, request: web.Request) -> web.Response:
        self.posted.append({name: str(value) for name, value in (await request.post()).items()})
        return response(REPLIES["approved"])


def response(reply: Reply) -> web.Response:
    headers = {"Content-Type": reply.content_type, **reply.headers}
    return web.Response(status=reply.status, body=reply.body, headers=headers)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    await made.server.start_server()
    yield made
    await made.server.close()


@pytest.mark.parametrize("name", sorted(REPLIES))
async def test_a_page_fits_a_phone_and_a_desk(browser: Browser, desk: Desk, tmp_path: Path, name: str) -> None:
    """By day and by night, within its own policy. The pictures stay in tmp_path for whoever wants to see."""
    await browser.open(desk.url(name))
    for width, height, dark in LOOKS:
        await browser.look(width, height, dark)
        shot = tmp_path / f"{name}-{width}-{'dark' if dark else 'light'}.png"
        await asyncio.to_thread(shot.write_bytes, await browser.screenshot())
        assert await browser.evaluate("document.documentElement.scrollWidth") <= width
    assert [line for line in browser.complaints if "violates" in line] == []


@pytest.mark.parametrize("decision", ["approve", "deny"])
async def test_a_button_says_which_it_is(browser: Browser, desk: Desk, decision: str) -> None:
    """By its own name and value."""
    await browser.look(390, 1200, dark=False)
    await browser.open(desk.url("ask"))
    await browser.click(f"button[value={decision}]")
    assert desk.posted == [{"decision": decision}]


async def test_the_code_goes_along(browser: Browser, desk: Desk) -> None:
    """As it was typed."""
    await browser.look(390, 1200, dark=False)
    await browser.open(desk.url("code"))
    await browser.evaluate("document.querySelector('input').value = '048151'")
    await browser.click("button[value=approve]")
    assert desk.posted == [{"code": "048151", "decision": "approve"}]


async def test_the_field_has_its_label(browser: Browser, desk: Desk) -> None:
    """For those who do not see the page, and the fault with it."""
    await browser.open(desk.url("wrong"))
    assert "authenticator app" in await browser.evaluate("document.querySelector('input').labels[0].innerText")
    told = "document.getElementById(document.querySelector('input').getAttribute('aria-describedby')).innerText"
    assert "not right" in await browser.evaluate(told)


async def post(client: Client, path: str, body: object) -> Answer:
    return await client.ask(path, b"Content-Type: application/json", method="POST", body=json.dumps(body).encode())


async def mailed(running: Running) -> str:
    """The page of the only mail, at the gateway's own address."""
    folder = running.people.folder / "var/outbox"
    await until(lambda: list(folder.glob("*.eml")))
    (letter,) = [path.read_text() for path in folder.glob("*.eml")]
    found = re.search(rf"{re.escape(PUBLIC_URL)}(/auth/confirm/\S+)", letter)
    assert found
    host, port = running.gateway.address
    return f"http://{host}:{port}{found[1]}"


async def test_a_mail_leads_to_a_session(site: Gateways, browser: Browser) -> None:
    """Link, Approve, poll, and the service behind the proxy."""
    running = await site.gateway(await site.upstream(), login={"navak": {}})
    client = await site.client(running)
    login = {"username": "ada", "email": "ada@example.org", "session_platform": "cURL"}
    begun = json.loads((await post(client, "/auth/login", login)).body)
    await browser.look(390, 1200, dark=False)
    await browser.open(await mailed(running))
    await browser.click("button[value=approve]")
    assert "approved" in await browser.text()
    claimed = await client.ask(f"/auth/session/{begun['auth_id']}")
    field = b"Authorization: Bearer " + json.loads(claimed.body)["session_token"].encode()
    assert (claimed.status, (await client.ask("/secure/x", field)).status) == (200, 200)
    assert browser.complaints == []
