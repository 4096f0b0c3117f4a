"""Navak's API, endpoint by endpoint: exact statuses, keys, types and error bodies."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final

import pytest
from e2e.world import Answer
from harness.people import People

from gateway.app.logins import paths
from gateway.login.dialect import Endpoint
from gateway.settings.model import Settings

from .desk import NOBODY, Desk
from .golden import ID, TEXT, Golden, as_noted
from .navak import AUTH, FORM, NOT_READY, begun, decide, door, login, named, page, poll, register, session

TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{342}==")
BEGUN: Final = {"expiration_date": int, "auth_id": ID}
HANDED: Final = {"session_token": TOKEN}
LISTED: Final = {
    "id": ID,
    "session_platform": "cURL",
    "ip": "127.0.0.1",
    "created_at": int,
    "last_used_at": None,
    "expiration_date": int,
    "current": True,
}
ASK: Final = re.compile(r"(?s)<!doctype html>.*Is this login yours\?.*cURL.*Approve.*Deny.*")
APPROVED: Final = re.compile(r"(?s)<!doctype html>.*The login is approved.*")
DENIED: Final = re.compile(r"(?s)<!doctype html>.*It is denied.*")
GONE: Final = re.compile(r"(?s)<!doctype html>.*This link does not work.*")
REFUSED: Final = re.compile(r"(?s)<!doctype html>.*")
UNKNOWN: Final = "A" * 43

REGISTRATION, LOGIN = f"POST {AUTH}/registration", f"POST {AUTH}/login"
SESSION, SESSIONS, END = f"GET {AUTH}/session/{{auth_id}}", f"GET {AUTH}/sessions", f"DELETE {AUTH}/sessions/{{id}}"
EMAIL, ASKING, DECIDING = f"PUT {AUTH}/email", f"GET {AUTH}/confirm/{{link}}", f"POST {AUTH}/confirm/{{link}}"


def error(text: object = TEXT) -> dict[str, object]:
    return {"error": text}


def log_in(desk: Desk, end: str = "", **changes: object) -> Answer:
    one = named(desk)
    body = {"username": one.username, "email": one.email, "session_platform": "cURL", **changes}
    return desk.post(f"{AUTH}/login{end}", {name: value for name, value in body.items() if value is not None})


def asked_too_often(desk: Desk) -> Answer:
    one = named(desk)
    for _ in range(3):
        assert login(desk, one.username, one.email).status == 200
    return login(desk, one.username, one.email)


def polled(desk: Desk, decision: str | None, end: str = "", *, again: bool = False) -> Answer:
    auth_id, link = begun(desk, named(desk))
    if decision is not None:
        assert decide(desk, link, decision).status == 200
    if again:
        assert poll(desk, auth_id).status == 200
    return poll(desk, auth_id, end)


def polled_too_fast(desk: Desk) -> Answer:
    auth_id, _ = begun(desk, named(desk))
    assert desk.ask("GET", f"{AUTH}/session/{auth_id}").status == 400
    return desk.ask("GET", f"{AUTH}/session/{auth_id}")


def late(desk: Desk) -> Answer:
    auth_id, link = begun(desk, named(desk))
    assert decide(desk, link).status == 200
    desk.hand.ahead += 15 * 60
    return poll(desk, auth_id)


def superseded(desk: Desk) -> Answer:
    one = named(desk)
    auth_id, link = begun(desk, one)
    assert decide(desk, link).status == 200
    begun(desk, one)
    return poll(desk, auth_id)


def pressed(desk: Desk, decision: str, end: str = "", *, twice: bool = False) -> Answer:
    _, link = begun(desk, named(desk))
    if twice:
        assert decide(desk, link, decision).status == 200
    return decide(desk, link, decision, end)


def raw_form(desk: Desk, body: bytes, **headers: str) -> Answer:
    _, link = begun(desk, named(desk))
    return desk.ask("POST", f"{AUTH}/confirm/{link}", body, headers={**FORM, **headers})


def ended(desk: Desk, end: str = "", *, mine: bool = True) -> Answer:
    one = named(desk)
    token = session(desk, one)
    (found,) = desk.ask("GET", f"{AUTH}/sessions", token=token).json()
    return desk.ask("DELETE", f"{AUTH}/sessions/{found['id']}{end}", token=token if mine else session(desk))


def wished(desk: Desk, email: object, end: str = "") -> Answer:
    return desk.ask("PUT", f"{AUTH}/email{end}", {"email": email}, token=session(desk))


def string_of(desk: Desk) -> str:
    person = desk.person()
    return desk.string(person, desk.login(person))


GOLDEN: Sequence[Golden] = (
    Golden(REGISTRATION, "a name", lambda desk, end: register(desk, end), 200, HANDED),
    Golden(REGISTRATION, "an address", lambda desk, _: register(desk, email="new@example.org"), 200, HANDED),
    Golden(
        REGISTRATION,
        "a name taken",
        lambda desk, _: register(desk, username=named(desk).username.upper()),
        409,
        error("Username is already taken"),
    ),
    Golden(REGISTRATION, "a short name", lambda desk, _: register(desk, username="yu"), 400, error()),
    Golden(REGISTRATION, "a long name", lambda desk, _: register(desk, username="y" * 33), 400, error()),
    Golden(REGISTRATION, "a name of others", lambda desk, _: register(desk, username="a b"), 400, error()),
    Golden(REGISTRATION, "no address", lambda desk, _: register(desk, email="nobody"), 400, error()),
    Golden(REGISTRATION, "an empty address", lambda desk, _: register(desk, email=""), 400, error()),
    Golden(REGISTRATION, "no platform", lambda desk, _: register(desk, session_platform=""), 400, error()),
    Golden(REGISTRATION, "a long platform", lambda desk, _: register(desk, session_platform="x" * 65), 400, error()),
    Golden(REGISTRATION, "two lines", lambda desk, _: register(desk, session_platform="a\nb"), 400, error()),
    Golden(LOGIN, "a right pair", log_in, 200, BEGUN),
    Golden(LOGIN, "another's name", lambda desk, _: log_in(desk, username="ada"), 200, BEGUN),
    Golden(LOGIN, "nobody's name", lambda desk, _: log_in(desk, username="\u0130 @"), 200, BEGUN),
    Golden(LOGIN, "nobody's address", lambda desk, _: log_in(desk, email="nobody@example.org"), 200, BEGUN),
    Golden(LOGIN, "no address", lambda desk, _: log_in(desk, email="nobody"), 400, error()),
    Golden(LOGIN, "not even a text", lambda desk, _: log_in(desk, email=7), 400, error("email must be a text.")),
    Golden(LOGIN, "nothing", lambda desk, _: log_in(desk, session_platform=None), 400, error()),
    Golden(LOGIN, "a fourth mail", lambda desk, _: asked_too_often(desk), 429, error("Slow down")),
    Golden(SESSION, "approved", lambda desk, end: polled(desk, "approve", end), 200, HANDED),
    Golden(SESSION, "not yet", lambda desk, _: polled(desk, None), 400, NOT_READY),
    Golden(SESSION, "denied", lambda desk, _: polled(desk, "deny"), 400, NOT_READY),
    Golden(SESSION, "claimed", lambda desk, _: polled(desk, "approve", again=True), 400, NOT_READY),
    Golden(SESSION, "too late", lambda desk, _: late(desk), 400, NOT_READY),
    Golden(SESSION, "after a newer one", lambda desk, _: superseded(desk), 400, NOT_READY),
    Golden(SESSION, "nobody's", lambda desk, _: poll(desk, NOBODY), 400, NOT_READY),
    Golden(SESSION, "rubbish", lambda desk, _: poll(desk, "x"), 400, NOT_READY),
    Golden(SESSION, "twice in a second", lambda desk, _: polled_too_fast(desk), 429, error("Slow down")),
    Golden(ASKING, "a page", lambda desk, end: page(desk, begun(desk, named(desk))[1], end), 200, ASK),
    Golden(ASKING, "of nobody", lambda desk, _: page(desk, UNKNOWN), 401, GONE),
    Golden(ASKING, "rubbish", lambda desk, _: page(desk, "x"), 401, GONE),
    Golden(DECIDING, "approve", lambda desk, end: pressed(desk, "approve", end), 200, APPROVED),
    Golden(DECIDING, "deny", lambda desk, end: pressed(desk, "deny", end), 200, DENIED),
    Golden(DECIDING, "approve twice", lambda desk, _: pressed(desk, "approve", twice=True), 401, GONE),
    Golden(DECIDING, "deny twice", lambda desk, _: pressed(desk, "deny", twice=True), 401, GONE),
    Golden(DECIDING, "of nobody", lambda desk, _: decide(desk, UNKNOWN), 401, GONE),
    Golden(DECIDING, "no button", lambda desk, _: raw_form(desk, b""), 400, REFUSED),
    Golden(DECIDING, "another button", lambda desk, _: raw_form(desk, b"decision=yes"), 400, REFUSED),
    Golden(DECIDING, "both", lambda desk, _: raw_form(desk, b"decision=deny&decision=approve"), 400, REFUSED),
    Golden(DECIDING, "no UTF-8", lambda desk, _: raw_form(desk, b"decision=approve&code=%ff"), 400, REFUSED),
    Golden(
        DECIDING,
        "JSON",
        lambda desk, _: raw_form(desk, b'{"decision":"approve"}', **{"Content-Type": "application/json"}),
        400,
        REFUSED,
    ),
    Golden(
        DECIDING,
        "another site's button",
        lambda desk, _: raw_form(desk, b"decision=approve", **{"Sec-Fetch-Site": "cross-site"}),
        403,
        REFUSED,
    ),
    Golden(
        SESSIONS, "mine", lambda desk, end: desk.ask("GET", f"{AUTH}/sessions{end}", token=session(desk)), 200, [LISTED]
    ),
    Golden(
        SESSIONS,
        "a program's",
        lambda desk, _: desk.ask("GET", f"{AUTH}/sessions", string=string_of(desk)),
        403,
        error(),
    ),
    Golden(END, "mine", ended, 204),
    Golden(END, "another's", lambda desk, _: ended(desk, mine=False), 404, error()),
    Golden(END, "rubbish", lambda desk, _: desk.ask("DELETE", f"{AUTH}/sessions/x", token=session(desk)), 404, error()),
    Golden(EMAIL, "one", lambda desk, end: wished(desk, "wish@example.org", end), 200, {"expiration_date": int}),
    Golden(EMAIL, "none", lambda desk, _: wished(desk, "wish"), 400, error()),
    Golden(EMAIL, "a number", lambda desk, _: wished(desk, 7), 400, error("email must be a text.")),
)
GOOD = [golden for golden in GOLDEN if golden.status < 300]
ENDPOINTS = [
    endpoint
    for dialect in paths(Settings.model_validate({"upstreams": {}, "routes": (), "login": {"navak": {}}}))
    if dialect.name == "navak"
    for endpoint in dialect.endpoints()
]
CALLERS = [endpoint for endpoint in ENDPOINTS if endpoint.caller == "session"]
JSON = [endpoint for endpoint in ENDPOINTS if endpoint.body == "json"]


@pytest.fixture(scope="module")
def shared(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Of this API."""
    with door(tmp_path_factory.mktemp("navak"), people) as found:
        yield found


