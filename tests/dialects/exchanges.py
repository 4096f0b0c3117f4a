"""Golden exchanges of logging in: magic links, passwords, second factors."""

import re
from collections.abc import Sequence
from typing import Final

from e2e.world import Answer

from .desk import BASE, LINKS, PASSWORD, TOTP, Desk
from .golden import ID, JWT, RECOVERY, TEXT, Golden, refused

USERS: Final = f"{BASE}/users"
SENT: Final = {"sent": True}
UNKNOWN_LINK: Final = "A" * 43
NEW_PASSWORD: Final = "another horse battery"
OTP_URL: Final = re.compile(r"otpauth://totp/Mycelium:[^?]+\?secret=[A-Z2-7]{32}&issuer=Mycelium")
ASK_PAGE: Final = re.compile(r"(?s)<!doctype html>.*Is this you\?.*p\*\*\*@example\.org.*")
CODE_PAGE: Final = re.compile(r'(?s)<!doctype html>.*class="code"[^>]*>\d{6}<.*')
GONE_PAGE: Final = re.compile(r"(?s)<!doctype html>.*This link does not work.*")
REFUSED_PAGE: Final = re.compile(r"(?s)<!doctype html>.*")
SVG: Final = re.compile(r"(?s)<svg .*</svg>\s*")


def session(seconds: int = 86400, *, pending: bool = False) -> dict[str, object]:
    """A login object."""
    return {
        "token": JWT,
        "type": "Bearer",
        "duration": seconds,
        "totp_required": pending,
        "totpRequired": pending,
        "id": ID,
        "username": TEXT,
        "email": {"username": TEXT, "domain": "example.org"},
        "isActive": True,
        "isPrincipal": True,
        "account": ID,
    }


# requests of more than a line


def request(desk: Desk, address: object, end: str = "") -> Answer:
    return desk.post(f"{LINKS}/request{end}", {"email": address})


def asked_too_often(desk: Desk) -> Answer:
    person = desk.person()
    for _ in range(3):
        assert request(desk, person.email).status == 200
    return request(desk, person.email)


def display(desk: Desk, method: str = "GET", end: str = "", **headers: str) -> Answer:
    return desk.ask(method, f"{LINKS}/display/{desk.link(desk.person())}{end}", headers=headers)


def display_by_query(desk: Desk, method: str = "GET", end: str = "") -> Answer:
    return desk.ask(method, f"{LINKS}/display{end}?token={desk.link(desk.person())}")


def verify(desk: Desk, end: str = "") -> Answer:
    return desk.post(f"{LINKS}/verify{end}", {"token": desk.link(desk.person())})


def verify_code(desk: Desk, end: str = "") -> Answer:
    person = desk.person()
    return desk.post(f"{LINKS}/verify{end}", {"email": person.email, "code": desk.code_shown(person)})


def verify_wrong_code(desk: Desk) -> Answer:
    person = desk.person()
    code = (int(desk.code_shown(person)) + 1) % 1_000_000
    return desk.post(f"{LINKS}/verify", {"email": person.email, "code": f"{code:06d}"})


def verify_twice(desk: Desk) -> Answer:
    link = desk.link(desk.person())
    assert desk.post(f"{LINKS}/verify", {"token": link}).status == 200
    return desk.post(f"{LINKS}/verify", {"token": link})


def verify_late(desk: Desk) -> Answer:
    link = desk.link(desk.person())
    desk.hand.ahead += 15 * 60
    return desk.post(f"{LINKS}/verify", {"token": link})


def verify_superseded(desk: Desk) -> Answer:
    person = desk.person()
    link = desk.link(person)
    desk.link(person)
    return desk.post(f"{LINKS}/verify", {"token": link})


def verify_with_second_factor(desk: Desk) -> Answer:
    person = desk.person()
    desk.app(person)
    return desk.post(f"{LINKS}/verify", {"token": desk.link(person)})


def log_in(desk: Desk, password: str, address: str = "", end: str = "") -> Answer:
    return desk.post(f"{USERS}/login{end}", {"email": address or desk.person().email, "password": password})


def log_in_with_second_factor(desk: Desk) -> Answer:
    person = desk.person()
    desk.app(person)
    return log_in(desk, PASSWORD, person.email)


