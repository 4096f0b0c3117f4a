"""S-53: a login that is begun here and approved there (Navak's API): what the device holds is not what the mail has,
nobody approves by accident, and one poll gets the session. Its errors are that API's own: pending, denied and expired
have one answer, so that a poll tells a stranger nothing; `slow_down` of RFC 8628 is 429 with Retry-After.
"""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from conformance.adapters import ADAPTERS, MOUNTS
from dialects.desk import Desk
from dialects.navak import AUTH, FORM, NOT_READY, begun, decide, login, named, page, poll

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def test_s53_the_devices_secret_is_not_the_mails(desk: Desk) -> None:
    """Neither is in what the other one sees: the mail, the page, the answer to the device."""
    one = named(desk)
    auth_id, link = begun(desk, one)
    shown = page(desk, link).body.decode()
    mails = "".join(str(mail.get_body()) for mail in desk.host.mails(one.email))
    assert UUID4.fullmatch(auth_id)
    assert (len(link), auth_id in shown, auth_id in mails, auth_id == link) == (43, False, False, False)


def test_s53_the_devices_secrets_do_not_repeat(desk: Desk) -> None:
    """122 random bits each, as its API's UUIDs have: fifty are fifty, and differ from one another by half of them."""
    one = named(desk)
    found = []
    for _ in range(50):
        desk.hand.rest()
        found.append(int(login(desk, one.username, one.email).json()["auth_id"].replace("-", ""), 16))
    apart = [(a ^ b).bit_count() for a, b in pairwise(found)]
    assert (len(set(found)), min(apart) > 30) == (50, True)


def test_s53_the_page_says_what_where_and_when(desk: Desk) -> None:
    """Who approves knows which login it is: the name, the platform, the address, the time, and how long it is good."""
    one = named(desk)
    _, link = begun(desk, one, platform="Telescope 7")
    shown = page(desk, link).body.decode()
    assert all(text in shown for text in (one.username, "Telescope 7", "127.0.0.1", "UTC", "15 minutes"))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "purpose", [{}, {"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}, {"X-Moz": "prefetch"}]
)
def test_s53_opening_approves_nothing(desk: Desk, method: str, purpose: dict[str, str]) -> None:
    """Any number of times, by a scanner or by a browser that looks ahead."""
    auth_id, link = begun(desk, named(desk))
    found = {desk.ask(method, f"{AUTH}/confirm/{link}", headers=purpose).status for _ in range(5)}
    assert (found, poll(desk, auth_id).json()) == ({200}, NOT_READY)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_s53_another_sites_form_approves_nothing(desk: Desk, site: str) -> None:
    """A page that somebody made for the victim's browser."""
    auth_id, link = begun(desk, named(desk))
    answer = desk.ask("POST", f"{AUTH}/confirm/{link}", b"decision=approve", headers={**FORM, "Sec-Fetch-Site": site})
    assert (answer.status, poll(desk, auth_id).json()) == (403, NOT_READY)


@pytest.mark.parametrize("body", [b"", b"decision=", b"decision=maybe", b"decision=approve&decision=deny", b"x=1"])
def test_s53_only_the_button_approves(desk: Desk, body: bytes) -> None:
    """Not a form without it, nor one that says both."""
    auth_id, link = begun(desk, named(desk))
    answer = desk.ask("POST", f"{AUTH}/confirm/{link}", body, headers=FORM)
    assert (400 <= answer.status < 500, poll(desk, auth_id).json()) == (True, NOT_READY)


def test_s53_whoever_begins_cannot_approve(desk: Desk) -> None:
    """By what the device holds, in no form; and the mail's holder cannot poll."""
    auth_id, link = begun(desk, named(desk))
    found = [decide(desk, one).status for one in (auth_id, auth_id.replace("-", ""), "x" * 43)]
    found += [poll(desk, link).status, poll(desk, link[:36]).status]
    assert (all(status >= 400 for status in found), poll(desk, auth_id).json()) == (True, NOT_READY)


def test_s53_pending_denied_expired_and_unknown_look_alike(desk: Desk) -> None:
    """Body for body: a stranger who guesses learns nothing."""
    pending, _ = begun(desk, named(desk))
    denied, link = begun(desk, named(desk))
    assert decide(desk, link, "deny").status == 200
    one = named(desk)
    expired, late = begun(desk, one)
    answers = [poll(desk, name) for name in (pending, denied, "0b5f1d0e-6f0a-4c66-9a83-4a4f7f0d9b11")]
    desk.hand.ahead += 15 * 60 + 1
    gone = decide(desk, late).status
    answers.append(poll(desk, expired))
    assert {(answer.status, answer.body) for answer in answers} == {(400, answers[0].body)}
    assert (answers[0].json(), gone >= 400) == (NOT_READY, True)


def test_s53_a_denied_login_cannot_be_approved_after_all(desk: Desk) -> None:
    """Nor one that was approved be denied into another's hands."""
    auth_id, link = begun(desk, named(desk))
    decide(desk, link, "deny")
    decide(desk, link, "approve")
    assert poll(desk, auth_id).json() == NOT_READY


def test_s53_a_poll_that_comes_too_soon_is_slowed_down(desk: Desk) -> None:
    """429 with how long to wait, and it is no failure: the next one in time gets the session."""
    auth_id, link = begun(desk, named(desk))
    poll(desk, auth_id)
    early = [desk.ask("GET", f"{AUTH}/session/{auth_id}") for _ in range(5)]
    decide(desk, link)
    assert ({answer.status for answer in early}, early[0].headers["Retry-After"]) == ({429}, "1")
    assert poll(desk, auth_id).status == 200


def test_s53_one_of_fifty_polls_gets_the_session(desk: Desk) -> None:
    """At once, by two who hold the same secret; and none after it."""
    auth_id, link = begun(desk, named(desk))
    decide(desk, link)
    desk.hand.rested += 1
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: desk.ask("GET", f"{AUTH}/session/{auth_id}"), range(50)))
    found = Counter(answer.status for answer in answers)
    after = [poll(desk, auth_id).json() for _ in range(3)]
    (won,) = [answer.json()["session_token"] for answer in answers if answer.status == 200]
    sessions = len(desk.ask("GET", f"{AUTH}/sessions", token=won).json())
    assert (set(found) <= {200, 400, 429}, after, sessions) == (True, [NOT_READY] * 3, 1)


def test_s53_no_other_api_takes_what_is_on_the_way(desk: Desk) -> None:
    """Neither half of it is a credential, approved or not."""
    auth_id, link = begun(desk, named(desk))
    paths = ["/secure/x", "/_adm/beginners/profile", *(api.mine for api in ADAPTERS if api.mine)]
    before = {desk.ask("GET", path, token=one).status for path in paths for one in (auth_id, link)}
    decide(desk, link)
    after = {desk.ask("GET", path, token=one).status for path in paths for one in (auth_id, link)}
    assert (before, after, MOUNTS["navak"]) == ({401}, {401}, AUTH)
