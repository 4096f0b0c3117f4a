"""Requests to Mployr's API, in the name of people of the desk."""

from typing import Any, Final

from e2e.world import Answer

from .desk import PASSWORD, App, Desk, Person

V1: Final = "/v1"
LOGIN, VERIFY, REFRESH, LOGOUT, ME = (f"{V1}/{name}" for name in ("login", "2fa/verify", "refresh", "logout", "me"))
STATUS, SETUP, ENABLE, DISABLE, CODES = (
    f"{V1}/2fa/{name}" for name in ("status", "setup", "enable", "disable", "recovery-codes")
)
SAID: Final[dict[str, Any]] = {"login": {"mployr": {}}}


def log_in(desk: Desk, person: Person, password: str = PASSWORD, end: str = "") -> Answer:
    return desk.post(LOGIN + end, {"email": person.email, "password": password})


def data(answer: Answer) -> Any:
    """Of a good answer."""
    assert answer.status == 200, answer.body
    return answer.json()["data"]


def token(desk: Desk, person: Person | None = None) -> str:
    """Of somebody without a second factor."""
    return str(data(log_in(desk, person or desk.person()))["token"])


def begun(desk: Desk, person: Person | None = None) -> tuple[App, str]:
    """A second factor that is on, and the session_token of a login that waits for it."""
    person = person or desk.person()
    app = desk.app(person)
    return app, str(data(log_in(desk, person))["session_token"])


def whole(desk: Desk, person: Person | None = None) -> tuple[App, str]:
    """A second factor that is on, and the token of a login that proved it."""
    app, session = begun(desk, person)
    return app, str(data(desk.post(VERIFY, {"session_token": session, "code": desk.code(app.secret)}))["token"])


def set_up(desk: Desk) -> tuple[str, str]:
    """A token, and the secret of a second factor that is not confirmed yet."""
    held = token(desk)
    return held, str(data(desk.post(SETUP, token=held))["secret"])