def reset(desk: Desk, password: str = NEW_PASSWORD, end: str = "", wrong: int = 0) -> Answer:
    person = desk.person()
    code = f"{(int(desk.reset_code(person)) + wrong) % 1_000_000:06d}"
    return desk.post(f"{USERS}/reset-password{end}", {"email": person.email, "token": code, "newPassword": password})


def change(desk: Desk, current: str = PASSWORD, new: str = NEW_PASSWORD, end: str = "") -> Answer:
    return desk.ask(
        "PUT", f"{USERS}/password{end}", {"currentPassword": current, "newPassword": new}, token=desk.login()
    )


def enable_again(desk: Desk) -> Answer:
    return desk.post(f"{TOTP}/enable", token=desk.app().token)


def validate(desk: Desk, end: str = "") -> Answer:
    token = desk.login()
    secret = desk.begun(token)
    return desk.post(f"{TOTP}/validate-app{end}", {"token": desk.code(secret)}, token)


def validate_wrong(desk: Desk) -> Answer:
    token = desk.login()
    secret = desk.begun(token)
    return desk.post(f"{TOTP}/validate-app", {"token": desk.wrong(secret)}, token)


def validate_late(desk: Desk) -> Answer:
    token = desk.login()
    secret = desk.begun(token)
    desk.hand.ahead += 15 * 60
    return desk.post(f"{TOTP}/validate-app", {"token": desk.code(secret)}, token)


def validate_again(desk: Desk) -> Answer:
    app = desk.app()
    return desk.post(f"{TOTP}/validate-app", {"token": desk.code(app.secret)}, app.token)


def check(desk: Desk, end: str = "") -> Answer:
    app, token = desk.pending()
    return desk.post(f"{TOTP}/check-token{end}", {"token": desk.code(app.secret)}, token)


def check_recovery(desk: Desk) -> Answer:
    app, token = desk.pending()
    return desk.post(f"{TOTP}/check-token", {"token": app.codes[0]}, token)


def check_spent_recovery(desk: Desk) -> Answer:
    person = desk.person()
    app, token = desk.pending(person)
    assert desk.post(f"{TOTP}/check-token", {"token": app.codes[0]}, token).status == 200
    return desk.post(f"{TOTP}/check-token", {"token": app.codes[0]}, desk.login(person))


def check_wrong(desk: Desk, times: int = 1) -> Answer:
    app, token = desk.pending()
    for _ in range(times - 1):
        assert desk.post(f"{TOTP}/check-token", {"token": desk.wrong(app.secret)}, token).status == 400
        desk.hand.rest()
    return desk.post(f"{TOTP}/check-token", {"token": desk.wrong(app.secret)}, token)


def check_too_fast(desk: Desk) -> Answer:
    app = desk.app()
    for _ in range(5):
        assert desk.post(f"{TOTP}/disable", {"token": desk.wrong(app.secret)}, app.token).status == 400
    return desk.post(f"{TOTP}/disable", {"token": desk.code(app.secret)}, app.token)


def with_app(desk: Desk, name: str, end: str = "", *, right: bool = True) -> Answer:
    """An endpoint that takes the app's code."""
    app = desk.app()
    code = desk.code(app.secret) if right else desk.wrong(app.secret)
    return desk.post(f"{TOTP}/{name}{end}", {"token": code}, app.token)


def with_recovery(desk: Desk, name: str) -> Answer:
    app = desk.app()
    return desk.post(f"{TOTP}/{name}", {"token": app.codes[0]}, app.token)


def without_app(desk: Desk, name: str) -> Answer:
    return desk.post(f"{TOTP}/{name}", {"token": "123456"}, desk.login())


REQUEST, VERIFY = f"POST {LINKS}/request", f"POST {LINKS}/verify"
DISPLAY, DISPLAY_QUERY = f"{LINKS}/display/{{token}}", f"{LINKS}/display"
LOGIN, START_RESET = f"POST {USERS}/login", f"POST {USERS}/start-password-reset"
RESET, CHANGE, LOGOUT = f"POST {USERS}/reset-password", f"PUT {USERS}/password", f"POST {USERS}/logout"
ENABLE, VALIDATE, CHECK = f"POST {TOTP}/enable", f"POST {TOTP}/validate-app", f"POST {TOTP}/check-token"
DISABLE, CODES = f"POST {TOTP}/disable", f"POST {TOTP}/recovery-codes"

