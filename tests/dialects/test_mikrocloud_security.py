"""What MikroCloud's two calls must never do: mix up their tokens, show a live secret, enrol half."""

from concurrent.futures import ThreadPoolExecutor

import bcrypt
import pytest

from .desk import BASE, PASSWORD, TOTP
from .mikrocloud import LOGIN, Cloud


def test_the_auth_token_passes_at_the_proxy(cloud: Cloud) -> None:
    """As a bearer token."""
    assert cloud.desk.passes(cloud.entered(cloud.desk.person()))


def test_the_token_of_the_login_passes_nowhere_else(cloud: Cloud) -> None:
    """Neither at the proxy nor in another API."""
    token = cloud.token(cloud.desk.person())
    answers = [
        cloud.desk.ask("GET", "/secure/x", token=token),
        cloud.desk.ask("GET", f"{BASE}/profile", token=token),
        cloud.desk.post(f"{TOTP}/enable", token=token),
        cloud.desk.post(f"{BASE}/users/magic-link/verify", {"token": token}),
    ]
    assert [answer.status for answer in answers] == [401] * 4


def test_an_auth_token_is_no_token(cloud: Cloud) -> None:
    """Passport takes what login gave, and nothing else."""
    assert cloud.passport(cloud.entered(cloud.desk.person())).status == 401


def test_a_token_still_passes_after_it_was_tried_elsewhere(cloud: Cloud) -> None:
    """It is refused there, not spent."""
    token = cloud.token(cloud.desk.person())
    assert not cloud.desk.passes(token)
    assert cloud.passport(token).status == 200


def test_the_profile_is_that_of_the_accounts_other_credentials(cloud: Cloud) -> None:
    """Whatever API one logs in with."""
    person = cloud.desk.person()
    tokens = cloud.entered(person), cloud.desk.login(person)
    first, second = (cloud.desk.ask("GET", f"{BASE}/profile", token=token).json() for token in tokens)
    assert first == second


def test_an_auth_token_lives_for_a_day(cloud: Cloud) -> None:
    """Used often enough, 24 hours and no longer."""
    token = cloud.entered(cloud.desk.person())
    assert [cloud.passes(token, hours) for hours in (7, 7, 7, 2.9, 0.2)] == [True] * 4 + [False]


@pytest.mark.parametrize(("hours", "alive"), [(7.9, True), (8.1, False)])
def test_an_idle_auth_token_ends_after_eight_hours(cloud: Cloud, hours: float, alive: bool) -> None:
    """Since it was used last."""
    token = cloud.entered(cloud.desk.person())
    assert cloud.passes(token, 5)
    assert cloud.passes(token, hours) is alive


def test_one_of_parallel_passports_wins(cloud: Cloud) -> None:
    """A token is good once."""
    token = cloud.token(cloud.desk.person())
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(answer.status for answer in pool.map(lambda _: cloud.passport(token), range(8)))
    assert statuses == [200] + [401] * 7


# enrolment


def test_each_login_shows_another_secret(cloud: Cloud) -> None:
    """What one has seen is of no use with the other's."""
    person = cloud.required()
    assert cloud.drafted(person)[1] != cloud.drafted(person)[1]


def test_a_secret_that_was_shown_is_not_the_accounts(cloud: Cloud) -> None:
    """Until its code has come back."""
    person = cloud.required()
    cloud.drafted(person)
    assert not cloud.held(person)


def test_the_code_of_the_secret_shown_turns_the_factor_on(cloud: Cloud) -> None:
    """And the next login shows no secret."""
    person = cloud.required()
    token, secret = cloud.drafted(person)
    cloud.passed(token, cloud.code(secret))
    after = cloud.begun(person)
    assert (cloud.held(person), after["mfa_verified"], after["mfa_svg"]) == (True, True, None)


def test_the_code_that_enrolled_is_spent(cloud: Cloud) -> None:
    """RFC 6238 section 5.2."""
    person = cloud.required()
    token, secret = cloud.drafted(person)
    code = cloud.code(secret)
    cloud.passed(token, code)
    assert cloud.passport(cloud.token(person), code).json() == {"message": "Invalid one-time password"}


def test_the_recovery_codes_of_an_enrolment_work(cloud: Cloud) -> None:
    """In place of the app's code."""
    person = cloud.required()
    token, secret = cloud.drafted(person)
    codes = cloud.passed(token, cloud.code(secret))["recovery_codes"]
    assert cloud.passport(cloud.token(person), codes[3]).status == 200


def test_a_wrong_code_enrols_nothing(cloud: Cloud) -> None:
    """And the right one still does."""
    person = cloud.required()
    token, secret = cloud.drafted(person)
    assert cloud.passport(token, cloud.desk.wrong(secret)).status == 401
    assert not cloud.held(person)
    assert cloud.passport(token, cloud.code(secret)).status == 200


def test_five_wrong_codes_end_an_enrolment(cloud: Cloud) -> None:
    """The right one comes too late."""
    person = cloud.required()
    token, secret = cloud.drafted(person)
    for _ in range(5):
        cloud.passport(token, cloud.desk.wrong(secret))
        cloud.desk.hand.rest()
    assert cloud.passport(token, cloud.code(secret)).json() == {"message": "Invalid or expired token"}


