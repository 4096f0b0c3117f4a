"""Golden exchanges of Pipelit's API."""

import re
from collections.abc import Callable, Sequence
from typing import Final, cast

from e2e.world import Answer

from .desk import NOBODY, PASSWORD
from .golden import ID, RECOVERY, TEXT, TIME, Golden
from .pipelit import AUTH, KEY, KEYS, TOO_MANY, Booth

URI: Final = re.compile(r"otpauth://totp/Pipelit:user-\d+\?secret=[A-Z2-7]{32}&issuer=Pipelit")
PREFIX: Final = re.compile(r"[\w-]{8}")
SESSION: Final = {"key": KEY, "requires_mfa": False}
CODE_422: Final = {
    "type": "string_pattern_mismatch",
    "loc": ["body", "code"],
    "msg": r"String should match pattern '^\d{6}$'",
    "ctx": {"pattern": r"^\d{6}$"},
}
LISTED: Final = {
    "id": ID,
    "name": "nightly",
    "prefix": PREFIX,
    "created_at": TIME,
    "last_used_at": None,
    "expires_at": "2027-01-01T00:00:00Z",
    "is_active": True,
}
UNTIL: Final = "2027-01-01T00:00:00Z"

Asked = Callable[[Booth, str], Answer]


def good(endpoint: str, shows: str, ask: Asked, body: object, status: int = 200) -> Golden:
    return Golden(endpoint, shows, lambda desk, end: ask(cast(Booth, desk), end), status, body)


def refused(endpoint: str, shows: str, ask: Callable[[Booth], Answer], status: int, detail: object) -> Golden:
    """A 401 asks for a bearer token."""
    body = {"detail": detail}
    challenge = "Bearer" if status == 401 else None
    return Golden(endpoint, shows, lambda desk, _: ask(cast(Booth, desk)), status, body, challenge)


def wrong(name: str, kind: str, message: str, **context: object) -> dict[str, object]:
    entry: dict[str, object] = {"type": kind, "loc": ["body", name], "msg": message}
    return entry | ({"ctx": context} if context else {})


def missing(name: str) -> dict[str, object]:
    return wrong(name, "missing", "Field required")


# requests of more than a line


def begun(booth: Booth) -> tuple[str, str, str]:
    """Username, TOTP secret and mfa_token of a login that waits for its code."""
    armed = booth.armed()
    return armed.username, armed.secret, str(booth.token(armed.username).json()["mfa_token"])


def verify(booth: Booth, end: str = "/", *, right: bool = True) -> Answer:
    key = booth.key()
    secret = booth.pending_secret(key)
    return booth.auth(f"mfa/verify{end}", {"code": booth.code(secret) if right else booth.wrong(secret)}, key)


def verify_late(booth: Booth) -> Answer:
    key = booth.key()
    secret = booth.pending_secret(key)
    booth.hand.ahead += 15 * 60
    return booth.auth("mfa/verify/", {"code": booth.code(secret)}, key)


def with_code(booth: Booth, path: str, *, right: bool = True) -> Answer:
    armed = booth.armed()
    code = booth.code(armed.secret) if right else booth.wrong(armed.secret)
    return booth.auth(path, {"code": code}, armed.key)


def with_recovery(booth: Booth) -> Answer:
    armed = booth.armed()
    return booth.auth("mfa/disable/", {"code": armed.codes[0]}, armed.key)


def disable_too_fast(booth: Booth) -> Answer:
    armed = booth.armed()
    for _ in range(5):
        assert booth.auth("mfa/disable/", {"code": booth.wrong(armed.secret)}, armed.key).status == 400
    return booth.auth("mfa/disable/", {"code": booth.code(armed.secret)}, armed.key)


def second(booth: Booth, end: str = "/") -> Answer:
    name, secret, _ = begun(booth)
    return booth.auth(f"mfa/login-verify{end}", {"username": name, "code": booth.code(secret)})


def second_by_token(booth: Booth) -> Answer:
    name, secret, token = begun(booth)
    return booth.second(name, booth.code(secret), token=token)


def second_by_recovery(booth: Booth) -> Answer:
    armed = booth.armed()
    assert booth.token(armed.username).status == 200
    return booth.second(armed.username, armed.codes[0])


def second_wrong(booth: Booth) -> Answer:
    name, secret, _ = begun(booth)
    return booth.second(name, booth.wrong(secret))


def second_too_fast(booth: Booth) -> Answer:
    name, secret, _ = begun(booth)
    for _ in range(5):
        assert booth.second(name, booth.wrong(secret)).status == 401
    assert booth.token(name).status == 429
    return booth.second(name, booth.code(secret))


def second_without_first(booth: Booth) -> Answer:
    armed = booth.armed()
    return booth.second(armed.username, booth.code(armed.secret))


def create(booth: Booth, end: str = "", **body: object) -> Answer:
    return booth.ask("POST", KEYS + end, body, booth.key())


def listed(booth: Booth, end: str = "", *, revoke: bool = False) -> Answer:
    key = booth.key()
    made = booth.api_key(key, expires_at=UNTIL).json()
    if revoke:
        assert booth.ask("DELETE", f"{KEYS}/{made['id']}", token=key).status == 204
    return booth.ask("GET", KEYS + end, token=key)


