"""S-52: a code that was mailed bears five tries, its successor voids it, and there are so many of them and no more."""

import json
from collections import Counter

import pytest
from harness.client import Answer
from harness.site import Site
from identity.core.desk import ADA, BASE, BOB, JSON, Desk, seated
from identity.core.world import wrong_code

from .test_s50_lockout import HOME, OFFICE, street

NEW = "another horse battery"
TRIES = 5


async def issued(desk: Desk, kind: str) -> str:
    """A code that was just mailed, or that the page of a mail shows."""
    return await desk.code(await desk.link(BOB)) if kind == "link" else await desk.reset_code(BOB)


async def tried(desk: Desk, kind: str, code: str) -> int:
    """The status."""
    if kind == "link":
        return (await desk.call("POST", "users/magic-link/verify", {"email": BOB, "code": code})).status
    return (await desk.call("POST", "users/reset-password", {"email": BOB, "token": code, "newPassword": NEW})).status


both = pytest.mark.parametrize("kind", ["link", "reset"])


@both
@pytest.mark.parametrize(("wrong", "good"), [(TRIES - 1, True), (TRIES, False)])
async def test_s52_a_code_bears_five_tries(site: Site, kind: str, wrong: int, good: bool) -> None:
    """Both sides; the limits of guesses are off here: it is the code's own."""
    desk = await seated(site)
    code = await issued(desk, kind)
    for _ in range(wrong):
        await tried(desk, kind, wrong_code(code))
    assert (await tried(desk, kind, code) in (200, 204)) is good


@both
async def test_s52_a_code_is_good_once(site: Site, kind: str) -> None:
    """Also in the same second."""
    desk = await seated(site)
    code = await issued(desk, kind)
    found = [await tried(desk, kind, code) for _ in range(3)]
    assert [status in (200, 204) for status in found] == [True, False, False]


@both
async def test_s52_a_newer_code_voids_the_older(site: Site, kind: str) -> None:
    """And has five tries of its own, which are not added to the older one's: one is live at a time."""
    desk = await seated(site)
    old, middle, new = [await issued(desk, kind) for _ in range(3)]
    found = [await tried(desk, kind, code) for code in (old, middle) if code != new]
    assert (all(status >= 400 for status in found), await tried(desk, kind, new) in (200, 204)) == (True, True)


async def test_s52_a_newer_link_voids_the_older(site: Site) -> None:
    """The link itself, and the page that shows its code."""
    desk = await seated(site)
    old, new = await desk.link(BOB), await desk.link(BOB)
    page = (await desk.call("GET", f"users/magic-link/display/{old}")).status
    found = [(await desk.call("POST", "users/magic-link/verify", {"token": token})).status for token in (old, new)]
    assert (page, found) == (401, [401, 200])


@pytest.mark.parametrize(("kind", "minutes"), [("link", 15), ("reset", 15)])
async def test_s52_a_code_is_over_after_its_minutes(site: Site, kind: str, minutes: int) -> None:
    """As the mail says."""
    desk = await seated(site)
    code = await issued(desk, kind)
    desk.running.hand.ahead += minutes * 60 + 1
    assert await tried(desk, kind, code) >= 400


async def asked(desk: Desk, path: str, address: str, network: str) -> Answer:
    field = b"X-Forwarded-For: " + network.encode()
    return await desk.send("POST", f"{BASE}/users/{path}", JSON, field, body=json.dumps({"email": address}).encode())


MAILS = ("magic-link/request", "start-password-reset")


@pytest.mark.parametrize("address", [ADA, "nobody@example.org"])
async def test_s52_three_issues_to_an_address(site: Site, address: str) -> None:
    """In a quarter of an hour, of any kind, from any number of networks; also to who does not exist."""
    desk = await street(site)
    answers = [await asked(desk, MAILS[number % 2], address, f"198.51.100.{number}") for number in range(6)]
    waits = [answer.all(b"retry-after") for answer in answers]
    desk.running.hand.rested += 900
    later = await asked(desk, MAILS[0], address, OFFICE)
    assert [answer.status for answer in answers] == [200] * 3 + [429] * 3
    assert ([bool(wait) for wait in waits], later.status) == ([False] * 3 + [True] * 3, 200)


async def test_s52_ten_issues_of_a_network(site: Site) -> None:
    """In an hour, to whomever; another network goes on."""
    desk = await street(site)
    answers = [await asked(desk, MAILS[0], f"somebody-{number}@example.org", HOME) for number in range(12)]
    other = await asked(desk, MAILS[0], BOB, OFFICE)
    assert ([answer.status for answer in answers], other.status) == ([200] * 10 + [429] * 2, 200)


async def test_s52_all_codes_of_an_address_together_bear_few_guesses(site: Site) -> None:
    """As many issues as there may be, as many guesses at each, a network for each guess: fifteen of a million at most
    in a quarter of an hour, and the account's own limit is met before that."""
    desk = await street(site)
    statuses: list[int] = []
    for issue in range(5):
        await asked(desk, MAILS[0], BOB, f"198.51.100.{issue}")
        for number in range(10):
            body = json.dumps({"email": BOB, "code": f"{number:06d}"}).encode()
            field = b"X-Forwarded-For: 198.51.%d.%d" % (101 + issue, number)
            statuses.append((await desk.send("POST", f"{BASE}/users/magic-link/verify", JSON, field, body=body)).status)
    found = Counter(statuses)
    assert (found[429] + found[401] + found[400], found[401] + found[400] <= 3 * TRIES) == (50, True)


async def test_s52_what_is_no_code_is_a_try(site: Site) -> None:
    """Another number of digits, other people's digits, letters: none is compared as something else, and all count."""
    desk = await seated(site)
    code = await desk.reset_code(BOB)
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in code)
    found = [await tried(desk, "reset", text) for text in (code[:-1], f"{code}0", wide, "abcdef", f"{code}{code}")]
    assert ([status >= 400 for status in found], await tried(desk, "reset", code)) == ([True] * TRIES, 401)
