"""Paths that hold a secret: a link that was mailed stands in no log, however it is asked for."""

import pytest
from harness.site import Site

from gateway.app.observer import beginnings, hides


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        (b"/auth/session/LINK", True), (b"/AUTH/%2573ession%2fLINK", True), (b"/auth/session%3FLINK", True),
        (b"/auth;x/session;/LINK", True), (b"/auth/session;LINK", True), (b"/auth/session%3BLINK", True),
        (b"/auth/session%20LINK", True), (b"/auth/session%C2%A0LINK", True), (b"/auth/session%0ALINK", True),
        (b"/%20auth/session;LINK/x", True), (b"/auth/session", False), (b"/auth/sessions/7", False),
        (b"/auth/session%E2%80%8BLINK", True), (b"/auth/confirmed;x", True), (b"/orders/auth/session;7", False),
        (b"/auth/session.LINK", True), (b"/auth/session./LINK", True), (b"/auth/session_LINK", True),
        (b"/auth/%73essions/7", True), (b"/orders/auth/session/7", False), (b"/check/x", True), (b"/check", False),
        (b"/check/", False), (b"/checkout/x", False), (b"/checkout/J%C3%BCrgen", False), (b"/check;x/%C3%BC", True),
    ],
)  # fmt: skip
def test_what_goes_on_with_a_secret_is_hidden(path: bytes, hidden: bool) -> None:
    """However it is spelt. What begins with the same letters is told, where it is spelt plainly."""
    assert hides(beginnings([b"/auth/confirm", b"/auth/session", b"/Check/"]), path) is hidden


@pytest.mark.parametrize(("path", "hidden"), [(b"/auth/session/%b", True), (b"/%bauth/session/LINK", False)])
def test_no_more_is_unfolded_than_a_beginning_may_take(path: bytes, hidden: bool) -> None:
    """A path of 8 KiB costs no more than one of 1 KiB."""
    assert hides(beginnings([b"/auth/session"]), path % (b"%20" * 2500)) is hidden


DISPLAY = "/beginners/users/magic-link/display"


@pytest.mark.parametrize("base", ["/gw", "/a%20b", "/a-b;c"])
async def test_a_link_that_was_mailed_is_not_logged(site: Site, base: str) -> None:
    """Below the path of public_url, which a proxy takes away before; nor after a reload that moves the mount."""
    upstream = await site.upstream()
    running = await site.gateway(upstream, public_url=f"http://gateway.test{base}")
    client = await site.client(running)
    mailed = f"/_adm{DISPLAY}"
    await client.ask(f"{base}{mailed}/LINK")
    running.write(site.said(upstream, login={"mycelium": {"mount": "/_id"}}))
    assert await running.gateway.reload() == []
    for path in (f"{mailed}/LINK", f"{base}{mailed}/LINK", f"/_id{DISPLAY}/LINK", f"{mailed}%20LINK", "/orders"):
        await (await site.client(running)).ask(path)
    assert [line["path"] for line in await running.lines()] == [None] * 5 + ["/orders"]


ODD = (
    b"/%E2%80%8B_adm/beginners/users/magic-link/display/LINK",
    b"/%EF%BB%BF_adm/beginners/users/magic-link/display/LINK",
    b"/_adm%C2%85/beginners/users/magic-link/display/LINK",
    b"/_adm/begin%C2%ADners/users/magic-link/display/LINK",
    b"/_adm/beginners/users/magic%E2%80%91link/display/LINK",
    b"/_adm/beginners/users/magic-link/display%C2%A0LINK",
    "/_adm/beg\u00adinners/users/magic-link/display/LINK".encode(),
)


async def test_nor_as_programs_spell_it(site: Site) -> None:
    """Blanks of no width, soft hyphens and hyphens that do not break are put into what is copied."""
    running = await site.gateway(await site.upstream())
    for path in ODD:
        client = await site.client(running)
        await client.send(b"GET %b HTTP/1.1\r\nHost: gateway.test\r\n\r\n" % path)
        assert (await client.answer()).status in (400, 404)
    assert [line["path"] for line in await running.lines()] == [None] * len(ODD)


async def test_of_a_mount_of_the_decisions_that_was_given_up_links_are_hidden_alone(site: Site) -> None:
    """A route may have taken it, and a data plane may ask there still: Envoy puts what it asks about behind it."""
    upstream = await site.upstream()
    running = await site.gateway(upstream, decide={"mount": "/orders", "peers": ["127.0.0.1"]})
    client = await site.client(running)
    await client.ask("/orders/nginx")
    running.write(site.said(upstream))
    assert await running.gateway.reload() == []
    for path in ("/orders/nginx", f"/orders/envoy/_adm{DISPLAY}/LINK"):
        await client.ask(path)
    assert [line["path"] for line in await running.lines()] == [None, "/orders/nginx", None]


@pytest.mark.parametrize("mount", ["/-", "/-/decide"])
async def test_a_mount_of_few_letters_hides_nothing_beside_it(site: Site, mount: str) -> None:
    """However the others are spelt."""
    running = await site.gateway(await site.upstream(), decide={"mount": mount, "peers": ["127.0.0.1"]})
    others = ["/public/a%20b", "/public/x;v=1", "/decide/orders", "/_status/7", "/-x"]
    for path in (*others, f"{mount}/none/x", f"{mount}%20/none/x"):
        await (await site.client(running)).ask(path)
    assert [line["path"] for line in await running.lines()] == [*others, None, None]