def revoke(booth: Booth, end: str = "", *, mine: bool = True) -> Answer:
    key = booth.key()
    made = booth.api_key(key).json()
    return booth.ask("DELETE", f"{KEYS}/{made['id']}{end}", token=key if mine else booth.key())


def expired(booth: Booth) -> Answer:
    key = booth.key()
    booth.hand.ahead += 30 * 86400
    return booth.ask("GET", f"{AUTH}/me/", token=key)


def revoked(booth: Booth) -> Answer:
    key = booth.key()
    made = booth.api_key(key).json()
    assert booth.ask("DELETE", f"{KEYS}/{made['id']}", token=key).status == 204
    return booth.ask("GET", f"{AUTH}/me/", token=str(made["key"]))


def own(booth: Booth, path: str, end: str) -> Answer:
    return booth.ask("GET", f"{AUTH}/{path}{end}", token=booth.key())


TOKEN, SECOND = f"POST {AUTH}/token", f"POST {AUTH}/mfa/login-verify"
ME, STATUS = f"GET {AUTH}/me", f"GET {AUTH}/mfa/status"
NEEDED, SETUP = f"GET {AUTH}/setup-status", f"POST {AUTH}/setup"
BEGIN, VERIFY, DISABLE, RESET = (f"POST {AUTH}/mfa/{name}" for name in ("setup", "verify", "disable", "reset"))
MAKE, LIST, REVOKE = f"POST {KEYS}", f"GET {KEYS}", f"DELETE {KEYS}/{{id}}"

LOGINS: Sequence[Golden] = (
    good(
        TOKEN,
        "the password",
        lambda booth, end: booth.auth(f"token{end}", {"username": booth.member().username, "password": PASSWORD}),
        SESSION,
    ),
    good(
        TOKEN,
        "a second factor on",
        lambda booth, end: booth.token(booth.armed().username),
        {"key": "", "requires_mfa": True, "mfa_token": KEY},
    ),
    refused(TOKEN, "a wrong one", lambda booth: booth.token(booth.member().username, "x"), 401, "Invalid credentials."),
    refused(TOKEN, "nobody's", lambda booth: booth.token("nobody"), 401, "Invalid credentials."),
    refused(TOKEN, "no username of ours", lambda booth: booth.token("a b\ud800"), 401, "Invalid credentials."),
    refused(TOKEN, "an empty one", lambda booth: booth.token("", ""), 401, "Invalid credentials."),
    refused(
        TOKEN,
        "a number",
        lambda booth: booth.auth("token/", {"username": 7, "password": None}),
        422,
        [
            wrong("username", "string_type", "Input should be a valid string"),
            wrong("password", "string_type", "Input should be a valid string"),
        ],
    ),
    refused(TOKEN, "nothing", lambda booth: booth.auth("token/", {}), 422, [missing("username"), missing("password")]),
    good(SECOND, "as the seed has it", second, SESSION),
    good(SECOND, "with its token", lambda booth, _: second_by_token(booth), SESSION),
    good(SECOND, "a recovery code", lambda booth, _: second_by_recovery(booth), SESSION),
    refused(SECOND, "a wrong code", second_wrong, 401, "Invalid TOTP code."),
    refused(SECOND, "a right code after five wrong ones", second_too_fast, 429, TOO_MANY["detail"]),
    refused(SECOND, "no password before", second_without_first, 401, "Invalid credentials."),
    refused(SECOND, "nobody", lambda booth: booth.second("nobody", "123456"), 401, "Invalid credentials."),
    refused(
        SECOND,
        "no second factor",
        lambda booth: booth.second(booth.member().username, "123456"),
        401,
        "Invalid credentials.",
    ),
    refused(SECOND, "digits of another script", lambda booth: booth.second("x", "１２３４５６"), 422, [CODE_422]),
    refused(
        SECOND,
        "nothing",
        lambda booth: booth.auth("mfa/login-verify/", {}),
        422,
        [missing("username"), missing("code")],
    ),
    good(
        ME,
        "mine",
        lambda booth, end: own(booth, "me", end),
        {"username": re.compile(r"user-\d+"), "mfa_enabled": False},
    ),
    refused(ME, "a key that has expired", expired, 401, "API key has expired."),
    refused(ME, "a key that was revoked", revoked, 401, "API key has been revoked."),
    good(NEEDED, "no", lambda booth, end: booth.ask("GET", f"{AUTH}/setup-status{end}"), {"needs_setup": False}),
    refused(
        SETUP,
        "too late",
        lambda booth: booth.auth("setup/", {"username": "admin", "password": "mypassword"}),
        409,
        "Setup already completed.",
    ),
)

