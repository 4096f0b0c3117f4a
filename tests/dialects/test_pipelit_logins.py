"""Pipelit's logins in two calls: whom a second call belongs to, what it is worth elsewhere, how long keys live."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from e2e.world import Answer
from harness.people import People

from .desk import BASE, LINKS, TOTP
from .pipelit import AUTH, CREDENTIALS, ELSEWHERE, HERE, KEYS, Armed, Booth, pipelit

PROXY = {"listen": {"trusted_proxies": ["127.0.0.1"]}}  # so that a test can say where a request is from
WRONG = (401, CREDENTIALS)
BARRED = "MFA reset only allowed from localhost."


@pytest.fixture(scope="module")
def shared(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booth]:
    with pipelit(tmp_path_factory.mktemp("booth"), people, PROXY) as booth:
        yield booth


@pytest.fixture
def booth(shared: Booth) -> Booth:
    """With rested limits."""
    shared.hand.rest()
    return shared


@pytest.fixture(scope="module")
def strict_shared(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booth]:
    said = {"binding": "strict", "single_session": True, "reset": "off"}
    with pipelit(tmp_path_factory.mktemp("strict"), people, PROXY, **said) as booth:
        yield booth


@pytest.fixture
def strict(strict_shared: Booth) -> Booth:
    strict_shared.hand.rest()
    return strict_shared


def heard(answer: Answer) -> tuple[int, object]:
    return answer.status, answer.json()


def entered(answer: Answer) -> bool:
    """Whether it is a whole session."""
    return answer.status == 200 and len(answer.json()["key"]) == 43


def begun(booth: Booth, armed: Armed, **headers: str) -> str:
    """The mfa_token of a first call."""
    return str(booth.token(armed.username, **headers).json()["mfa_token"])


def cookie(answer: Answer) -> str:
    """As a browser sends it back."""
    return str(answer.headers["Set-Cookie"]).partition(";")[0]


# whom the second call belongs to


def test_the_second_call_needs_no_more_than_the_seeds_two_members(booth: Booth) -> None:
    """From the client that made the first."""
    armed = booth.armed()
    booth.token(armed.username, **HERE)
    assert entered(booth.second(armed.username, booth.code(armed.secret), **HERE))


def test_a_code_from_another_address_is_refused(booth: Booth) -> None:
    """Who has the code alone has not proved the password."""
    armed = booth.armed()
    booth.token(armed.username, **HERE)
    assert heard(booth.second(armed.username, booth.code(armed.secret), **ELSEWHERE)) == WRONG


def test_a_code_from_another_program_is_refused(booth: Booth) -> None:
    """At the same address others may be."""
    armed = booth.armed()
    booth.token(armed.username)
    assert heard(booth.second(armed.username, booth.code(armed.secret), user_agent="other/1")) == WRONG


def test_its_token_makes_up_for_the_address(booth: Booth) -> None:
    """Telephones roam."""
    armed = booth.armed()
    token = begun(booth, armed, **HERE)
    assert entered(booth.second(armed.username, booth.code(armed.secret), token=token, **ELSEWHERE))


def test_its_cookie_makes_up_for_the_address(booth: Booth) -> None:
    """Browsers send it by themselves."""
    armed = booth.armed()
    sent = cookie(booth.token(armed.username, **HERE))
    assert entered(booth.second(armed.username, booth.code(armed.secret), cookie=sent, **ELSEWHERE))


@pytest.mark.parametrize("token", ["", "A" * 43, "\ud800"])
def test_a_wrong_token_is_not_made_up_for_by_the_address(booth: Booth, token: str) -> None:
    """What is there and wrong is never as if it were absent."""
    armed = booth.armed()
    booth.token(armed.username)
    assert heard(booth.second(armed.username, booth.code(armed.secret), token=token)) == WRONG


@pytest.mark.parametrize("sent", ["pipelit_mfa=" + "A" * 43, "pipelit_mfa=", "pipelit_mfa=a; pipelit_mfa=b"])
def test_a_wrong_cookie_is_not_made_up_for_by_the_address(booth: Booth, sent: str) -> None:
    """Nor is one that came twice."""
    armed = booth.armed()
    booth.token(armed.username)
    assert heard(booth.second(armed.username, booth.code(armed.secret), cookie=sent)) == WRONG


def test_a_foreign_cookie_is_none(booth: Booth) -> None:
    """A page has others."""
    armed = booth.armed()
    booth.token(armed.username)
    assert entered(booth.second(armed.username, booth.code(armed.secret), cookie="a=b; pipelit=c"))


def test_a_token_is_its_own_users(booth: Booth) -> None:
    """Another's name with it is refused."""
    one, other = booth.armed(), booth.armed()
    token = begun(booth, one)
    assert heard(booth.second(other.username, booth.code(one.secret), token=token)) == WRONG


def test_a_token_of_a_login_without_second_factor_does_not_exist(booth: Booth) -> None:
    """There is no second call to make."""
    assert sorted(booth.token(booth.member().username).json()) == ["key", "requires_mfa"]