BY_MAIL: Sequence[Golden] = (
    Golden(REQUEST, "a link", lambda desk, end: request(desk, desk.person().email, end), 200, SENT),
    Golden(REQUEST, "nobody's address", lambda desk, end: request(desk, "nobody@example.org", end), 200, SENT),
    refused(REQUEST, "no address", lambda desk: request(desk, "nobody"), 400, "invalid_value"),
    refused(REQUEST, "not even a text", lambda desk: request(desk, 7), 400, "bad_parameter"),
    refused(REQUEST, "half a character", lambda desk: request(desk, "\ud800@example.org"), 400, "invalid_value"),
    refused(REQUEST, "a fourth mail", asked_too_often, 429, "too_many_attempts"),
    Golden(f"GET {DISPLAY}", "a page", lambda desk, end: display(desk, "GET", end), 200, ASK_PAGE),
    Golden(
        f"GET {DISPLAY}",
        "a link of nobody",
        lambda desk, end: desk.ask("GET", f"{LINKS}/display/{UNKNOWN_LINK}{end}"),
        401,
        GONE_PAGE,
    ),
    Golden(f"GET {DISPLAY}", "rubbish", lambda desk, end: desk.ask("GET", f"{LINKS}/display/x{end}"), 401, GONE_PAGE),
    Golden(f"GET {DISPLAY_QUERY}", "a page", lambda desk, end: display_by_query(desk, "GET", end), 200, ASK_PAGE),
    Golden(
        f"GET {DISPLAY_QUERY}", "no token", lambda desk, end: desk.ask("GET", f"{LINKS}/display{end}"), 401, GONE_PAGE
    ),
    Golden(f"POST {DISPLAY}", "the code", lambda desk, end: display(desk, "POST", end), 200, CODE_PAGE),
    Golden(
        f"POST {DISPLAY}",
        "a link of nobody",
        lambda desk, end: desk.ask("POST", f"{LINKS}/display/{UNKNOWN_LINK}{end}"),
        401,
        GONE_PAGE,
    ),
    Golden(
        f"POST {DISPLAY}",
        "the button of another site",
        lambda desk, end: display(desk, "POST", end, **{"Sec-Fetch-Site": "cross-site"}),
        403,
        REFUSED_PAGE,
    ),
    Golden(f"POST {DISPLAY_QUERY}", "the code", lambda desk, end: display_by_query(desk, "POST", end), 200, CODE_PAGE),
    Golden(VERIFY, "a link's token", lambda desk, end: verify(desk, end), 200, session()),
    Golden(VERIFY, "address and code", lambda desk, end: verify_code(desk, end), 200, session()),
    Golden(
        VERIFY, "a second factor on", lambda desk, _: verify_with_second_factor(desk), 200, session(300, pending=True)
    ),
    refused(VERIFY, "a wrong code", verify_wrong_code, 401, "MYC00008"),
    refused(VERIFY, "twice", verify_twice, 401, "MYC00008"),
    refused(VERIFY, "after fifteen minutes", verify_late, 401, "MYC00008"),
    refused(VERIFY, "after a newer link", verify_superseded, 401, "MYC00008"),
    refused(
        VERIFY,
        "a link of nobody",
        lambda desk: desk.post(f"{LINKS}/verify", {"token": UNKNOWN_LINK}),
        401,
        "MYC00008",
    ),
    refused(
        VERIFY,
        "a code without an address",
        lambda desk: desk.post(f"{LINKS}/verify", {"code": "123456"}),
        400,
        "bad_parameter",
    ),
)