SECOND_FACTOR: Sequence[Golden] = (
    good(
        BEGIN,
        "a secret",
        lambda booth, end: booth.auth(f"mfa/setup{end}", key=booth.key()),
        {"secret": re.compile("[A-Z2-7]{32}"), "provisioning_uri": URI},
    ),
    refused(
        BEGIN,
        "on already",
        lambda booth: booth.auth("mfa/setup/", key=booth.armed().key),
        400,
        "MFA is already enabled.",
    ),
    good(VERIFY, "the first code", verify, {"mfa_enabled": True, "recovery_codes": [RECOVERY] * 10}),
    refused(VERIFY, "a wrong code", lambda booth: verify(booth, right=False), 400, "Invalid TOTP code."),
    refused(VERIFY, "begun too long ago", verify_late, 400, "Call /mfa/setup/ first."),
    refused(
        VERIFY,
        "not begun",
        lambda booth: booth.auth("mfa/verify/", {"code": "123456"}, booth.key()),
        400,
        "Call /mfa/setup/ first.",
    ),
    refused(VERIFY, "on already", lambda booth: with_code(booth, "mfa/verify/"), 400, "MFA is already enabled."),
    refused(
        VERIFY, "no code", lambda booth: booth.auth("mfa/verify/", {"code": "12345"}, booth.key()), 422, [CODE_422]
    ),
    refused(
        VERIFY,
        "a number",
        lambda booth: booth.auth("mfa/verify/", {"code": 123456}, booth.key()),
        422,
        [wrong("code", "string_type", "Input should be a valid string")],
    ),
    good(DISABLE, "a code", lambda booth, end: with_code(booth, f"mfa/disable{end}"), {"mfa_enabled": False}),
    good(DISABLE, "a recovery code", lambda booth, _: with_recovery(booth), {"mfa_enabled": False}),
    refused(
        DISABLE, "a wrong code", lambda booth: with_code(booth, "mfa/disable/", right=False), 400, "Invalid TOTP code."
    ),
    refused(
        DISABLE,
        "not on",
        lambda booth: booth.auth("mfa/disable/", {"code": "123456"}, booth.key()),
        400,
        "MFA is not enabled.",
    ),
    refused(DISABLE, "a right code after five wrong ones", disable_too_fast, 429, TOO_MANY["detail"]),
    good(STATUS, "off", lambda booth, end: own(booth, "mfa/status", end), {"mfa_enabled": False}),
    good(
        STATUS,
        "on",
        lambda booth, end: booth.ask("GET", f"{AUTH}/mfa/status{end}", token=booth.armed().key),
        {"mfa_enabled": True},
    ),
    good(RESET, "on", lambda booth, end: booth.auth(f"mfa/reset{end}", key=booth.armed().key), {"mfa_enabled": False}),
    good(RESET, "off", lambda booth, end: booth.auth(f"mfa/reset{end}", key=booth.key()), {"mfa_enabled": False}),
    refused(
        RESET,
        "through a proxy",
        lambda booth: booth.auth("mfa/reset/", key=booth.armed().key, x_forwarded_for="127.0.0.1"),
        403,
        "MFA reset only allowed from localhost.",
    ),
)

API_KEYS: Sequence[Golden] = (
    good(
        MAKE,
        "with an end",
        lambda booth, end: create(booth, end, name="nightly", expires_at=UNTIL),
        {**LISTED, "key": KEY},
        201,
    ),
    good(
        MAKE,
        "without one",
        lambda booth, end: create(booth, end, name="nightly", expires_at=None),
        {**LISTED, "expires_at": TEXT, "key": KEY},
        201,
    ),
    refused(
        MAKE,
        "the past",
        lambda booth: create(booth, name="x", expires_at="2026-01-01T00:00:00Z"),
        400,
        "expires_at must be in the future.",
    ),
    refused(MAKE, "too far", lambda booth: create(booth, name="x", expires_at="9999-12-31T23:59:59Z"), 400, TEXT),
    refused(
        MAKE,
        "no time",
        lambda booth: create(booth, name="x", expires_at="soon"),
        422,
        [wrong("expires_at", "datetime_parsing", "Input should be a valid datetime")],
    ),
    refused(
        MAKE,
        "no name",
        lambda booth: create(booth, name=""),
        422,
        [wrong("name", "string_too_short", "String should have at least 1 character", min_length=1)],
    ),
    refused(
        MAKE,
        "a name of two lines",
        lambda booth: create(booth, name="a\nb"),
        422,
        [wrong("name", "value_error", "Value error, not printable")],
    ),
    good(LIST, "one", listed, [LISTED]),
    good(LIST, "a revoked one", lambda booth, end: listed(booth, end, revoke=True), [{**LISTED, "is_active": False}]),
    good(LIST, "none", lambda booth, end: booth.ask("GET", KEYS + end, token=booth.key()), []),
    good(REVOKE, "one of mine", revoke, None, 204),
    refused(REVOKE, "another's", lambda booth: revoke(booth, mine=False), 404, "API key not found."),
    refused(
        REVOKE,
        "nobody's",
        lambda booth: booth.ask("DELETE", f"{KEYS}/{NOBODY}", token=booth.key()),
        404,
        "API key not found.",
    ),
    refused(
        REVOKE,
        "rubbish",
        lambda booth: booth.ask("DELETE", f"{KEYS}/7", token=booth.key()),
        404,
        "API key not found.",
    ),
)
