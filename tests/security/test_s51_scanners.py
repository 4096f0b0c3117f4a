"""S-51: a scanner that opens every link of a mail, as often as it likes, uses up nothing."""

import re
import sqlite3

import pytest
from conformance.adapters import ADAPTERS, someone
from dialects.desk import Desk as Every
from harness.site import Site
from identity.core.desk import BASE, BOB, Desk, seated


def page(token: str, how: str) -> str:
    """Both forms of a link."""
    return f"{BASE}/users/magic-link/display" + (f"/{token}" if how == "path" else f"?token={token}&email={BOB}")


def state(desk: Desk) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(desk.running.people.folder / "gateway.db")
    try:
        return connection.execute("SELECT * FROM challenge").fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize("how", ["path", "query"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_s51_opening_a_link_changes_nothing(site: Site, method: str, how: str) -> None:
    """Twenty times: the row of the challenge stays as it was, and the link logs in afterwards."""
    desk = await seated(site)
    token = await desk.link(BOB)
    before = state(desk)
    answers = [(await desk.send(method, page(token, how))).status for _ in range(20)]
    assert (set(answers), state(desk)) == ({200}, before)
    await desk.done("POST", "users/magic-link/verify", {"token": token})


async def test_s51_a_scanner_does_not_learn_the_code(site: Site) -> None:
    """It is shown to who presses the button."""
    desk = await seated(site)
    token = await desk.link(BOB)
    opened = [(await desk.send("GET", page(token, how))).body for how in ("path", "query")]
    code = (await desk.code(token)).encode()
    assert not any(code in body for body in opened)


async def test_s51_pressing_the_button_logs_nobody_in(site: Site) -> None:
    """It shows a code, for whoever began the login: without token, cookie or redirect for the browser that pressed."""
    desk = await seated(site)
    answer = await desk.send("POST", page(await desk.link(BOB), "path"), body=b"")
    hints = [answer.all(name) for name in (b"set-cookie", b"location", b"refresh")]
    assert (answer.status, hints, b"eyJ" in answer.body) == (200, [[], [], []], False)


async def test_s51_the_button_may_be_pressed_again(site: Site) -> None:
    """The same code: a page that is reloaded is no second challenge."""
    desk = await seated(site)
    token = await desk.link(BOB)
    codes = {await desk.code(token) for _ in range(5)}
    (code,) = codes
    await desk.done("POST", "users/magic-link/verify", {"email": BOB, "code": code})


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_s51_no_other_method_reaches_a_link(site: Site, method: str) -> None:
    """It is not there for them."""
    desk = await seated(site)
    assert (await desk.send(method, page(await desk.link(BOB), "path"))).status in (404, 405)


async def test_s51_a_used_link_looks_like_one_that_never_was(site: Site) -> None:
    """And so does its page."""
    desk = await seated(site)
    used = await desk.link(BOB)
    await desk.done("POST", "users/magic-link/verify", {"token": used})
    never = used[::-1]
    pages = [await desk.send("GET", page(token, "path")) for token in (used, never)]
    assert (pages[0].status, pages[0].body) == (pages[1].status, pages[1].body)
    assert pages[0].status == 401


async def test_s51_a_page_does_not_pass_its_address_on(site: Site) -> None:
    """The token stands in it: no referrer, no cache, no frame."""
    desk = await seated(site)
    answer = await desk.send("GET", page(await desk.link(BOB), "query"))
    found = [answer.one(name) for name in (b"referrer-policy", b"cache-control", b"x-frame-options")]
    assert found == [b"no-referrer", b"no-store", b"DENY"]


AHEAD = (b"Sec-Purpose: prefetch", b"Sec-Purpose: prefetch;prerender", b"Purpose: prefetch", b"X-Moz: prefetch")


async def test_s51_a_browser_that_looks_ahead_changes_nothing(site: Site) -> None:
    """Nor does a scanner with the name of one, or without a name."""
    desk = await seated(site)
    token = await desk.link(BOB)
    before = state(desk)
    agents = (
        b"User-Agent: Mozilla/5.0 (compatible; MSIE 9.0)",
        b"User-Agent:",
        b"User-Agent: Slackbot-LinkExpanding 1.0",
    )
    for field in (*AHEAD, *agents):
        assert (await desk.send("GET", page(token, "path"), field)).status == 200
    assert state(desk) == before
    await desk.done("POST", "users/magic-link/verify", {"token": token})


async def test_s51_pressing_in_another_browser_leaves_the_login_where_it_was_begun(site: Site) -> None:
    """Another browser than the one that asked shows the code, any number of times; only who types it is logged in."""
    desk = await seated(site)
    token = await desk.link(BOB)
    pressed = [
        await desk.send("POST", page(token, "path"), b"User-Agent: other/%d" % number, body=b"") for number in range(3)
    ]
    code = await desk.code(token)
    done = await desk.done("POST", "users/magic-link/verify", {"email": BOB, "code": code})
    assert {(answer.status, done["token"].encode() in answer.body) for answer in pressed} == {(200, False)}


INVITED = re.compile(r"/_adm/invitations/([\w-]{43})\s")


def test_s51_opening_an_invitation_takes_nothing(desk: Every) -> None:
    """Its page tells what to do with it; it is taken by a call of whoever has that address."""
    owner, guest = someone(desk), someone(desk)
    token = ADAPTERS[0].enter(desk, owner)
    said = {"email": guest.email, "role": "manager", "permission": "read"}
    path = f"/_adm/api/v1/tenants/{owner.tenant}/invitations"
    assert desk.post(path, said, token).status in (200, 201)
    invitation = desk.host.mailed(guest.email, INVITED)
    opened = {
        desk.ask(method, f"/_adm/invitations/{invitation}").status for method in ("GET", "HEAD") for _ in range(5)
    }
    mine = ADAPTERS[0].enter(desk, guest)
    taken = desk.post("/_adm/api/v1/invitations/accept", {"token": invitation}, mine).status
    assert (opened, taken) == ({200}, 200)
