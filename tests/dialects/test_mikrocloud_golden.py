"""MikroCloud's API: exact statuses, keys, types and error bodies, for good answers and refusals."""

import re
from collections.abc import Callable
from typing import Final

import pytest
from e2e.world import Answer

from .desk import NOBODY, PASSWORD
from .golden import RECOVERY, TEXT, as_noted
from .mikrocloud import LOGIN, PASSPORT, Cloud
from .test_mycelium_golden import said, sealed

TOKEN: Final = re.compile(r"[A-Za-z0-9+/]{58}==")
AUTH_TOKEN: Final = re.compile(r"[A-Za-z0-9+/]{43}=")
SVG: Final = re.compile(r"<svg [^>]*>(<g [^>]*>|<path [^>]*/>|</g>)+</svg>")
WELCOME: Final = {"message": "Login Successful", "auth_token": AUTH_TOKEN}
Ask = Callable[[Cloud, str], Answer]


def begun(*, enabled: bool, verified: bool, svg: object = None) -> dict[str, object]:
    message = "Login was successful"
    return {"mfa_enabled": enabled, "mfa_verified": verified, "mfa_svg": svg, "message": message, "token": TOKEN}


def login_with_factor(cloud: Cloud, end: str) -> Answer:
    person = cloud.desk.person()
    cloud.desk.app(person)
    return cloud.login(person, end=end)


def with_code(cloud: Cloud, end: str) -> Answer:
    person = cloud.desk.person()
    app = cloud.desk.app(person)
    return cloud.passport(cloud.token(person), cloud.code(app.secret), end)


def with_recovery_code(cloud: Cloud, end: str) -> Answer:
    person = cloud.desk.person()
    app = cloud.desk.app(person)
    return cloud.passport(cloud.token(person), app.codes[0], end)


def enrolling(cloud: Cloud, end: str) -> Answer:
    token, secret = cloud.drafted(cloud.required())
    return cloud.passport(token, cloud.code(secret), end)


GOOD: Final[dict[str, tuple[Ask, object]]] = {
    "login, no factor": (
        lambda cloud, end: cloud.login(cloud.desk.person(), end=end),
        begun(enabled=False, verified=False),
    ),
    "login, factor required": (
        lambda cloud, end: cloud.login(cloud.required(), end=end),
        begun(enabled=True, verified=False, svg=SVG),
    ),
    "login, factor on": (login_with_factor, begun(enabled=True, verified=True)),
    "passport, no factor": (
        lambda cloud, end: cloud.passport(cloud.token(cloud.desk.person()), None, end),
        WELCOME,
    ),
    "passport, no factor and a code": (
        lambda cloud, end: cloud.passport(cloud.token(cloud.desk.person()), "123456", end),
        WELCOME,
    ),
    "passport, a code": (with_code, WELCOME),
    "passport, a recovery code": (with_recovery_code, WELCOME),
    "passport, enrolling": (enrolling, {**WELCOME, "recovery_codes": [RECOVERY] * 10}),
}


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("name", GOOD)
def test_a_good_answer_is_as_it_is_noted(cloud: Cloud, name: str, end: str) -> None:
    """Members and their types, with and without a slash at the end of the path."""
    ask, body = GOOD[name]
    answer = ask(cloud, end)
    assert (answer.status, as_noted(body, said(answer)), sealed(answer)) == (200, body, True)


def again(cloud: Cloud) -> Answer:
    token = cloud.token(cloud.desk.person())
    cloud.passed(token)
    return cloud.passport(token)


def late(cloud: Cloud) -> Answer:
    token = cloud.token(cloud.desk.person())
    cloud.desk.hand.ahead += 300
    return cloud.passport(token)


def with_factor(cloud: Cloud, code: str | None, tries: int = 1) -> Answer:
    person = cloud.desk.person()
    app = cloud.desk.app(person)
    token = cloud.token(person)
    for _ in range(tries - 1):
        cloud.passport(token, cloud.desk.wrong(app.secret))
        cloud.desk.hand.rest()
    right = cloud.code(app.secret)
    return cloud.passport(token, {"wrong": cloud.desk.wrong(app.secret), "right": right}.get(code or "", code))


def without_code(cloud: Cloud) -> Answer:
    return cloud.passport(cloud.token(cloud.required()))


def disabled(cloud: Cloud) -> Answer:
    person = cloud.desk.person()
    token = cloud.token(person)
    cloud.desk.host.do(cloud.desk.accounts.disable(person.account))
    return cloud.passport(token)


