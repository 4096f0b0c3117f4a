"""Logins by approval: who gets a session, and who learns what."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.people import People

from .desk import BASE, LINKS, Desk, Person
from .navak import AUTH, LINK, NOT_READY, Named, begun, decide, door, login, named, page, poll, register, session

DAY = 86400.0
DENIED = re.compile(r"(.*the login was denied.*)", re.DOTALL)
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def shared(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Of this API."""
    with door(tmp_path_factory.mktemp("navak"), people) as found:
        yield found


def person(desk: Desk, one: Named) -> Person:
    """As Mycelium's API has it."""
    return Person(one.email, one.account, "")


def profile(desk: Desk, token: str) -> object:
    return desk.ask("GET", f"{BASE}/profile", token=token).json()


def test_a_session_passes_at_the_proxy(desk: Desk) -> None:
    """As a bearer token."""
    assert desk.passes(session(desk))


def test_a_session_has_the_profile_of_the_accounts_other_credentials(desk: Desk) -> None:
    """Whatever API it came from."""
    one = named(desk)
    assert profile(desk, session(desk, one)) == profile(desk, desk.login(person(desk, one)))


def test_a_registered_session_passes_at_the_proxy(desk: Desk) -> None:
    """Without an address, too."""
    assert desk.passes(register(desk).json()["session_token"])


@pytest.mark.parametrize("header", ["token", "string"])
def test_an_auth_id_is_no_credential(desk: Desk, header: str) -> None:
    """Not even once it is approved."""
    auth_id, link = begun(desk, named(desk))
    assert decide(desk, link).status == 200
    token, string = (auth_id, None) if header == "token" else (None, auth_id)
    paths = ("/secure/x", f"{AUTH}/sessions", f"{BASE}/profile")
    assert {desk.ask("GET", path, token=token, string=string).status for path in paths} == {401}


def test_a_link_is_no_credential(desk: Desk) -> None:
    """It approves, and no more."""
    _, link = begun(desk, named(desk))
    assert {desk.ask("GET", path, token=link).status for path in ("/secure/x", f"{AUTH}/sessions")} == {401}


def test_a_link_is_of_no_use_to_a_login_by_magic_link(desk: Desk) -> None:
    """Whoever denied it on the page would not expect a session."""
    _, link = begun(desk, named(desk))
    verified = desk.post(f"{LINKS}/verify", {"token": link})
    shown = desk.ask("POST", f"{LINKS}/display/{link}")
    assert (verified.status, shown.status, page(desk, link).status) == (401, 401, 200)


def test_a_magic_link_is_of_no_use_here(desk: Desk) -> None:
    """Nor does trying use it up."""
    one = named(desk)
    link = desk.link(person(desk, one))
    assert (decide(desk, link).status, desk.post(f"{LINKS}/verify", {"token": link}).status) == (401, 200)


def test_a_link_is_not_an_auth_id_and_the_reverse(desk: Desk) -> None:
    """Who begins and who approves hold different secrets."""
    auth_id, link = begun(desk, named(desk))
    assert (decide(desk, auth_id).status, poll(desk, link).status) == (401, 400)


def test_opening_the_link_approves_nothing(desk: Desk) -> None:
    """Mail scanners open links, with GET and with HEAD."""
    auth_id, link = begun(desk, named(desk))
    for method in ("GET", "HEAD", "GET"):
        assert desk.ask(method, f"{AUTH}/confirm/{link}").status == 200
    assert (poll(desk, auth_id).json(), decide(desk, link).status) == (NOT_READY, 200)


@pytest.mark.parametrize("wrong", ["username", "email"])
def test_a_wrong_pair_gets_a_decoy(desk: Desk, wrong: str) -> None:
    """Of the same form; nobody is mailed, and the poll never comes to an end."""
    one, other = named(desk), named(desk)
    pair = (other.username, one.email) if wrong == "username" else (one.username, other.email)
    answer = login(desk, *pair)
    body = answer.json()
    right = login(desk, one.username, one.email)
    desk.host.mailed(one.email, LINK)
    mails = [*desk.host.mails(one.email), *desk.host.mails(other.email)]
    assert (answer.status, sorted(body), len(mails)) == (right.status, sorted(right.json()), 1)
    assert UUID4.fullmatch(body["auth_id"])
    assert poll(desk, body["auth_id"]).json() == NOT_READY


def test_a_wrong_pair_ends_no_login_of_others(desk: Desk) -> None:
    """Who knows an address alone can do nothing to its owner."""
    one = named(desk)
    auth_id, link = begun(desk, one)
    for _ in range(3):
        assert login(desk, "somebody", one.email).status == 200
    assert login(desk, "somebody", one.email).status == 429
    assert (decide(desk, link).status, poll(desk, auth_id).status) == (200, 200)
    assert login(desk, one.username, one.email).status == 200


