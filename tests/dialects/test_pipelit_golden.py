"""Pipelit's API, endpoint by endpoint: exact statuses, keys, types and error bodies, for good answers and refusals."""

from collections.abc import Iterator

import pytest
from harness.people import People

from gateway.app.logins import paths
from gateway.login.dialect import Endpoint
from gateway.settings.login import Login, Mycelium, Pipelit
from gateway.settings.model import Settings

from .golden import TEXT, Golden, as_noted
from .pipelit import KEYS, Booth, pipelit
from .pipelit_exchanges import API_KEYS, LOGINS, SECOND_FACTOR, SETUP
from .test_mycelium_golden import found, named, of, said, sealed

GOLDEN = (*LOGINS, *SECOND_FACTOR, *API_KEYS)
GOOD = [golden for golden in GOLDEN if golden.status < 300]
LOGIN = Login(mycelium=Mycelium(enabled=False), pipelit=Pipelit())
SETTINGS = Settings(upstreams={}, routes=(), login=LOGIN)
ENDPOINTS = [endpoint for dialect in paths(SETTINGS) if dialect.name == "pipelit" for endpoint in dialect.endpoints()]
JSON = [endpoint for endpoint in ENDPOINTS if endpoint.body == "json" and named(endpoint) != SETUP]
CALLERS = [endpoint for endpoint in ENDPOINTS if endpoint.caller != "nobody"]
READS = ("/me", "/mfa/status")
MANAGING = [endpoint for endpoint in CALLERS if not endpoint.path.endswith(READS)]
NOT_JSON = {"detail": [{"type": "json_invalid", "loc": ["body"], "msg": "JSON decode error", "ctx": {"error": TEXT}}]}


@pytest.fixture(scope="module")
def shared(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booth]:
    with pipelit(tmp_path_factory.mktemp("booth"), people) as booth:
        yield booth


@pytest.fixture
def booth(shared: Booth) -> Booth:
    """With rested limits."""
    shared.hand.rest()
    return shared


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_an_exchange_is_as_it_is_noted(booth: Booth, golden: Golden) -> None:
    """Status, body and challenge, with the slash that the seed's paths end in."""
    assert found(golden, golden.ask(booth, "/")) == (golden.status, golden.body, golden.challenge)


@pytest.mark.parametrize("golden", GOOD, ids=lambda golden: golden.name)
def test_a_path_may_end_without_a_slash(booth: Booth, golden: Golden) -> None:
    """The seeds' clients send both forms."""
    assert found(golden, golden.ask(booth, "")) == (golden.status, golden.body, golden.challenge)


def test_every_endpoint_has_a_golden_exchange() -> None:
    """A good one, but for the first account, which needs a store of its own."""
    assert {golden.endpoint for golden in GOOD} | {SETUP} == {named(endpoint) for endpoint in ENDPOINTS}


def test_every_exchange_has_its_own_name() -> None:
    """A failure names one."""
    names = [golden.name for golden in GOLDEN]
    assert sorted(set(names)) == sorted(names)


def test_too_many_attempts_say_when_to_come_back(booth: Booth) -> None:
    """In whole seconds."""
    (golden,) = [golden for golden in LOGINS if golden.status == 429]
    assert 0 < int(golden.ask(booth, "").headers["Retry-After"]) <= 3600


@pytest.mark.parametrize("endpoint", JSON, ids=named)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff", b'{"code":"a","code":"b"}'], ids=repr)
def test_a_body_that_is_no_json_object_is_refused(booth: Booth, endpoint: Endpoint, body: bytes) -> None:
    """422 as FastAPI has it, without an echo of the body."""
    key = None if endpoint.caller == "nobody" else booth.kept("session", booth.key)
    answer = booth.ask(endpoint.method, of(endpoint), body, key)
    assert (answer.status, as_noted(NOT_JSON, said(answer))) == (422, NOT_JSON)


def test_a_refusal_does_not_repeat_what_was_sent(booth: Booth) -> None:
    """FastAPI's own would: the password."""
    assert b"hunter2" not in booth.auth("token/", {"username": 1, "password": ["hunter2"]}).body


@pytest.mark.parametrize("endpoint", JSON, ids=named)
def test_a_body_of_another_type_is_refused(booth: Booth, endpoint: Endpoint) -> None:
    """A form of another site's page has such a type."""
    key = None if endpoint.caller == "nobody" else booth.kept("session", booth.key)
    answer = booth.ask(endpoint.method, of(endpoint), b"{}", key, headers={"Content-Type": "text/plain"})
    assert (answer.status, said(answer)) == (415, {"detail": "Send Content-Type: application/json."})


@pytest.mark.parametrize("endpoint", CALLERS, ids=named)
@pytest.mark.parametrize("key", [None, "a.b.c", "A" * 43])
def test_a_caller_without_a_good_key_is_refused(booth: Booth, endpoint: Endpoint, key: str | None) -> None:
    """401, with the challenge of RFC 9110 section 11.6.1."""
    answer = booth.ask(endpoint.method, of(endpoint), {} if endpoint.body == "json" else None, key)
    assert (answer.status, said(answer), answer.headers["WWW-Authenticate"], sealed(answer)) == (
        401,
        {"detail": "Invalid or missing API key."},
        "Bearer",
        True,
    )


@pytest.mark.parametrize("endpoint", CALLERS, ids=named)
def test_half_a_login_is_no_key(booth: Booth, endpoint: Endpoint) -> None:
    """Its token is good for the second call alone."""
    token = booth.kept("mfa_token", lambda: str(booth.token(booth.armed().username).json()["mfa_token"]))
    body = {} if endpoint.body == "json" else None
    assert booth.ask(endpoint.method, of(endpoint), body, token).status == 401


@pytest.mark.parametrize("endpoint", MANAGING, ids=named)
def test_an_api_key_changes_nothing_of_its_account(booth: Booth, endpoint: Endpoint) -> None:
    """Programs hold it: with it they may not make others, nor take a factor away."""
    key = booth.kept("api key", lambda: str(booth.api_key(booth.key()).json()["key"]))
    body = {"code": "123456", "name": "x"} if endpoint.body == "json" else None
    answer = booth.ask(endpoint.method, of(endpoint), body, key)
    assert (answer.status, said(answer)) == (
        403,
        {"detail": "This takes the token of a login here: no key, and no other issuer's token."},
    )


@pytest.mark.parametrize("path", READS)
def test_an_api_key_reads_who_it_is(booth: Booth, path: str) -> None:
    """As upstream's do."""
    key = booth.kept("api key", lambda: str(booth.api_key(booth.key()).json()["key"]))
    assert booth.ask("GET", f"/api/v1/auth{path}/", token=key).status == 200


def test_keys_are_shown_once(booth: Booth) -> None:
    """A list has the first eight characters alone."""
    key = booth.key()
    made = str(booth.api_key(key).json()["key"])
    (listed,) = booth.ask("GET", KEYS, token=key).json()
    assert (listed["prefix"], "key" in listed) == (made[:8], False)
