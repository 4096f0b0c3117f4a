"""Mployr's token, and how often its API may be called."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from e2e.world import Answer
from harness.people import PUBLIC_URL, People

from .desk import BASE, Desk, Person, opened
from .mployr import CODES, ENABLE, LOGIN, LOGOUT, ME, REFRESH, SAID, VERIFY, begun, data, log_in, token, whole

LIMIT, REMAINING, RESET = "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"


@pytest.fixture(scope="module")
def opened_desk(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with opened(tmp_path_factory.mktemp("mployr-tokens"), people, **SAID) as made:
        yield made


@pytest.fixture
def desk(opened_desk: Desk) -> Desk:
    """With rested limits."""
    opened_desk.hand.rest()
    return opened_desk


def claims(raw: str) -> dict[str, Any]:
    """Unverified."""
    return jwt.decode(raw, options={"verify_signature": False})


def with_role(desk: Desk, person: Person, role: str, tenant: str | None = None) -> None:
    """Another one, to read, in the person's tenant or in a new one."""

    async def give() -> None:
        at = tenant or (await desk.accounts.create_tenant("Other", None)).id
        await desk.accounts.assign_role(person.account, at, role, "read")

    desk.host.do(give())


def refresh(desk: Desk, held: str) -> Answer:
    return desk.post(REFRESH, token=held)


def remaining(answer: Answer) -> int:
    return int(answer.headers[REMAINING])


# the token


def test_the_token_has_the_claims_of_the_page_and_of_ours(desk: Desk) -> None:
    """sub is the user's number as text, as RFC 7519 section 4.1.2 wants it."""
    person = desk.person()
    found = data(log_in(desk, person))
    said = claims(found["token"])
    fixed = {name: said[name] for name in ("sub", "business_id", "scopes", "iss", "aud")}
    assert fixed == {
        "sub": str(found["user"]["id"]),
        "business_id": person.tenant,
        "scopes": ["manager:write"],
        "iss": PUBLIC_URL,
        "aud": PUBLIC_URL,
    }
    assert sorted(said) == sorted([*fixed, "iat", "exp", "jti", "sid"])


def test_the_token_lives_a_day(desk: Desk) -> None:
    """As expires_in says."""
    said = claims(token(desk))
    assert said["exp"] - said["iat"] == 86400


def test_the_token_is_verified_by_the_public_keys_alone(desk: Desk) -> None:
    """RS256, as the page's sample says."""
    raw = token(desk)
    keys = jwt.PyJWKSet.from_dict(desk.ask("GET", "/.well-known/jwks.json").json())
    header = jwt.get_unverified_header(raw)
    assert (header["typ"], header["alg"]) == ("JWT", "RS256")
    options: Any = {"verify_exp": False, "verify_iat": False}  # the desk's clock is another
    assert jwt.decode(raw, keys[header["kid"]], ["RS256"], options, audience=PUBLIC_URL, issuer=PUBLIC_URL)


def test_scopes_are_roles_with_what_they_permit(desk: Desk) -> None:
    """All of them, sorted."""
    person = desk.person()
    with_role(desk, person, "guest", person.tenant)
    assert claims(token(desk, person))["scopes"] == ["guest:read", "manager:write"]


def test_whoever_belongs_to_two_businesses_is_of_none(desk: Desk) -> None:
    """Which of the two would be a guess."""
    person = desk.person()
    with_role(desk, person, "guest")
    assert "business_id" not in claims(token(desk, person))


@pytest.mark.parametrize("how", ["login", "verify", "refresh"])
def test_the_profile_is_that_of_the_accounts_other_sessions(desk: Desk, how: str) -> None:
    """And the token passes at the proxy, as they do."""
    person = desk.person()
    if how == "verify":
        app, held = whole(desk, person)
        other = app.token
    else:
        held, other = token(desk, person), desk.login(person)
    held = data(refresh(desk, held))["token"] if how == "refresh" else held
    mine, others = (desk.ask("GET", f"{BASE}/profile", token=one).json() for one in (held, other))
    assert (desk.passes(held), mine["accId"], mine) == (True, person.account, others)


def test_after_the_logout_the_token_is_refused(desk: Desk) -> None:
    """At the proxy, at once."""
    held = token(desk)
    assert desk.passes(held)
    desk.post(LOGOUT, token=held)
    assert not desk.passes(held)


def test_a_refresh_ends_the_old_token_at_the_proxy(desk: Desk) -> None:
    """And the new one passes."""
    held = token(desk)
    assert desk.passes(held)
    fresh = data(refresh(desk, held))["token"]
    assert (desk.passes(held), desk.passes(fresh)) == (False, True)


@pytest.mark.parametrize(("half_days", "status"), [(59, 200), (60, 401)])
def test_a_login_is_renewed_for_thirty_days(desk: Desk, half_days: int, status: int) -> None:
    """A stolen token is not renewed for ever."""
    held = token(desk)
    for _ in range(half_days - 1):
        desk.hand.ahead += 43200
        desk.hand.rest()
        held = data(refresh(desk, held))["token"]
    desk.hand.ahead += 43200
    assert refresh(desk, held).status == status