def test_a_decoy_polled_twice_is_slowed_down_too(desk: Desk) -> None:
    """As any other."""
    auth_id = login(desk, "nobody", "nobody@example.org").json()["auth_id"]
    answers = [desk.ask("GET", f"{AUTH}/session/{auth_id}").status for _ in range(2)]
    assert answers == [400, 429]


def test_a_newer_login_ends_the_older(desk: Desk) -> None:
    """One question at a time: its link is gone as well."""
    one = named(desk)
    _, older = begun(desk, one)
    _, newer = begun(desk, one)
    assert (page(desk, older).status, page(desk, newer).status) == (401, 200)


def test_one_of_parallel_decisions_counts(desk: Desk) -> None:
    """Approve and deny at the same moment."""
    auth_id, link = begun(desk, named(desk))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda what: decide(desk, link, what).status, ["approve", "deny"] * 4))
    assert sorted(answers) == [200] + [401] * 7
    assert poll(desk, auth_id).status in (200, 400)


@pytest.mark.parametrize(("seconds", "status"), [(15 * 60 - 5, 200), (15 * 60, 401)])
def test_a_link_lives_for_fifteen_minutes(desk: Desk, seconds: float, status: int) -> None:
    """As its mail says."""
    _, link = begun(desk, named(desk))
    desk.hand.ahead += seconds
    assert page(desk, link).status == status


def test_the_expiration_date_is_in_fifteen_minutes(desk: Desk) -> None:
    """In whole seconds since the epoch."""
    one = named(desk)
    told = login(desk, one.username, one.email).json()["expiration_date"]
    assert 0 <= desk.hand.now() + 900 - told < 5


@pytest.mark.parametrize(("days", "passes"), [(89.99, True), (90.01, False)])
def test_a_session_ends_after_ninety_days_without_use(desk: Desk, days: float, passes: bool) -> None:
    """Idle, since it was made."""
    token = register(desk).json()["session_token"]
    desk.hand.ahead += days * DAY
    assert desk.passes(token) is passes


def test_a_session_that_nobody_used_is_not_listed(desk: Desk) -> None:
    """What does not pass any more is none."""
    one = named(desk)
    session(desk, one)
    desk.hand.ahead += 91 * DAY
    assert len(desk.ask("GET", f"{AUTH}/sessions", token=session(desk, one)).json()) == 1


def test_a_session_lives_for_a_year(desk: Desk) -> None:
    """Absolutely."""
    (held,) = desk.ask("GET", f"{AUTH}/sessions", token=session(desk)).json()
    assert held["expiration_date"] - held["created_at"] in (365 * 86400, 365 * 86400 + 1)


def test_sessions_are_told_apart_by_platform(desk: Desk) -> None:
    """Newest first; the one that asks is marked."""
    one = named(desk)
    session(desk, one, "phone")
    desk.hand.ahead += 1
    found = desk.ask("GET", f"{AUTH}/sessions", token=session(desk, one, "desk <b>")).json()
    assert [(held["session_platform"], held["current"]) for held in found] == [("desk <b>", True), ("phone", False)]


def test_an_ended_session_passes_nowhere(desk: Desk) -> None:
    """At once."""
    one = named(desk)
    lost = session(desk, one)
    assert desk.passes(lost)
    (held,) = desk.ask("GET", f"{AUTH}/sessions", token=lost).json()
    assert desk.ask("DELETE", f"{AUTH}/sessions/{held['id']}", token=session(desk, one)).status == 204
    assert not desk.passes(lost)


# the second factor


def test_a_second_factor_is_asked_for_on_the_page(desk: Desk) -> None:
    """And the login is one with two factors then."""
    one = named(desk)
    app = desk.app(person(desk, one))
    auth_id, link = begun(desk, one)
    assert 'name="code"' in page(desk, link).body.decode()
    assert decide(desk, link, code=desk.code(app.secret)).status == 200
    assert poll(desk, auth_id).status == 200
    (grant,) = [one for one in desk.host.do(desk.host.store.grants.grants(one.account)) if one.dialect == "navak"]
    assert (grant.aal, grant.amr, grant.restricted) == (2, ("email", "otp"), False)


def test_without_a_second_factor_no_code_is_asked_for(desk: Desk) -> None:
    """Nor is one looked at."""
    _, link = begun(desk, named(desk))
    assert 'name="code"' not in page(desk, link).body.decode()
    assert decide(desk, link, code="rubbish").status == 200


@pytest.mark.parametrize("code", ["", "wrong"])
def test_a_wrong_code_shows_the_page_again(desk: Desk, code: str) -> None:
    """And approves nothing."""
    one = named(desk)
    app = desk.app(person(desk, one))
    auth_id, link = begun(desk, one)
    answer = decide(desk, link, code=desk.wrong(app.secret) if code else "")
    assert (answer.status, "The code is not right" in answer.body.decode()) == (400, True)
    assert poll(desk, auth_id).json() == NOT_READY