def test_the_strict_binding_wants_a_token(strict: Booth) -> None:
    """An address is not enough then."""
    armed = strict.armed()
    strict.token(armed.username)
    assert heard(strict.second(armed.username, strict.code(armed.secret))) == WRONG


@pytest.mark.parametrize("how", ["token", "cookie"])
def test_the_strict_binding_takes_token_and_cookie(strict: Booth, how: str) -> None:
    """Either of them."""
    armed = strict.armed()
    first = strict.token(armed.username)
    token = first.json()["mfa_token"] if how == "token" else None
    headers = {} if token else {"cookie": cookie(first)}
    assert entered(strict.second(armed.username, strict.code(armed.secret), token=token, **headers))


def test_the_cookie_is_for_this_api_and_for_no_script(booth: Booth) -> None:
    """Nor for another site's pages."""
    sent = SimpleCookie(booth.token(booth.armed().username).headers["Set-Cookie"])["pipelit_mfa"]
    assert (sent["path"], sent["httponly"], sent["samesite"], sent["secure"]) == (AUTH, True, "Strict", "")


# how often, and how long


def test_a_login_is_finished_once(booth: Booth) -> None:
    """Whoever records it gets nothing."""
    armed = booth.armed()
    token = begun(booth, armed)
    assert entered(booth.second(armed.username, booth.code(armed.secret), token=token))
    assert heard(booth.second(armed.username, booth.code(armed.secret), token=token)) == WRONG


def test_of_many_second_calls_at_once_one_wins(booth: Booth) -> None:
    """With the same code of the same login."""
    armed = booth.armed()
    token, code = begun(booth, armed), booth.code(armed.secret)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: booth.second(armed.username, code, token=token), range(8)))
    assert [entered(answer) for answer in answers].count(True) == 1


def test_a_code_counts_once(booth: Booth) -> None:
    """Upstream takes it again in the next step (RFC 6238 section 5.2)."""
    armed = booth.armed()
    code = booth.code(armed.secret)
    assert entered_with(booth, armed, code)
    booth.hand.ahead += 30
    booth.token(armed.username)
    assert heard(booth.second(armed.username, code)) == (401, {"detail": "Invalid TOTP code."})


def entered_with(booth: Booth, armed: Armed, code: str) -> bool:
    booth.token(armed.username)
    return entered(booth.second(armed.username, code))


def test_five_wrong_codes_end_a_login(booth: Booth) -> None:
    """Then the password has to be given anew."""
    armed = booth.armed()
    token = begun(booth, armed)
    for _ in range(5):
        assert booth.second(armed.username, booth.wrong(armed.secret), token=token).status == 401
        booth.hand.rest()
    assert heard(booth.second(armed.username, booth.code(armed.secret), token=token)) == WRONG


def test_strangers_do_not_use_up_a_login(booth: Booth) -> None:
    """Their codes are not even looked at."""
    armed = booth.armed()
    token = begun(booth, armed, **HERE)
    for _ in range(10):
        assert heard(booth.second(armed.username, "000000", **ELSEWHERE)) == WRONG
    assert entered(booth.second(armed.username, booth.code(armed.secret), token=token, **HERE))


@pytest.mark.parametrize(("seconds", "good"), [(200, True), (301, False)])
def test_a_login_waits_five_minutes(booth: Booth, seconds: int, good: bool) -> None:
    """For its second call."""
    armed = booth.armed()
    booth.token(armed.username)
    booth.hand.ahead += seconds
    assert entered(booth.second(armed.username, booth.code(armed.secret))) is good


@pytest.mark.parametrize(("days", "good"), [(6.9, True), (7.1, False)])
def test_a_key_that_nobody_uses_ends_within_a_week(booth: Booth, days: float, good: bool) -> None:
    """Upstream's never do."""
    key = booth.key()
    booth.hand.ahead += days * 86400
    assert booth.passes(key) is good


def test_logins_side_by_side_go_on(booth: Booth) -> None:
    """Upstream's second login ends the first."""
    member = booth.member()
    first = booth.key(member)
    second = booth.key(member)
    assert (booth.passes(first), booth.passes(second)) == (True, True)


def test_a_single_session_is_the_newest(strict: Booth) -> None:
    """As upstream's, where the operator wants that."""
    member = strict.member()
    first = strict.key(member)
    assert strict.passes(first)
    second = strict.key(member)
    assert (strict.passes(first), strict.passes(second)) == (False, True)


# what keys are worth


def profile(booth: Booth, key: str) -> object:
    return booth.ask("GET", f"{BASE}/profile", token=key).json()


