"""Paths that hold a secret: a link that was mailed stands in no log, however it is asked for."""

import pytest
from harness.site import Site

from gateway.app.observer import hides


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        (b"/auth/session/LINK", True), (b"/AUTH/%2573ession%2fLINK", True), (b"/auth/session%3FLINK", True),
        (b"/auth;x/session;/LINK", True), (b"/auth/session;LINK", True), (b"/auth/session%3BLINK", True),
        (b"/auth/session%20LINK", True), (b"/auth/session%C2%A0LINK", True), (b"/auth/session%0ALINK", True),
        (b"/%20auth/session;LINK/x", True), (b"/auth/session", False), (b"/auth/sessions/7", False),
        (b"/auth/sessions/7%2F8", False), (b"/auth/confirmed;x", True), (b"/orders/auth/session;7", False),
        (b"/auth/session.LINK", True), (b"/auth/session./LINK", True), (b"/auth/session_LINK", True),
        (b"/auth/%73essions/7", False), (b"/orders/auth/session/7", False),
    ],
)  # fmt: skip
def test_what_goes_on_with_a_secret_is_hidden(path: bytes, hidden: bool) -> None:
    """However it is spelt. What begins with the same letters is told, where it is spelt plainly."""
    assert hides((b"/auth/confirm", b"/auth/session"), path) is hidden


DISPLAY = "/beginners/users/magic-link/display"


async def test_a_link_that_was_mailed_is_not_logged(site: Site) -> None:
    """Below the path of public_url, which a proxy takes away before; nor after a reload that moves the mount."""
    upstream = await site.upstream()
    running = await site.gateway(upstream, public_url="http://gateway.test/gw")
    client = await site.client(running)
    mailed = f"/_adm{DISPLAY}"
    await client.ask(f"/gw{mailed}/LINK")
    running.write(site.said(upstream, login={"mycelium": {"mount": "/_id"}}))
    assert await running.gateway.reload() == []
    for path in (f"{mailed}/LINK", f"/gw{mailed}/LINK", f"/_id{DISPLAY}/LINK", f"{mailed}%20LINK", "/orders"):
        await client.ask(path)
    assert [line["path"] for line in await running.lines()] == [None] * 5 + ["/orders"]
