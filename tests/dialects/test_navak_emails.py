"""Addresses of accounts: nothing but wishes until a link was confirmed."""

import re
from collections.abc import Iterator

import pytest
from harness.people import People

from .desk import BASE, LINKS, PASSWORD, Desk, Person
from .navak import AUTH, LINK, Named, begun, decide, door, fresh_name, login, named, page, poll, register, session


@pytest.fixture(scope="module")
def shared(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Of this API."""
    with door(tmp_path_factory.mktemp("navak"), people) as found:
        yield found


def registered(desk: Desk, email: str | None = None) -> tuple[Named, str]:
    """With the session's token. Nothing is confirmed yet."""
    name = fresh_name()
    address = email or f"{name}@example.org"
    answer = register(desk, username=name, email=address)
    assert answer.status == 200, answer.body
    return Named(name, address, ""), str(answer.json()["session_token"])


def shown(desk: Desk, token: str) -> str:
    """The account's address, as its profile has it."""
    return str(desk.ask("GET", f"{BASE}/profile", token=token).json()["owners"][0]["email"])


def wish(desk: Desk, token: str, email: str) -> str:
    """The token of the link."""
    answer = desk.ask("PUT", f"{AUTH}/email", {"email": email}, token=token)
    assert answer.status == 200, answer.body
    return desk.host.mailed(email, LINK)


def mailed_subjects(desk: Desk, address: str) -> list[str]:
    return [str(message["Subject"]) for message in desk.host.mails(address)]


def test_an_address_is_not_the_accounts_before_it_is_confirmed(desk: Desk) -> None:
    """Not in the profile, and not in the headers that services get."""
    one, token = registered(desk)
    assert (shown(desk, token), desk.passes(token)) == ("", True)
    values = [value for _, value in desk.host.upstream.requests[-1].fields]
    assert [value for value in values if one.email.encode() in value] == []


def test_it_is_once_the_link_was_confirmed(desk: Desk) -> None:
    """At once, for sessions that are there already."""
    one, token = registered(desk)
    assert shown(desk, token) == ""
    assert decide(desk, desk.host.mailed(one.email, LINK)).status == 200
    assert shown(desk, token) == one.email


def test_opening_the_link_confirms_nothing(desk: Desk) -> None:
    """Mail scanners open links."""
    one, token = registered(desk)
    answer = page(desk, desk.host.mailed(one.email, LINK))
    assert ("Is this account yours?" in answer.body.decode(), shown(desk, token)) == (True, "")


def test_a_denied_address_stays_out(desk: Desk) -> None:
    """And the link is gone."""
    one, token = registered(desk)
    link = desk.host.mailed(one.email, LINK)
    assert (decide(desk, link, "deny").status, decide(desk, link).status, shown(desk, token)) == (200, 401, "")


def test_an_unproven_address_does_not_log_in(desk: Desk) -> None:
    """By this API or another."""
    one, _ = registered(desk)
    desk.host.mailed(one.email, LINK)
    assert login(desk, one.username, one.email).status == 200
    assert desk.post(f"{LINKS}/request", {"email": one.email}).status == 200
    assert decide(desk, begun(desk, named(desk))[1]).status == 200  # a later mail has gone
    assert len(desk.host.mails(one.email)) == 1


def test_a_confirmed_address_logs_in(desk: Desk) -> None:
    """On another device, as the seed says."""
    one, _ = registered(desk)
    decide(desk, desk.host.mailed(one.email, LINK))
    assert desk.passes(session(desk, one))


def test_its_link_is_of_no_use_to_a_login_by_magic_link(desk: Desk) -> None:
    """Its mail went to whomever somebody named."""
    one, _ = registered(desk)
    assert desk.post(f"{LINKS}/verify", {"token": desk.host.mailed(one.email, LINK)}).status == 401


@pytest.mark.parametrize(("seconds", "status"), [(3595, 200), (3600, 401)])
def test_a_link_lives_for_an_hour(desk: Desk, seconds: float, status: int) -> None:
    """As its mail says."""
    one, _ = registered(desk)
    link = desk.host.mailed(one.email, LINK)
    desk.hand.ahead += seconds
    assert page(desk, link).status == status


def test_two_may_wish_for_an_address_and_one_gets_it(desk: Desk) -> None:
    """Who claims it first does not keep its owner from it."""
    thief, owner = registered(desk, "wanted@example.org"), registered(desk, "wanted@example.org")
    links = [desk.host.mailed("wanted@example.org", LINK) for _ in range(2)]
    assert [decide(desk, link).status for link in reversed(links)] == [200, 409]
    assert sorted([shown(desk, thief[1]), shown(desk, owner[1])]) == ["", "wanted@example.org"]


def test_registering_with_an_address_of_others_tells_nothing(desk: Desk) -> None:
    """The answer is the same; who reads the address learns of it."""
    one = named(desk)
    answer = register(desk, email=one.email)
    assert (answer.status, list(answer.json())) == (200, ["session_token"])
    assert decide(desk, desk.host.mailed(one.email, LINK)).status == 409


def test_an_address_is_changed_by_its_new_owner(desk: Desk) -> None:
    """And the old one is told."""
    one = named(desk)
    token, new = session(desk, one), f"new-{one.email}"
    link = wish(desk, token, new)
    assert shown(desk, token) == one.email
    assert (decide(desk, link).status, shown(desk, token)) == (200, new)
    assert desk.host.mailed(one.email, re.compile("(has another address now)"))


def test_the_old_address_does_not_log_in_any_more(desk: Desk) -> None:
    """Nor does what was mailed to it, approved or not."""
    one = named(desk)
    token = session(desk, one)
    auth_id, approval = begun(desk, one)
    assert decide(desk, approval).status == 200
    magic = desk.link(Person(one.email, one.account, ""))
    assert decide(desk, wish(desk, token, f"new-{one.email}")).status == 200
    assert (poll(desk, auth_id).status, desk.post(f"{LINKS}/verify", {"token": magic}).status) == (400, 401)
    assert desk.passes(session(desk, Named(one.username, f"new-{one.email}", one.account)))


def test_a_newer_wish_ends_the_older(desk: Desk) -> None:
    """Whoever mistyped the address does not wait for a stranger to confirm it."""
    one = named(desk)
    token = session(desk, one)
    older, newer = wish(desk, token, f"a-{one.email}"), wish(desk, token, f"b-{one.email}")
    assert (page(desk, older).status, page(desk, newer).status) == (401, 200)


def test_with_a_second_factor_the_change_asks_for_its_code(desk: Desk) -> None:
    """A stolen session alone does not take the account along."""
    one = named(desk)
    app = desk.app(Person(one.email, one.account, ""))
    link = wish(desk, app.token, f"new-{one.email}")
    assert (decide(desk, link).status, shown(desk, app.token)) == (400, one.email)
    assert decide(desk, link, code=desk.code(app.secret)).status == 200
    assert shown(desk, app.token) == f"new-{one.email}"


def test_the_same_address_again_is_no_change(desk: Desk) -> None:
    """Nobody is told of one."""
    one = named(desk)
    token = session(desk, one)
    assert decide(desk, wish(desk, token, one.email)).status == 200
    session(desk, one)
    assert [words for words in mailed_subjects(desk, one.email) if "was changed" in words] == []


def test_an_account_with_a_password_changes_its_address_with_it(desk: Desk) -> None:
    """A stolen token alone must not make it the thief's: a reset would be mailed to the new address."""
    person = desk.person()
    token, body = desk.login(person), {"email": f"{fresh_name()}@example.org"}
    without = desk.ask("PUT", f"{AUTH}/email", body, token=token)
    wrong = desk.ask("PUT", f"{AUTH}/email", {**body, "password": "not the password"}, token=token)
    right = desk.ask("PUT", f"{AUTH}/email", {**body, "password": PASSWORD}, token=token)
    assert (without.status, wrong.status, right.status) == (400, 400, 200)
    assert wrong.json() == {"error": "The current password is wrong."}


def test_a_proven_address_changes_only_just_after_a_login(desk: Desk) -> None:
    """Where there is no password to ask for."""
    one, token = registered(desk)
    decide(desk, desk.host.mailed(one.email, LINK))
    desk.host.hand.ahead += 301
    body = {"email": f"{fresh_name()}@example.org"}
    assert desk.ask("PUT", f"{AUTH}/email", body, token=token).status == 401