def test_a_refresh_keeps_what_was_proved(desk: Desk) -> None:
    """A second factor is not asked for again, and not forgotten."""
    person = desk.person()
    _, held = whole(desk, person)
    said = claims(data(refresh(desk, held))["token"])
    grants = desk.host.do(desk.host.store.grants.grants(person.account))
    assert [(grant.aal, grant.amr) for grant in grants if grant.id == said["sid"]] == [(2, ("pwd", "otp"))]


def test_enabling_a_second_factor_keeps_this_token_alone(desk: Desk) -> None:
    """Others of the account did not prove it."""
    person = desk.person()
    other = desk.login(person)
    held = token(desk, person)
    secret = data(desk.post("/v1/2fa/setup", token=held))["secret"]
    assert desk.post(ENABLE, {"code": desk.code(secret)}, held).status == 200
    assert (desk.passes(held), desk.passes(other)) == (True, False)


def test_new_recovery_codes_void_the_old(desk: Desk) -> None:
    """All of them."""
    person = desk.person()
    app, held = whole(desk, person)
    assert desk.post(CODES, {"code": desk.code(app.secret)}, held).status == 200
    session = data(log_in(desk, person))["session_token"]
    assert desk.post(VERIFY, {"session_token": session, "code": app.codes[0]}).status == 422


def test_of_parallel_codes_one_wins(desk: Desk) -> None:
    """The challenge ends in one token."""
    app, session = begun(desk)
    body = {"session_token": session, "code": desk.code(app.secret)}
    with ThreadPoolExecutor(4) as pool:
        statuses = [answer.status for answer in pool.map(lambda _: desk.post(VERIFY, body), range(4))]
    assert statuses.count(200) == 1


# how often


@pytest.mark.parametrize("path", [ME, "/v1/2fa/status"])
def test_every_answer_tells_the_limit(desk: Desk, path: str) -> None:
    """Of the account: sixty in a minute."""
    held = token(desk)
    first, second = desk.ask("GET", path, token=held), desk.ask("GET", path, token=held)
    assert (first.headers[LIMIT], remaining(first), remaining(second)) == ("60", 59, 58)


def test_a_refusal_tells_the_limit(desk: Desk) -> None:
    """Those of logins, too."""
    answer = desk.post(LOGIN, {})
    assert (answer.status, answer.headers[LIMIT], remaining(answer)) == (422, "10", 9)


@pytest.mark.parametrize(("size", "status"), [(16 * 1024, 422), (16 * 1024 + 1, 413)])
def test_a_body_that_is_too_large_is_told_with_the_limit(desk: Desk, size: int, status: int) -> None:
    """In the API's own envelope."""
    answer = desk.post(LOGIN, b"{}" + b" " * (size - 2))
    assert (answer.status, answer.json()["success"], remaining(answer)) == (status, False, 9)


def test_the_reset_is_a_moment_of_the_coming_minute(desk: Desk) -> None:
    """In seconds since the epoch."""
    before = desk.hand.now()
    reset = int(desk.ask("GET", ME, token=token(desk)).headers[RESET])
    assert before + 59 <= reset <= desk.hand.now() + 61


def test_the_eleventh_login_of_a_network_in_a_minute_is_one_too_many(desk: Desk) -> None:
    """Right or wrong; and the answer says when to come again."""
    answers = [desk.post(LOGIN, {}) for _ in range(11)]
    last = answers[-1]
    wait = int(last.headers["Retry-After"])
    assert [answer.status for answer in answers] == [422] * 10 + [429]
    assert last.json() == {"success": False, "message": "Too Many Requests", "retry_after": wait}
    assert (last.headers[REMAINING], 50 <= wait <= 60) == ("0", True)


def test_the_sixty_first_call_of_an_account_in_a_minute_is_one_too_many(desk: Desk) -> None:
    """And only that account's."""
    held, other = token(desk), token(desk)
    statuses = [desk.ask("GET", ME, token=held).status for _ in range(61)]
    assert (statuses, desk.ask("GET", ME, token=other).status) == ([200] * 60 + [429], 200)


def test_the_sixth_wrong_password_in_a_minute_is_one_too_many(desk: Desk) -> None:
    """Of one account; the envelope is the same."""
    person = desk.person()
    answers = [log_in(desk, person, "wrong") for _ in range(6)]
    last = answers[-1].json()
    assert [answer.status for answer in answers] == [401] * 5 + [429]
    assert (last["message"], last["retry_after"]) == ("Too Many Requests", int(answers[-1].headers["Retry-After"]))


@pytest.mark.parametrize("known", [True, False])
def test_an_address_is_limited_whether_somebody_has_it_or_not(desk: Desk, known: bool) -> None:
    """Nobody learns from limits who has an account."""
    address = desk.person().email if known else "stranger@example.org"
    answers = [desk.post(LOGIN, {"email": address, "password": "wrong"}) for _ in range(6)]
    bodies = {json.dumps({**answer.json(), "retry_after": 0}) for answer in answers[:5]}
    assert ([answer.status for answer in answers], len(bodies)) == ([401] * 5 + [429], 1)
