"""One gateway that speaks all five, and its table of endpoints."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from dialects.desk import Desk, opened
from harness.fixtures import people
from harness.people import People
from harness.site import ROUTES

from gateway.app.checks import read
from gateway.app.logins import paths
from gateway.login.dialect import Endpoint

from .adapters import ADAPTERS, MOUNTS

__all__ = ["people"]

ALL: Mapping[str, Any] = {"mployr": {}, "mikrocloud": {}, "pipelit": {}, "navak": {"registration": "open"}}
BESIDE = [{"path": f"{mount}/beside/**", "access": "protected"} for mount in MOUNTS.values()]
MPLOYRS = [
    {"path": "/v1/people", "methods": ["GET"], "access": "protected", "errors": "mployr"},
    {"path": "/v1/payroll", "access": {"roles": [{"role": "payroll", "permission": "read"}]}, "errors": "mployr"},
]


@pytest.fixture(scope="session")
def shared(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Its limits of guesses must be let rest."""
    routes = [route for route in ROUTES if route["path"] != "/auth/**"]
    with opened(tmp_path_factory.mktemp("all"), people, login=ALL, routes=[*routes, *BESIDE, *MPLOYRS]) as found:
        yield found


@pytest.fixture
def desk(shared: Desk) -> Desk:
    """With rested limits."""
    shared.hand.rest()
    return shared


@pytest.fixture(scope="session")
def table(shared: Desk) -> Mapping[str, Sequence[Endpoint]]:
    """The endpoints of each dialect, as they are reserved."""
    found = [one for one in paths(read(shared.host.running.config, {}).settings) if one.name != "admin"]
    assert [dialect.name for dialect in found] == [adapter.name for adapter in ADAPTERS]
    return {dialect.name: dialect.endpoints() for dialect in found}
