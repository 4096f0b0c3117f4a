"""A login by mail as its holder has it: the mail comes, its link is opened in a browser, the code is typed."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from harness.client import Answer, Client
from harness.fixtures import people, pytest_asyncio_loop_factories, site
from harness.people import PUBLIC_URL
from harness.site import Running, Site, until

from browser.chromium import Browser

__all__ = ["people", "pytest_asyncio_loop_factories", "site"]

ADA = "ada@example.org"
USERS = "/_adm/beginners/users"
LINK = re.compile(rf"{re.escape(PUBLIC_URL)}({USERS}/magic-link/display/\S+)")


async def post(client: Client, path: str, body: Mapping[str, str]) -> Answer:
    return await client.ask(path, b"Content-Type: application/json", method="POST", body=json.dumps(body).encode())


def letters(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.glob("*.eml")]


async def mailed(running: Running) -> str:
    """The page of the only mail, at the gateway's own address."""
    folder = running.people.folder / "var/outbox"
    await until(lambda: letters(folder))
    (letter,) = letters(folder)
    found = LINK.search(letter)
    assert found
    host, port = running.gateway.address
    return f"http://{host}:{port}{found[1]}"


async def test_a_mail_leads_to_a_session(site: Site, browser: Browser) -> None:
    """Link, button, code, token, and the service behind the proxy."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    client = await site.client(running)
    email = ADA
    assert json.loads((await post(client, f"{USERS}/magic-link/request", {"email": email})).body) == {"sent": True}
    await browser.open(await mailed(running))
    assert re.search(r"\b\d{6}\b", await browser.text()) is None
    await browser.click("button")
    found = re.search(r"\b(\d{6})\b", await browser.text())
    assert found
    entered = await post(client, f"{USERS}/magic-link/verify", {"email": email, "code": found[1]})
    field = b"Authorization: Bearer " + json.loads(entered.body)["token"].encode()
    assert (entered.status, (await client.ask("/secure/x", field)).status) == (200, 200)
    assert browser.complaints == []


async def test_a_link_that_was_used_says_so(site: Site, browser: Browser) -> None:
    """In words, and with a way on."""
    running = await site.gateway(await site.upstream())
    client = await site.client(running)
    await post(client, f"{USERS}/magic-link/request", {"email": ADA})
    page = await mailed(running)
    await post(client, f"{USERS}/magic-link/verify", {"token": page.rpartition("/")[2]})
    await browser.open(page)
    assert "does not work" in await browser.text()
