"""Mycelium's API, endpoint by endpoint: exact statuses, keys, types and error bodies, for good answers and refusals."""

import json
from typing import cast

import pytest
from e2e.world import Answer

from gateway.app.logins import paths
from gateway.login.dialect import Endpoint
from gateway.settings.model import Settings

from .desk import NOBODY, Desk
from .exchanges import BY_MAIL, BY_PASSWORD, SECOND_FACTOR
from .golden import ID, TEXT, Golden, as_noted
from .holdings import LOGINS, OUTSIDE, STRINGS

GOLDEN = (*BY_MAIL, *BY_PASSWORD, *SECOND_FACTOR, *STRINGS, *LOGINS, *OUTSIDE)
GOOD = [golden for golden in GOLDEN if golden.status < 300]
DIALECTS = paths(Settings(upstreams={}, routes=()))
ENDPOINTS = [endpoint for dialect in DIALECTS if dialect.name == "mycelium" for endpoint in dialect.endpoints()]
JSON = [endpoint for endpoint in ENDPOINTS if endpoint.body == "json"]
CALLERS = [endpoint for endpoint in ENDPOINTS if endpoint.caller != "nobody"]
WHOLE = [endpoint for endpoint in CALLERS if endpoint.caller == "session"]


def named(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def of(endpoint: Endpoint) -> str:
    """A path of it."""
    return endpoint.path.replace("{id}", NOBODY).replace("{tenant_id}", NOBODY).replace("{token}", "x")


def said(answer: Answer) -> object:
    if not answer.body:
        return None
    text = answer.body.decode()
    return json.loads(text) if answer.headers.get_content_type() == "application/json" else text


def sealed(answer: Answer) -> bool:
    """Kept out of caches, and out of what browsers guess."""
    return (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


def found(golden: Golden, answer: Answer) -> tuple[int, object, str | None]:
    assert sealed(answer)
    return answer.status, as_noted(golden.body, said(answer)), answer.headers["WWW-Authenticate"]


def fault(answer: Answer) -> tuple[int, object, str | None]:
    """Of a refusal of this API, whose body has the three members."""
    noted = {"msg": TEXT, "code": TEXT, "request_id": ID}
    body = said(answer)
    assert (as_noted(noted, body), sealed(answer)) == (noted, True)
    return answer.status, cast(dict[str, object], body)["code"], answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_an_exchange_is_as_it_is_noted(desk: Desk, golden: Golden) -> None:
    """Status, body and challenge."""
    assert found(golden, golden.ask(desk, "")) == (golden.status, golden.body, golden.challenge)


@pytest.mark.parametrize("golden", GOOD, ids=lambda golden: golden.name)
def test_a_path_may_end_in_a_slash(desk: Desk, golden: Golden) -> None:
    """The seeds' clients send both forms."""
    assert found(golden, golden.ask(desk, "/")) == (golden.status, golden.body, golden.challenge)


def test_every_endpoint_has_a_golden_exchange() -> None:
    """A good one; and there is none of an endpoint that is not there."""
    assert {golden.endpoint for golden in GOOD} == {named(endpoint) for endpoint in ENDPOINTS}


def test_every_exchange_has_its_own_name() -> None:
    """A failure names one."""
    names = [golden.name for golden in GOLDEN]
    assert sorted(set(names)) == sorted(names)


def test_too_many_attempts_say_when_to_come_back(desk: Desk) -> None:
    """In whole seconds."""
    (golden,) = [golden for golden in GOLDEN if golden.shows == "a fourth mail"]
    assert 0 < int(golden.ask(desk, "").headers["Retry-After"]) <= 900


@pytest.mark.parametrize("endpoint", JSON, ids=named)
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"text"', b"\xff", b'{"token":"a","token":"b"}', b'{"email":NaN}', b"[" * 2000],
    ids=lambda body: repr(body[:24]),
)
def test_a_body_that_is_no_json_object_is_refused(desk: Desk, endpoint: Endpoint, body: bytes) -> None:
    """Before anything of it is used, and without an echo of it."""
    token = None if endpoint.caller == "nobody" else restful(desk)
    assert fault(desk.ask(endpoint.method, of(endpoint), body, token=token)) == (400, "bad_parameter", None)


@pytest.mark.parametrize("endpoint", JSON, ids=named)
def test_an_object_without_its_members_is_refused(desk: Desk, endpoint: Endpoint) -> None:
    """400, whatever else is wrong."""
    pending = endpoint.path.endswith("/check-token")
    token = None if endpoint.caller == "nobody" else desk.pending()[1] if pending else restful(desk)
    assert fault(desk.ask(endpoint.method, of(endpoint), {}, token=token)) == (400, "bad_parameter", None)


@pytest.mark.parametrize("endpoint", JSON, ids=named)
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_a_body_of_another_type_is_refused(desk: Desk, endpoint: Endpoint, kind: str) -> None:
    """A form of another site's page has such a type."""
    token = None if endpoint.caller == "nobody" else restful(desk)
    answer = desk.ask(endpoint.method, of(endpoint), b"{}", token=token, headers={"Content-Type": kind})
    assert fault(answer) == (415, "unsupported_media", None)


@pytest.mark.parametrize("endpoint", CALLERS, ids=named)
def test_nobody_is_asked_for_a_credential(desk: Desk, endpoint: Endpoint) -> None:
    """401, with the challenge of RFC 9110 section 11.6.1."""
    answer = desk.ask(endpoint.method, of(endpoint), {} if endpoint.body == "json" else None)
    assert fault(answer) == (401, "no_credential", "Bearer")


@pytest.mark.parametrize("endpoint", CALLERS, ids=named)
def test_a_credential_that_is_none_is_refused(desk: Desk, endpoint: Endpoint) -> None:
    """Also where it would be enough to have none."""
    answer = desk.ask(endpoint.method, of(endpoint), {} if endpoint.body == "json" else None, token="a.b.c")
    assert fault(answer) == (401, "invalid_credential", "Bearer")


@pytest.mark.parametrize("endpoint", WHOLE, ids=named)
def test_half_a_session_is_refused(desk: Desk, endpoint: Endpoint) -> None:
    """Everywhere but where it is made whole, and at its end."""
    body = {} if endpoint.body == "json" else None
    answer = desk.ask(endpoint.method, of(endpoint), body, token=half(desk))
    assert fault(answer) == (401, "mfa_required", "Bearer")


@pytest.mark.parametrize("endpoint", CALLERS, ids=named)
def test_a_connection_string_changes_nothing_of_its_account(desk: Desk, endpoint: Endpoint) -> None:
    """Programs hold it: with it they may not log people out, in, or make more of it."""
    body = FILLED.get(named(endpoint), FILLER) if endpoint.body == "json" else None
    headers = {"x-mycelium-tenant-id": NOBODY}
    answer = desk.ask(endpoint.method, of(endpoint), body, string=string(desk), headers=headers)
    assert fault(answer) == (403, "forbidden", None)


FILLER = dict.fromkeys(
    ("token", "currentPassword", "newPassword", "initData", "botToken", "webhookSecret", "role"), "x"
)
FILLED = {"POST /_adm/beginners/tokens": {"tenantId": NOBODY, "role": "manager", "expiration": 60}}


def restful(desk: Desk) -> str:
    """A session that nothing happens to."""
    return desk.kept("session", desk.login)


def half(desk: Desk) -> str:
    """One whose second factor is to come."""
    return desk.kept("half", lambda: desk.pending()[1])


def string(desk: Desk) -> str:
    """A connection string."""

    def made() -> str:
        person = desk.person()
        return desk.string(person, desk.login(person))

    return desk.kept("string", made)
