"""One gateway for the tests that only send requests: each makes the tenants and people that it changes."""

from collections.abc import Iterator

import pytest
from harness.fixtures import people
from harness.people import People

from .desk import Desk, opened

__all__ = ["people"]


@pytest.fixture(scope="session")
def shared(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Its limits of guesses must be let rest."""
    with opened(tmp_path_factory.mktemp("desk"), people) as found:
        yield found


@pytest.fixture
def desk(shared: Desk) -> Desk:
    """With rested limits, and the gateway's own people just logged in: other tests put the clock forward."""
    shared.host.hand.rest()
    shared.staff, shared.manager = shared.again(shared.staff), shared.again(shared.manager)
    return shared
