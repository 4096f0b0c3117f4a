"""The pages as a browser takes them: readable, within their own policy, and one click from the link to the code."""

import asyncio
import struct
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from browser.chromium import Browser
from gateway.login.dialect import Reply
from gateway.login.pages.render import LoginView, Pages

VIEW = LoginView("/ask", "ann@example.com", "25 November 2025, 14:05 UTC", "Firefox on Linux", "192.0.2.7", 9)
PAGES = Pages("Mycelium")
REPLIES = {
    "ask": PAGES.ask(VIEW),
    "code": PAGES.code(VIEW, "048151"),
    "gone": PAGES.gone(),
    "refused": PAGES.refused(429, "Too many attempts", "There were too many attempts from your network.", 47),
    "long": PAGES.ask(
        replace(
            VIEW, address=f"a@{'long.' * 40}example", platform="x" * 200, ip="2001:db8:1111:2222:3333:4444:5555:6666"
        )
    ),
    "styled": replace(PAGES.gone(), body=PAGES.gone().body.replace(b"<h1>", b'<h1 style="color: red">')),
}
LOOKS = [(390, 844, False), (390, 844, True), (1280, 800, False), (1280, 800, True)]


class Site:
    """Serves the replies by name; the button of the question gets the code."""

    def __init__(self) -> None:
        self.posted: list[web.BaseRequest] = []
        self.server = TestServer(self._application())

    def url(self, name: str) -> str:
        return str(self.server.make_url(f"/{name}"))

    def _application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/{name}", self._get)
        application.router.add_post("/ask", self._post)
        return application

    async def _get(self, request: web.Request) -> web.Response:
        found = REPLIES.get(request.match_info["name"])
        return web.Response(status=404) if found is None else response(found)

    async def _post(self, request: web.Request) -> web.Response:
        self.posted.append(request)
        return response(REPLIES["code"])


def response(reply: Reply) -> web.Response:
    headers = {"Content-Type": reply.content_type, **reply.headers}
    return web.Response(status=reply.status, body=reply.body, headers=headers)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    await made.server.start_server()
    yield made
    await made.server.close()


def size(path: Path) -> tuple[int, int]:
    """PNG section 11.2.2: IHDR comes first."""
    png = path.read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert png[12:16] == b"IHDR"
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ask", "a***@example.com"),
        ("code", "048151"),
        ("gone", "This link does not work"),
        ("refused", "Try again in 47 seconds."),
    ],
)
async def test_a_page_is_shown_as_its_policy_allows(browser: Browser, site: Site, name: str, words: str) -> None:
    """Its text is read, its style applied, and the console has nothing to complain about but the status."""
    await browser.open(site.url(name))
    assert words in await browser.text()
    assert await browser.evaluate("getComputedStyle(document.querySelector('main')).maxWidth") == "432px"
    assert [line for line in browser.complaints if "status of" not in line] == []


async def test_a_style_that_is_not_ours_is_refused(browser: Browser, site: Site) -> None:
    """So the test above would have noticed."""
    await browser.open(site.url("styled"))
    assert any("violates" in line for line in browser.complaints)
    assert await browser.evaluate("getComputedStyle(document.querySelector('h1')).color") != "rgb(255, 0, 0)"


async def test_the_button_leads_to_the_code(browser: Browser, site: Site) -> None:
    """One click, one POST."""
    await browser.open(site.url("ask"))
    assert site.posted == []
    await browser.click("button")
    assert "048151" in await browser.text()
    assert len(site.posted) == 1


async def test_the_button_tells_nobody_where_it_was(browser: Browser, site: Site) -> None:
    """The link's token is in the address; whoever checks the origin must take Sec-Fetch-Site."""
    await browser.open(site.url("ask"))
    await browser.click("button")
    sent = site.posted[0].headers
    assert (sent.get("Referer"), sent["Origin"], sent["Sec-Fetch-Site"]) == (None, "null", "same-origin")


async def test_the_keyboard_does_too(browser: Browser, site: Site) -> None:
    """The first stop is the button, and one sees that it is."""
    await browser.open(site.url("ask"))
    await browser.press("Tab")
    assert await browser.evaluate("document.activeElement.innerText") == "Show the code"
    assert await browser.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"


@pytest.mark.parametrize("name", ["ask", "code", "gone", "refused", "long"])
async def test_a_page_fits_a_phone_and_a_desk(browser: Browser, site: Site, tmp_path: Path, name: str) -> None:
    """By day and by night; nothing is cut off at the side. The pictures stay in tmp_path for whoever wants to see."""
    await browser.open(site.url(name))
    for width, height, dark in LOOKS:
        await browser.look(width, height, dark)
        shot = tmp_path / f"{name}-{width}-{'dark' if dark else 'light'}.png"
        await asyncio.to_thread(shot.write_bytes, await browser.screenshot())
        assert size(shot) == (width, height)
        assert await browser.evaluate("document.documentElement.scrollWidth") <= width
        ground = await browser.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(16, 18, 21)" if dark else "rgb(242, 244, 247)")


async def test_the_button_is_large_enough_for_a_thumb(browser: Browser, site: Site) -> None:
    """WCAG 2.5.5: 44 pixels each way."""
    await browser.look(390, 844, dark=False)
    await browser.open(site.url("ask"))
    assert await browser.evaluate("document.querySelector('button').getBoundingClientRect().height") >= 44