BY_PASSWORD: Sequence[Golden] = (
    Golden(LOGIN, "the password", lambda desk, end: log_in(desk, PASSWORD, end=end), 200, session()),
    Golden(
        LOGIN, "a second factor on", lambda desk, _: log_in_with_second_factor(desk), 200, session(300, pending=True)
    ),
    refused(LOGIN, "a wrong one", lambda desk: log_in(desk, NEW_PASSWORD), 401, "MYC00008"),
    refused(LOGIN, "nobody's", lambda desk: log_in(desk, PASSWORD, "nobody@example.org"), 401, "MYC00008"),
    refused(LOGIN, "no address", lambda desk: log_in(desk, PASSWORD, "nobody"), 400, "invalid_value"),
    Golden(
        START_RESET,
        "a code",
        lambda desk, end: desk.post(f"{USERS}/start-password-reset{end}", {"email": desk.person().email}),
        200,
        SENT,
    ),
    Golden(
        START_RESET,
        "nobody's address",
        lambda desk, end: desk.post(f"{USERS}/start-password-reset{end}", {"email": "nobody@example.org"}),
        200,
        SENT,
    ),
    Golden(RESET, "a new password", lambda desk, end: reset(desk, end=end), 204),
    refused(RESET, "a wrong code", lambda desk: reset(desk, wrong=1), 401, "MYC00008"),
    refused(RESET, "too short a password", lambda desk: reset(desk, "short"), 400, "invalid_value"),
    Golden(CHANGE, "a new password", lambda desk, end: change(desk, end=end), 204),
    refused(CHANGE, "a wrong current one", lambda desk: change(desk, NEW_PASSWORD), 401, "MYC00008"),
    refused(CHANGE, "too short a password", lambda desk: change(desk, new="short"), 400, "invalid_value"),
    Golden(LOGOUT, "a session", lambda desk, end: desk.post(f"{USERS}/logout{end}", token=desk.login()), 204),
    Golden(LOGOUT, "half a session", lambda desk, end: desk.post(f"{USERS}/logout{end}", token=desk.pending()[1]), 204),
)

SECOND_FACTOR: Sequence[Golden] = (
    Golden(
        ENABLE,
        "a URL",
        lambda desk, end: desk.post(f"{TOTP}/enable{end}", token=desk.login()),
        200,
        {"totpUrl": OTP_URL},
    ),
    Golden(
        ENABLE,
        "a picture",
        lambda desk, end: desk.post(f"{TOTP}/enable{end}?qr_code=true", token=desk.login()),
        200,
        SVG,
    ),
    refused(ENABLE, "on already", enable_again, 400, "MYC00021"),
    refused(
        ENABLE,
        "neither true nor false",
        lambda desk: desk.post(f"{TOTP}/enable?qr_code=1", token=desk.login()),
        400,
        "bad_parameter",
    ),
    Golden(
        VALIDATE,
        "the first code",
        lambda desk, end: validate(desk, end),
        200,
        {"finished": True, "recoveryCodes": [RECOVERY] * 10},
    ),
    refused(VALIDATE, "a wrong code", validate_wrong, 400, "MYC00023"),
    refused(VALIDATE, "not begun", lambda desk: without_app(desk, "validate-app"), 400, "MYC00022"),
    refused(VALIDATE, "begun too long ago", validate_late, 400, "MYC00022"),
    refused(VALIDATE, "on already", validate_again, 400, "MYC00021"),
    Golden(CHECK, "a code", lambda desk, end: check(desk, end), 200, session()),
    Golden(CHECK, "a recovery code", lambda desk, _: check_recovery(desk), 200, session()),
    refused(CHECK, "a spent recovery code", check_spent_recovery, 400, "MYC00023"),
    refused(CHECK, "a wrong code", check_wrong, 400, "MYC00023"),
    refused(CHECK, "a sixth wrong code", lambda desk: check_wrong(desk, 6), 401, "MYC00008"),
    refused(CHECK, "a whole session", lambda desk: without_app(desk, "check-token"), 400, "MYC00022"),
    Golden(DISABLE, "a code", lambda desk, end: with_app(desk, "disable", end), 204),
    refused(DISABLE, "a wrong code", lambda desk: with_app(desk, "disable", right=False), 400, "MYC00023"),
    refused(DISABLE, "not on", lambda desk: without_app(desk, "disable"), 400, "MYC00022"),
    refused(DISABLE, "a right code after five wrong ones", check_too_fast, 429, "too_many_attempts"),
    Golden(
        CODES,
        "a code",
        lambda desk, end: with_app(desk, "recovery-codes", end),
        200,
        {"recoveryCodes": [RECOVERY] * 10},
    ),
    refused(CODES, "a wrong code", lambda desk: with_app(desk, "recovery-codes", right=False), 400, "MYC00023"),
    refused(CODES, "a recovery code", lambda desk: with_recovery(desk, "recovery-codes"), 400, "MYC00023"),
    refused(CODES, "not on", lambda desk: without_app(desk, "recovery-codes"), 400, "MYC00022"),
)