def test_an_enrolment_overtakes_the_others_under_way(cloud: Cloud) -> None:
    """Two were shown a secret: one of them becomes the account's."""
    person = cloud.required()
    (first, one), (second, other) = cloud.drafted(person), cloud.drafted(person)
    code = cloud.code(other)
    assert cloud.passport(first, cloud.code(one)).status == 200
    assert cloud.passport(second, code).status == 401
    assert cloud.passport(cloud.token(person), cloud.code(one)).status == 200


def test_an_enrolment_ends_the_accounts_other_sessions(cloud: Cloud) -> None:
    """They have not proved the factor."""
    person = cloud.desk.person()
    before = cloud.desk.login(person)
    cloud.desk.host.do(cloud.desk.accounts.require_mfa(person.account, True))
    token, secret = cloud.drafted(person)
    after = cloud.passed(token, cloud.code(secret))["auth_token"]
    assert (cloud.desk.passes(before), cloud.desk.passes(str(after))) == (False, True)


def test_an_enrolment_is_told_by_mail(cloud: Cloud) -> None:
    """Whoever has the mailbox learns of a thief's."""
    person = cloud.required()
    token, secret = cloud.drafted(person)
    cloud.passed(token, cloud.code(secret))
    cloud.desk.hand.rest()
    cloud.desk.link(person)  # mails go in the order they were written in
    assert len(cloud.desk.host.mails(person.email)) == 2


def test_a_demand_for_a_factor_overtakes_a_login_under_way(cloud: Cloud) -> None:
    """It was begun without one."""
    person = cloud.desk.person()
    token = cloud.token(person)
    cloud.desk.host.do(cloud.desk.accounts.require_mfa(person.account, True))
    assert cloud.passport(token).status == 401


def test_an_account_with_a_factor_is_never_shown_a_secret(cloud: Cloud) -> None:
    """Also where an operator demands one."""
    person = cloud.desk.person()
    cloud.desk.app(person)
    cloud.desk.host.do(cloud.desk.accounts.require_mfa(person.account, True))
    assert cloud.begun(person)["mfa_svg"] is None


@pytest.mark.parametrize("part", ["<script", "http://www.w3.org/1999/xlink", "href", "<image", "<foreignObject", "on"])
def test_the_svg_is_safe_inside_a_page(cloud: Cloud, part: str) -> None:
    """Clients will put it into innerHTML: paths alone."""
    svg = str(cloud.begun(cloud.required())["mfa_svg"])
    assert part not in svg.replace("version", "")


def test_no_log_holds_a_secret_of_a_login(cloud: Cloud) -> None:
    """Password, tokens, the secret shown, its code."""
    person = cloud.required()
    token, secret = cloud.drafted(person)
    found = cloud.passed(token, cloud.code(secret))
    told = repr(cloud.desk.host.running.log.lines) + cloud.desk.host.access_log()
    secrets = [PASSWORD, token, secret, str(found["auth_token"]), *found["recovery_codes"], person.email]
    assert [value for value in secrets if value in told] == []


def test_a_password_that_was_changed_meanwhile_ends_the_login(cloud: Cloud) -> None:
    """What it rests on is no more."""
    person = cloud.desk.person()
    token, session = cloud.token(person), cloud.desk.login(person)
    body = {"currentPassword": PASSWORD, "newPassword": "another horse battery"}
    assert cloud.desk.ask("PUT", f"{BASE}/users/password", body, token=session).status == 204
    assert cloud.passport(token).status == 401


def test_the_login_is_a_post_alone(cloud: Cloud) -> None:
    """Its path is served, with another method not."""
    assert cloud.desk.ask("GET", LOGIN).status == 405


# passwords that come from elsewhere


def test_a_login_makes_an_imported_hash_anew(cloud: Cloud) -> None:
    """Also of a password that could not be set today."""
    phc = bcrypt.hashpw(b"iloveyou", bcrypt.gensalt(4)).decode()
    person = cloud.desk.person()
    people = cloud.desk.host.store.changes().accounts
    cloud.desk.host.do(people.set_password(person.account, phc, None, None))
    statuses = [cloud.login(person, "iloveyou").status for _ in range(2)]
    stored = cloud.desk.host.do(people.password(person.account))
    assert stored is not None
    assert (statuses, stored.phc[:10]) == ([200, 200], "$argon2id$")


def test_a_new_password_is_not_ones_own_name(cloud: Cloud) -> None:
    """With digits after it, it is guessed as soon."""
    person = cloud.desk.person()
    body = {"currentPassword": PASSWORD, "newPassword": f"{person.email}2026"}
    answer = cloud.desk.ask("PUT", f"{BASE}/users/password", body, token=cloud.desk.login(person))
    assert (answer.status, person.email in answer.body.decode()) == (400, False)


def test_what_a_reset_refuses_tells_nothing_of_an_account(cloud: Cloud) -> None:
    """Without a right code, its names are as good as any password."""
    body = {"email": cloud.desk.person().email, "token": "000000", "newPassword": "person of no name"}
    assert cloud.desk.post(f"{BASE}/users/reset-password", body).status == 401


def test_a_demanded_factor_is_demanded_by_every_api(cloud: Cloud) -> None:
    """One that cannot enrol it lets nobody in without."""
    person = cloud.required()
    body = {"email": person.email, "password": PASSWORD}
    assert cloud.desk.ask("POST", f"{BASE}/users/login", body).status == 403
