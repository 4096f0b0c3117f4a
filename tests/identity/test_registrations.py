"""Who may be the first to make an account."""

from types import SimpleNamespace

import pytest

from gateway.errors import RequestRejected
from gateway.identity.origin import Origin
from gateway.identity.registrations import Registrations


class Nobody:
    """No account is there."""

    async def has_people(self) -> bool:
        return False


async def test_a_stranger_does_not_take_the_operators_first_account() -> None:
    """Whoever registered before the setup would close it for good."""
    core = SimpleNamespace(bootstrap=True, people=Nobody())
    registrations = Registrations(core, None, None)  # type: ignore[arg-type]
    with pytest.raises(RequestRejected, match="forbidden"):
        await registrations.register("stranger", None, "curl", Origin("192.0.2.1"))
