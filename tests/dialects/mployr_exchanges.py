"""Golden exchanges of Mployr's API."""

import re
from collections.abc import Callable
from typing import Final

from e2e.world import Answer

from .desk import PASSWORD, Desk
from .golden import JWT, RECOVERY, TEXT, Golden
from .mployr import (
    CODES,
    DISABLE,
    ENABLE,
    LOGIN,
    LOGOUT,
    ME,
    REFRESH,
    SETUP,
    STATUS,
    VERIFY,
    begun,
    data,
    log_in,
    set_up,
    token,
    whole,
)

TIME: Final = re.compile(r"2026-\d\d-\d\dT\d\d:\d\d:\d\dZ")
USER: Final = {"id": int, "name": TEXT, "email": TEXT}
SESSION: Final = {"token": JWT, "token_type": "Bearer", "expires_in": 86400, "user": USER}
PENDING: Final = {"requires_2fa": True, "session_token": re.compile(r"temp-[\w-]{43}")}
SET_UP: Final = {
    "secret": re.compile("[A-Z2-7]{32}"),
    "otpauth_url": re.compile(r"otpauth://totp/Mployr:[^?]+\?secret=[A-Z2-7]{32}&issuer=Mployr"),
    "qr_code": re.compile(r"data:image/svg\+xml;base64,PHN2Zy[A-Za-z0-9+/]+={0,2}"),
}
TEN: Final = [RECOVERY] * 10
OVER: Final = "Session expired. Please log in again."

Say = Callable[[Desk], Answer]


def good(endpoint: str, shows: str, ask: Callable[[Desk, str], Answer], noted: object) -> Golden:
    return Golden(endpoint, shows, ask, 200, {"success": True, "data": noted})


def refused(endpoint: str, shows: str, ask: Say, status: int, message: str) -> Golden:
    body = {"success": False, "message": message}
    return Golden(endpoint, shows, lambda desk, _: ask(desk), status, body, "Bearer" if status == 401 else None)


def invalid(endpoint: str, shows: str, ask: Say, **wrong: str) -> Golden:
    errors = {name: [message] for name, message in wrong.items()}
    body = {"success": False, "message": "The given data was invalid.", "errors": errors}
    return Golden(endpoint, shows, lambda desk, _: ask(desk), 422, body)


# requests of more than a line


def pending(desk: Desk, end: str = "") -> Answer:
    person = desk.person()
    desk.app(person)
    return log_in(desk, person, end=end)


def verify(desk: Desk, end: str = "", member: str = "code") -> Answer:
    app, session = begun(desk)
    code = desk.code(app.secret) if member == "code" else app.codes[0]
    return desk.post(VERIFY + end, {"session_token": session, member: code})


def verify_recovery(desk: Desk) -> Answer:
    app, session = begun(desk)
    return desk.post(VERIFY, {"session_token": session, "code": app.codes[0].replace("-", " ").upper()})


def verify_wrong(desk: Desk, times: int = 1) -> Answer:
    app, session = begun(desk)
    for _ in range(times - 1):
        assert desk.post(VERIFY, {"session_token": session, "code": desk.wrong(app.secret)}).status == 422
        desk.hand.rest()
    return desk.post(VERIFY, {"session_token": session, "code": desk.wrong(app.secret)})


def verify_twice(desk: Desk) -> Answer:
    app, session = begun(desk)
    assert desk.post(VERIFY, {"session_token": session, "code": desk.code(app.secret)}).status == 200
    return desk.post(VERIFY, {"session_token": session, "code": desk.code(app.secret)})


def verify_late(desk: Desk) -> Answer:
    app, session = begun(desk)
    desk.hand.ahead += 300
    return desk.post(VERIFY, {"session_token": session, "code": desk.code(app.secret)})


def verify_superseded(desk: Desk) -> Answer:
    person = desk.person()
    app, session = begun(desk, person)
    assert log_in(desk, person).status == 200
    return desk.post(VERIFY, {"session_token": session, "code": desk.code(app.secret)})


def verify_without_prefix(desk: Desk) -> Answer:
    app, session = begun(desk)
    return desk.post(VERIFY, {"session_token": session.removeprefix("temp-"), "code": desk.code(app.secret)})


def set_up_late(desk: Desk) -> Answer:
    held = token(desk)
    desk.hand.ahead += 301
    return desk.post(SETUP, token=held)


def set_up_renewed(desk: Desk) -> Answer:
    held = token(desk)
    desk.hand.ahead += 301
    return desk.post(SETUP, token=data(desk.post(REFRESH, token=held))["token"])


def enable(desk: Desk, end: str = "") -> Answer:
    held, secret = set_up(desk)
    return desk.post(ENABLE + end, {"code": desk.code(secret)}, held)


def enable_wrong(desk: Desk) -> Answer:
    held, secret = set_up(desk)
    return desk.post(ENABLE, {"code": desk.wrong(secret)}, held)


def enable_again(desk: Desk) -> Answer:
    app, held = whole(desk)
    return desk.post(ENABLE, {"code": desk.code(app.secret)}, held)


