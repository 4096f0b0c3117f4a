"""Swagger UI as a browser takes it: from the gateway alone, within the page's own policy."""

import pytest
from harness.fixtures import people, site
from harness.people import People
from harness.site import Running, Site

from browser.chromium import Browser
from gateway.app.logins import admin_api

__all__ = ["people", "site"]


@pytest.fixture
async def running(site: Site) -> Running:
    return await site.gateway(await site.upstream())


def address(running: Running) -> str:
    host, port = running.gateway.address
    return f"http://{host}:{port}"


async def appears(browser: Browser, condition: str) -> None:
    """Waits until an expression is true in the page, looking once per frame."""
    looked = f"new Promise(next => {{ const look = () => {condition} ? next(true) : setTimeout(look, 20); look(); }})"
    assert await browser.evaluate(looked)


async def click(browser: Browser, selector: str) -> None:
    """What a script draws, once it is there."""
    await appears(browser, f"document.querySelector({selector!r}) !== null")
    await browser.evaluate(f"document.querySelector({selector!r}).click()")


async def opened(browser: Browser, running: Running) -> None:
    await browser.open(f"{address(running)}/_adm/docs")
    wanted = sum(len(methods) for methods in admin_api().document()["paths"].values())  # type: ignore[attr-defined]
    await appears(browser, f"document.querySelectorAll('.opblock').length === {wanted}")


async def test_it_shows_every_operation_and_complains_of_nothing(browser: Browser, running: Running) -> None:
    """The console is empty: no violation of the policy, no file that is missing."""
    await opened(browser, running)
    text = await browser.text()
    assert "Gateway account and admin API" in text
    assert "/_adm/api/v1/tenants/{tenantId}/invitations" in text
    assert browser.complaints == []


async def test_it_asks_nobody_but_the_gateway(browser: Browser, running: Running) -> None:
    """No CDN, no validator, no font from elsewhere."""
    await opened(browser, running)
    asked = await browser.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert len([url for url in asked if url.startswith("http")]) >= 4
    assert [url for url in asked if not url.startswith((f"{address(running)}/_adm/", "data:"))] == []


async def test_it_can_be_tried_there(browser: Browser, running: Running, people: People) -> None:
    """With a token, a call is sent and its answer shown."""
    await opened(browser, running)
    await click(browser, ".authorize")
    await appears(browser, "document.querySelector('.auth-container input') !== null")
    await browser.evaluate(
        "(() => { const field = document.querySelector('.auth-container input');"
        "Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(field, "
        f"{people.ada.token!r}); field.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"
    )
    await click(browser, ".auth-btn-wrapper .authorize")
    await click(browser, ".btn-done")
    block = "#operations-own_account-listOwnSessions"
    for selector in (".opblock-summary-control", ".try-out__btn", ".execute"):
        await click(browser, f"{block} {selector}")
    shown = f"(document.querySelector('{block} .live-responses-table')?.innerText ?? '')"
    await appears(browser, f"{shown}.includes({people.ada.grant_id!r})")
    assert browser.complaints == []