def of(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def said(answer: Answer) -> object:
    if not answer.body:
        return None
    text = answer.body.decode()
    return json.loads(text) if answer.headers.get_content_type() == "application/json" else text


def found(golden: Golden, answer: Answer) -> tuple[int, object]:
    assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    return answer.status, as_noted(golden.body, said(answer))


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_an_exchange_is_as_it_is_noted(desk: Desk, golden: Golden) -> None:
    """Status and body."""
    assert found(golden, golden.ask(desk, "")) == (golden.status, golden.body)


@pytest.mark.parametrize("golden", GOOD, ids=lambda golden: golden.name)
def test_a_path_may_end_in_a_slash(desk: Desk, golden: Golden) -> None:
    """Without a redirect."""
    assert found(golden, golden.ask(desk, "/")) == (golden.status, golden.body)


def test_every_endpoint_has_a_golden_exchange() -> None:
    """A good one."""
    assert {golden.endpoint for golden in GOOD} == {of(endpoint) for endpoint in ENDPOINTS}


@pytest.mark.parametrize("endpoint", CALLERS, ids=of)
def test_nobody_is_asked_for_a_credential(desk: Desk, endpoint: Endpoint) -> None:
    """In this API's envelope."""
    answer = desk.ask(endpoint.method, endpoint.path.replace("{id}", NOBODY), {} if endpoint.body == "json" else None)
    assert (answer.status, list(answer.json()), answer.headers["WWW-Authenticate"]) == (401, ["error"], "Bearer")


@pytest.mark.parametrize("endpoint", JSON, ids=of)
def test_a_body_of_another_type_is_refused(desk: Desk, endpoint: Endpoint) -> None:
    """A form of another site's page has such a type."""
    token = desk.kept("session", lambda: session(desk)) if endpoint.caller == "session" else None
    answer = desk.ask(endpoint.method, endpoint.path, b"{}", token=token, headers={"Content-Type": "text/plain"})
    assert (answer.status, list(answer.json())) == (415, ["error"])


def test_too_many_polls_say_when_to_come_back(desk: Desk) -> None:
    """In a second."""
    assert polled_too_fast(desk).headers["Retry-After"] == "1"


def test_a_sixth_registration_from_a_network_is_refused(desk: Desk) -> None:
    """Names taken are counted too."""
    answers = [register(desk).status for _ in range(4)] + [register(desk, username="ada").status]
    assert (answers, said(register(desk))) == ([200] * 4 + [409], error("Slow down"))


def test_closed_registration_says_so(people: People, tmp_path_factory: pytest.TempPathFactory) -> None:
    """It is the default."""
    with door(tmp_path_factory.mktemp("closed"), people, "closed") as desk:
        answer = register(desk)
    assert (answer.status, said(answer)) == (403, error("Registration is closed"))