def disable(desk: Desk, end: str = "", password: str = PASSWORD) -> Answer:
    app, held = whole(desk)
    return desk.post(DISABLE + end, {"password": password, "code": desk.code(app.secret)}, held)


def disable_by_recovery(desk: Desk, end: str) -> Answer:
    app, held = whole(desk)
    return desk.post(DISABLE + end, {"password": PASSWORD, "code": app.codes[3]}, held)


def disable_wrong_code(desk: Desk) -> Answer:
    app, held = whole(desk)
    return desk.post(DISABLE, {"password": PASSWORD, "code": desk.wrong(app.secret)}, held)


def new_codes(desk: Desk, end: str = "") -> Answer:
    app, held = whole(desk)
    return desk.post(CODES + end, {"code": desk.code(app.secret)}, held)


def new_codes_by_recovery(desk: Desk) -> Answer:
    app, held = whole(desk)
    return desk.post(CODES, {"code": app.codes[0]}, held)


def twice(path: str) -> Say:
    """With the same token."""

    def ask(desk: Desk) -> Answer:
        held = token(desk)
        assert desk.post(path, token=held).status == 200
        return desk.post(path, token=held)

    return ask


def by_string(method: str, path: str, body: object = None) -> Say:
    """By a connection string, which a service holds."""

    def ask(desk: Desk) -> Answer:
        person = desk.person()
        return desk.ask(method, path, body, string=desk.string(person, desk.login(person)))

    return ask


AT_LOGIN: Final = "POST /v1/login"
AT_VERIFY: Final = "POST /v1/2fa/verify"
AT_STATUS: Final = "GET /v1/2fa/status"
AT_SETUP: Final = "POST /v1/2fa/setup"
AT_ENABLE: Final = "POST /v1/2fa/enable"
AT_DISABLE: Final = "POST /v1/2fa/disable"
AT_CODES: Final = "POST /v1/2fa/recovery-codes"
AT_REFRESH: Final = "POST /v1/refresh"
AT_LOGOUT: Final = "POST /v1/logout"
AT_ME: Final = "GET /v1/me"
REQUIRED: Final = "The code field is required."

