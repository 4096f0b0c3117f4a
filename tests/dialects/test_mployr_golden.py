"""Mployr's API, endpoint by endpoint: exact statuses, keys, types and error bodies, for good answers and refusals."""

from collections.abc import Iterator

import pytest
from harness.people import People

from gateway.app.logins import paths
from gateway.login.dialect import Endpoint
from gateway.settings.model import Settings

from .desk import NOBODY, TOKENS, Desk, opened
from .golden import Golden
from .mployr import SAID, begun
from .mployr_exchanges import GOLDEN
from .test_mycelium_golden import found, named

GOOD = [golden for golden in GOLDEN if golden.status == 200]
DIALECTS = paths(Settings.model_validate({"upstreams": {}, "routes": (), **SAID}))
ENDPOINTS = [endpoint for dialect in DIALECTS if dialect.name == "mployr" for endpoint in dialect.endpoints()]
CALLERS = [endpoint for endpoint in ENDPOINTS if endpoint.caller != "nobody"]


@pytest.fixture(scope="module")
def opened_desk(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with opened(tmp_path_factory.mktemp("mployr"), people, **SAID) as made:
        yield made


@pytest.fixture
def desk(opened_desk: Desk) -> Desk:
    """With rested limits."""
    opened_desk.hand.rest()
    return opened_desk


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_an_exchange_is_as_it_is_noted(desk: Desk, golden: Golden) -> None:
    """Status, body and challenge."""
    assert found(golden, golden.ask(desk, "")) == (golden.status, golden.body, golden.challenge)


@pytest.mark.parametrize("golden", GOOD, ids=lambda golden: golden.name)
def test_a_path_may_end_in_a_slash(desk: Desk, golden: Golden) -> None:
    """Clients send both forms."""
    assert found(golden, golden.ask(desk, "/")) == (golden.status, golden.body, golden.challenge)


@pytest.mark.parametrize("endpoint", CALLERS, ids=named)
def test_nobody_is_answered_without_a_token(desk: Desk, endpoint: Endpoint) -> None:
    """In the seed's words."""
    method, path = named(endpoint).split(" ")
    answer = desk.ask(method, path, {} if method == "POST" else None)
    assert (answer.status, answer.json()) == (401, {"success": False, "message": "Unauthenticated."})


@pytest.mark.parametrize("path", [TOKENS, "/secure/x", "/auth/x", f"/_adm/beginners/tokens/{NOBODY}"])
def test_a_login_that_waits_opens_nothing_else(desk: Desk, path: str) -> None:
    """Its session_token is for `2fa/verify` alone."""
    method = "DELETE" if path.endswith(NOBODY) else "GET"
    assert desk.ask(method, path, token=begun(desk)[1]).status == 401


def test_every_endpoint_has_a_golden_exchange() -> None:
    """A good one; and there is none of an endpoint that is not there."""
    assert {golden.endpoint for golden in GOOD} == {named(endpoint) for endpoint in ENDPOINTS}


def test_every_exchange_has_its_own_name() -> None:
    """A failure names one."""
    names = [golden.name for golden in GOLDEN]
    assert sorted(set(names)) == sorted(names)