BAD_LOGIN: Final = "Invalid email or password"
BAD_TOKEN: Final = "Invalid or expired token"
BAD_CODE: Final = "Invalid one-time password"
NO_CODE: Final = "One-time password required"
REFUSED: Final[dict[str, tuple[Callable[[Cloud], Answer], str]]] = {
    "a wrong password": (lambda cloud: cloud.login(cloud.desk.person(), "wrong horse battery"), BAD_LOGIN),
    "nobody": (lambda cloud: cloud.desk.post(LOGIN, {"email": "no@example.org", "password": PASSWORD}), BAD_LOGIN),
    "no address": (lambda cloud: cloud.desk.post(LOGIN, {"email": "john", "password": PASSWORD}), BAD_LOGIN),
    "an unknown token": (lambda cloud: cloud.passport("eyJpdiI6ImEifQ=="), BAD_TOKEN),
    "a token that is none": (lambda cloud: cloud.passport("\u00e9 \ud83d\ude00"), BAD_TOKEN),
    "a used token": (again, BAD_TOKEN),
    "an old token": (late, BAD_TOKEN),
    "an account that is disabled": (disabled, BAD_TOKEN),
    "no code": (lambda cloud: with_factor(cloud, None), NO_CODE),
    "an empty code": (lambda cloud: with_factor(cloud, " "), NO_CODE),
    "no code of the secret shown": (without_code, NO_CODE),
    "a wrong code": (lambda cloud: with_factor(cloud, "wrong"), BAD_CODE),
    "digits of another script": (lambda cloud: with_factor(cloud, "１２３４５６"), BAD_CODE),
    "a fifth wrong code": (lambda cloud: with_factor(cloud, "wrong", 5), BAD_CODE),
    "a right code after five wrong ones": (lambda cloud: with_factor(cloud, "right", 6), BAD_TOKEN),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_as_it_is_noted(cloud: Cloud, name: str) -> None:
    """401 with one member, and the challenge of RFC 9110 section 11.6.1."""
    ask, message = REFUSED[name]
    answer = ask(cloud)
    assert (answer.status, said(answer), answer.headers["WWW-Authenticate"], sealed(answer)) == (
        401,
        {"message": message},
        "Bearer",
        True,
    )


@pytest.mark.parametrize(
    ("path", "body", "members"),
    [
        (LOGIN, {}, ["email", "password"]),
        (LOGIN, {"email": "a@example.org"}, ["password"]),
        (LOGIN, {"email": 1, "password": "x"}, ["email"]),
        (LOGIN, {"email": "a@example.org", "password": ["x"]}, ["password"]),
        (PASSPORT, {}, ["token"]),
        (PASSPORT, {"totp": None, "token": None}, ["token"]),
        (PASSPORT, {"totp": 123456, "token": "x"}, ["totp"]),
        (PASSPORT, {"totp": 1}, ["token", "totp"]),
        (PASSPORT, {"totp": False, "token": "x"}, ["totp"]),
        (LOGIN, b"{", []),
        (LOGIN, b"[]", []),
        (PASSPORT, b"", []),
        (PASSPORT, b'{"token":"a","token":"b"}', []),
    ],
)
def test_a_malformed_body_is_told_by_member(cloud: Cloud, path: str, body: object, members: list[str]) -> None:
    """422, without an echo; a number would have lost its zeros in front."""
    answer = cloud.desk.post(path, body)
    noted = {"message": TEXT, "errors": {name: [TEXT] for name in members}}
    assert (answer.status, as_noted(noted, said(answer))) == (422, noted)


@pytest.mark.parametrize("path", [LOGIN, PASSPORT])
def test_a_body_of_another_type_is_refused(cloud: Cloud, path: str) -> None:
    """A form of another site's page has such a type."""
    answer = cloud.desk.ask("POST", path, b"a=b", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (answer.status, as_noted({"message": TEXT}, said(answer))) == (415, {"message": TEXT})


def test_too_many_guesses_say_when_to_come_back(cloud: Cloud) -> None:
    """429 in this API's words, with Retry-After."""
    person = cloud.desk.person()
    answers = [cloud.login(person, "wrong horse battery") for _ in range(6)]
    last = answers[-1]
    assert [answer.status for answer in answers] == [401] * 5 + [429]
    assert (as_noted({"message": TEXT}, said(last)), int(last.headers["Retry-After"]) > 0) == ({"message": TEXT}, True)


def test_a_stale_credential_does_not_block_a_login(cloud: Cloud) -> None:
    """These calls want none, so none is looked at."""
    body = {"email": cloud.desk.person().email, "password": PASSWORD}
    assert cloud.desk.post(LOGIN, body, token="a.b.c").status == 200


def test_nobody_and_a_wrong_password_look_alike(cloud: Cloud) -> None:
    """Status, body and fields."""

    def shown(answer: Answer) -> tuple[int, bytes, list[str]]:
        return answer.status, answer.body, sorted(answer.headers)

    wrong = cloud.login(cloud.desk.person(), "wrong horse battery")
    assert shown(wrong) == shown(cloud.desk.post(LOGIN, {"email": f"{NOBODY}@example.org", "password": PASSWORD}))