@pytest.mark.parametrize("kind", ["session", "api key", "second factor"])
def test_a_key_has_the_profile_of_its_account(booth: Booth, kind: str) -> None:
    """The same as a login by another API."""
    member = booth.member()
    token = booth.post(f"{LINKS}/verify", {"token": booth.link(member.email)}).json()["token"]
    key, wanted = booth.key(member), profile(booth, token)
    if kind == "api key":
        key = str(booth.api_key(key).json()["key"])
    if kind == "second factor":
        armed = booth.armed(member)
        booth.token(armed.username)
        key = str(booth.second(armed.username, booth.code(armed.secret)).json()["key"])
    assert (booth.passes(key), profile(booth, key)) == (True, wanted)


def test_half_a_login_passes_nowhere(booth: Booth) -> None:
    """Not as a bearer token on a route either."""
    assert not booth.passes(begun(booth, booth.armed()))


def test_half_a_login_of_another_api_is_no_login_here(booth: Booth) -> None:
    """Mycelium's restricted token is refused."""
    member = booth.member()
    booth.armed(member)
    pending = booth.post(f"{LINKS}/verify", {"token": booth.link(member.email)}).json()["token"]
    assert booth.ask("GET", f"{AUTH}/me/", token=pending).status == 401


def test_a_session_of_another_api_is_known_here(booth: Booth) -> None:
    """It is the same account."""
    member = booth.member()
    token = booth.post(f"{LINKS}/verify", {"token": booth.link(member.email)}).json()["token"]
    assert booth.ask("GET", f"{AUTH}/me/", token=token).json()["username"] == member.username


def test_a_factor_of_one_api_is_asked_for_by_the_others(booth: Booth) -> None:
    """It is the account's."""
    member = booth.member()
    token = booth.post(f"{LINKS}/verify", {"token": booth.link(member.email)}).json()["token"]
    secret = booth.begun(token)
    assert booth.post(f"{TOTP}/validate-app", {"token": booth.code(secret)}, token).status == 200
    assert booth.token(member.username).json()["requires_mfa"] is True


def test_a_second_factor_ends_the_other_keys(booth: Booth) -> None:
    """API keys too; the session that set it up goes on."""
    member = booth.member()
    other = booth.key(member)
    api_key = str(booth.api_key(other).json()["key"])
    armed = booth.armed(member)
    assert (booth.passes(armed.key), booth.passes(other), booth.passes(api_key)) == (True, False, False)


def test_a_revoked_api_key_passes_no_more(booth: Booth) -> None:
    """At once, though it was believed a moment ago."""
    key = booth.key()
    made = booth.api_key(key).json()
    assert booth.passes(str(made["key"]))
    booth.ask("DELETE", f"{KEYS}/{made['id']}", token=key)
    assert not booth.passes(str(made["key"]))


def test_an_api_key_ends_when_it_was_told_to(booth: Booth) -> None:
    """With or without a zone, which is UTC then."""
    key = booth.key()
    made = booth.api_key(key, expires_at="2028-01-01T00:00:00").json()
    assert made["expires_at"] == "2028-01-01T00:00:00Z"


def test_strangers_learn_nobodys_name(booth: Booth) -> None:
    """Whatever there is of an account, both calls answer alike."""
    armed, plain = booth.armed(), booth.member()
    names = (armed.username, plain.username, "nobody")
    answers = [heard(booth.token(name, "wrong password")) for name in names]
    answers += [heard(booth.second(name, "000000", **ELSEWHERE)) for name in names]
    assert answers == [WRONG] * 6


# the emergency reset


def test_a_reset_is_for_this_machine_alone(booth: Booth) -> None:
    """Not for whom a proxy speaks for, whatever address it says."""
    armed = booth.armed()
    answers = [booth.auth("mfa/reset/", key=armed.key, **said) for said in (HERE, {"forwarded": "for=127.0.0.1"})]
    assert [heard(answer) for answer in answers] == [(403, {"detail": BARRED})] * 2


def test_a_reset_takes_the_factor_away(booth: Booth) -> None:
    """The next login asks for no code."""
    armed = booth.armed()
    assert booth.auth("mfa/reset/", key=armed.key).status == 200
    assert booth.token(armed.username).json()["requires_mfa"] is False


def test_a_reset_can_be_switched_off(strict: Booth) -> None:
    """For the machine itself too."""
    answer = strict.auth("mfa/reset/", key=strict.armed().key)
    assert heard(answer) == (403, {"detail": "MFA reset is switched off."})


# what is written down


def test_no_log_holds_a_secret(people: People, tmp_path: Path) -> None:
    """Of tokens and keys."""
    with pipelit(tmp_path, people) as booth:
        armed = booth.armed()
        token, code = begun(booth, armed), booth.code(armed.secret)
        key = str(booth.second(armed.username, code, token=token).json()["key"])
        made = str(booth.api_key(key).json()["key"])
        booth.host.do(booth.host.stop())
        written = booth.host.access_log() + json.dumps(booth.host.running.log.lines, default=repr)
    secrets = [armed.secret, armed.key, token, key, made, *armed.codes, armed.username]
    assert [secret for secret in secrets if secret in written] == []