def test_five_wrong_codes_end_the_login(desk: Desk) -> None:
    """Even the right one is too late then."""
    one = named(desk)
    app = desk.app(person(desk, one))
    auth_id, link = begun(desk, one)
    for _ in range(5):
        decide(desk, link, code=desk.wrong(app.secret))
        desk.hand.rest()
    assert (page(desk, link).status, decide(desk, link, code=desk.code(app.secret)).status) == (401, 401)
    assert poll(desk, auth_id).json() == NOT_READY


def test_denying_needs_no_code(desk: Desk) -> None:
    """Whoever lost the app can still say no."""
    one = named(desk)
    desk.app(person(desk, one))
    _, link = begun(desk, one)
    assert decide(desk, link, "deny").status == 200


def test_a_denied_login_is_told_to_its_account(desk: Desk) -> None:
    """Who asked, from where and when: as the page had it, and with no link of a stranger's words."""
    one = named(desk)
    _, link = begun(desk, one, "evil.example")
    when = re.search(r"<dt>When</dt><dd>([^<]+)</dd>", page(desk, link).body.decode())
    assert when is not None
    desk.hand.ahead += 300
    decide(desk, link, "deny")
    text = desk.host.mailed(one.email, DENIED)
    told = (f"When: {when[1]}\n", "From the address: 127.0.0.1\n", "With: evil example\n")
    assert [words for words in told if words not in text.replace("\r\n", "\n")] == []


def test_a_recovery_code_approves_once(desk: Desk) -> None:
    """As it does elsewhere."""
    one = named(desk)
    app = desk.app(person(desk, one))
    statuses = [decide(desk, begun(desk, one)[1], code=app.codes[0]).status for _ in range(2)]
    assert statuses == [200, 400]


def test_a_login_approved_with_a_recovery_code_says_so(desk: Desk) -> None:
    """An API behind the gateway may ask for the app itself (RFC 8176)."""
    one = named(desk)
    app = desk.app(person(desk, one))
    auth_id, link = begun(desk, one)
    decide(desk, link, code=app.codes[0])
    assert poll(desk, auth_id).status == 200
    (grant,) = [one for one in desk.host.do(desk.host.store.grants.grants(one.account)) if one.dialect == "navak"]
    assert (grant.aal, grant.amr, grant.restricted) == (2, ("email", "recovery"), False)


def test_a_factor_that_came_meanwhile_ends_the_login(desk: Desk) -> None:
    """Though it was approved before."""
    one = named(desk)
    auth_id, link = begun(desk, one)
    assert decide(desk, link).status == 200
    desk.app(person(desk, one))
    assert poll(desk, auth_id).json() == NOT_READY


def test_a_disabled_account_gets_no_session(desk: Desk) -> None:
    """Though it was approved before."""
    one = named(desk)
    auth_id, link = begun(desk, one)
    assert decide(desk, link).status == 200
    desk.host.do(desk.accounts.disable(one.account))
    assert poll(desk, auth_id).json() == NOT_READY


# what is told


def test_the_page_tells_who_asks(desk: Desk) -> None:
    """With what came from a stranger escaped, and the address masked."""
    one = named(desk)
    _, link = begun(desk, one, "<script>x</script>")
    text = page(desk, link).body.decode()
    told = (one.username, "y***@example.org", "127.0.0.1", "UTC", "&lt;script&gt;x&lt;/script&gt;")
    assert [words for words in told if words not in text] == []
    assert "<script" not in text


def test_the_mail_makes_no_link_of_a_strangers_words(desk: Desk) -> None:
    """A platform such as evil.example would be one to mail programs."""
    one = named(desk)
    begun(desk, one, "go to evil.example/now")
    part = desk.host.mails(one.email)[-1].get_body(("plain",))
    assert part is not None
    text = part.get_content()
    assert ("go to evil example now" in text, "evil.example" in text) == (True, False)


def test_no_log_has_an_auth_id_or_a_link(people: People, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whoever reads it could take a login over."""
    with door(tmp_path_factory.mktemp("logs"), people) as desk:
        auth_id, link = begun(desk, named(desk))
        page(desk, link)
        decide(desk, link)
        token = poll(desk, auth_id).json()["session_token"]
        assert desk.passes(token)
        desk.host.do(desk.host.stop())
        log = desk.host.access_log() + json.dumps([str(line) for line in desk.host.running.log.__dict__.values()])
    assert [secret for secret in (auth_id, link, token) if secret in log] == []
    assert f"{AUTH}/session/{{auth_id}}" in log