GOLDEN: Final = (
    good(AT_LOGIN, "the token", lambda desk, end: log_in(desk, desk.person(), end=end), SESSION),
    good(AT_LOGIN, "with a second factor on", pending, PENDING),
    refused(
        AT_LOGIN, "a wrong password", lambda desk: log_in(desk, desk.person(), "wrong"), 401, "Invalid credentials."
    ),
    refused(
        AT_LOGIN,
        "nobody's address",
        lambda desk: desk.post(LOGIN, {"email": "nobody@example.org", "password": PASSWORD}),
        401,
        "Invalid credentials.",
    ),
    refused(
        AT_LOGIN,
        "no address",
        lambda desk: desk.post(LOGIN, {"email": "nobody", "password": PASSWORD}),
        401,
        "Invalid credentials.",
    ),
    invalid(
        AT_LOGIN,
        "nothing",
        lambda desk: desk.post(LOGIN, {}),
        email="The email field is required.",
        password="The password field is required.",
    ),
    invalid(
        AT_LOGIN,
        "numbers",
        lambda desk: desk.post(LOGIN, {"email": "a@example.org", "password": 12345678}),
        password="The password field must be a string.",
    ),
    refused(AT_LOGIN, "no object", lambda desk: desk.post(LOGIN, [1]), 400, "The body must be a JSON object."),
    refused(
        AT_LOGIN,
        "a form",
        lambda desk: desk.ask("POST", LOGIN, b"email=a", headers={"Content-Type": "application/x-www-form-urlencoded"}),
        415,
        "Send Content-Type: application/json.",
    ),
    good(AT_VERIFY, "a code", verify, SESSION),
    good(AT_VERIFY, "a recovery code in its own member", lambda desk, end: verify(desk, end, "recovery_code"), SESSION),
    good(AT_VERIFY, "a recovery code as a person types it", lambda desk, _: verify_recovery(desk), SESSION),
    invalid(AT_VERIFY, "a wrong code", verify_wrong, code="The two-factor code is invalid."),
    refused(AT_VERIFY, "after five wrong codes", lambda desk: verify_wrong(desk, 6), 401, OVER),
    refused(AT_VERIFY, "a token twice", verify_twice, 401, OVER),
    refused(AT_VERIFY, "a token of five minutes ago", verify_late, 401, OVER),
    refused(AT_VERIFY, "a token before the last", verify_superseded, 401, OVER),
    refused(AT_VERIFY, "a token without its prefix", verify_without_prefix, 401, OVER),
    refused(
        AT_VERIFY,
        "an unknown token",
        lambda desk: desk.post(VERIFY, {"session_token": "temp-x", "code": "123456"}),
        401,
        OVER,
    ),
    invalid(
        AT_VERIFY,
        "nothing",
        lambda desk: desk.post(VERIFY, {}),
        session_token="The session token field is required.",
        code=REQUIRED,
    ),
    good(
        AT_STATUS,
        "off",
        lambda desk, end: desk.ask("GET", STATUS + end, token=token(desk)),
        {"enabled": False, "confirmed_at": None, "recovery_codes_remaining": 0},
    ),
    good(
        AT_STATUS,
        "on",
        lambda desk, end: desk.ask("GET", STATUS + end, token=whole(desk)[1]),
        {"enabled": True, "confirmed_at": TIME, "recovery_codes_remaining": 10},
    ),
    good(AT_SETUP, "the secret and its QR code", lambda desk, end: desk.post(SETUP + end, token=token(desk)), SET_UP),
    refused(
        AT_SETUP,
        "while on",
        lambda desk: desk.post(SETUP, token=whole(desk)[1]),
        409,
        "Two-factor authentication is already enabled.",
    ),
    refused(
        AT_SETUP, "late after the login", set_up_late, 401, "Please log in again to set up two-factor authentication."
    ),
    refused(
        AT_SETUP, "of a renewed login", set_up_renewed, 401, "Please log in again to set up two-factor authentication."
    ),
    refused(AT_SETUP, "by a service", by_string("POST", SETUP), 403, "This action is unauthorized."),
    good(AT_ENABLE, "the first code", enable, {"enabled": True, "recovery_codes": TEN}),
    invalid(AT_ENABLE, "a wrong code", enable_wrong, code="The two-factor code is invalid."),
    invalid(AT_ENABLE, "nothing", lambda desk: desk.post(ENABLE, {}, token(desk)), code=REQUIRED),
    refused(AT_ENABLE, "while on", enable_again, 409, "Two-factor authentication is already enabled."),
    refused(
        AT_ENABLE,
        "without a setup",
        lambda desk: desk.post(ENABLE, {"code": "123456"}, token(desk)),
        409,
        "Set up two-factor authentication first.",
    ),
    refused(
        AT_ENABLE, "by a service", by_string("POST", ENABLE, {"code": "123456"}), 403, "This action is unauthorized."
    ),
    good(AT_DISABLE, "password and code", disable, {"enabled": False}),
    good(AT_DISABLE, "a recovery code", disable_by_recovery, {"enabled": False}),
    invalid(
        AT_DISABLE,
        "a wrong password",
        lambda desk: disable(desk, password="wrong"),
        password="The password is incorrect.",
    ),
    invalid(AT_DISABLE, "a wrong code", disable_wrong_code, code="The two-factor code is invalid."),
    invalid(
        AT_DISABLE,
        "nothing",
        lambda desk: desk.post(DISABLE, {}, token(desk)),
        password="The password field is required.",
        code=REQUIRED,
    ),
    refused(
        AT_DISABLE,
        "while off",
        lambda desk: desk.post(DISABLE, {"password": PASSWORD, "code": "123456"}, token(desk)),
        409,
        "Two-factor authentication is not enabled.",
    ),
    good(AT_CODES, "ten new ones", new_codes, {"recovery_codes": TEN}),
    invalid(AT_CODES, "for an old one", new_codes_by_recovery, code="The two-factor code is invalid."),
    invalid(AT_CODES, "nothing", lambda desk: desk.post(CODES, {}, token(desk)), code=REQUIRED),
    refused(
        AT_CODES,
        "while off",
        lambda desk: desk.post(CODES, {"code": "123456"}, token(desk)),
        409,
        "Two-factor authentication is not enabled.",
    ),
    good(AT_REFRESH, "a new token", lambda desk, end: desk.post(REFRESH + end, token=token(desk)), SESSION),
    refused(AT_REFRESH, "the old token", twice(REFRESH), 401, "Unauthenticated."),
    refused(
        AT_REFRESH,
        "a session of another API",
        lambda desk: desk.post(REFRESH, token=desk.login()),
        403,
        "This action is unauthorized.",
    ),
    refused(AT_REFRESH, "by a service", by_string("POST", REFRESH), 403, "This action is unauthorized."),
    good(AT_LOGOUT, "an empty object", lambda desk, end: desk.post(LOGOUT + end, token=token(desk)), {}),
    refused(AT_LOGOUT, "twice", twice(LOGOUT), 401, "Unauthenticated."),
    good(AT_ME, "the user", lambda desk, end: desk.ask("GET", ME + end, token=token(desk)), USER),
    good(AT_ME, "by a token of another API", lambda desk, end: desk.ask("GET", ME + end, token=desk.login()), USER),
    refused(AT_ME, "without a token", lambda desk: desk.ask("GET", ME), 401, "Unauthenticated."),
    refused(AT_ME, "with nonsense", lambda desk: desk.ask("GET", ME, token="x.y.z"), 401, "Unauthenticated."),
    refused(
        AT_ME,
        "with a login that waits",
        lambda desk: desk.ask("GET", ME, token=begun(desk)[1]),
        401,
        "Unauthenticated.",
    ),
    refused(
        AT_ME,
        "a caller without an account",
        lambda desk: desk.ask("GET", ME, token=desk.external("eve")),
        403,
        "This action is unauthorized.",
    ),
)
