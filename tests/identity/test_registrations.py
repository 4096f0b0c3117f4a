"""Who may be the first, and what is left of a registration that failed half-way."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.new_emails import NewEmails
from gateway.identity.origin import Origin
from gateway.identity.registrations import Registrations
from gateway.identity.steps import Steps
from gateway.login.navak import FORM

from .test_approvals import PHONE, Office, office, services

__all__ = ["office"]


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


class Unclaimed:
    """Challenges, of a store that goes away before a claim."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def claim(self, *values: object, **named: object) -> bool:
        raise DependencyFailed("store_unavailable")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


async def test_a_name_whose_session_was_not_made_is_had_by_its_address(office: Office) -> None:
    """Else it would be taken for ever, by nobody."""
    core = services(office.store, office.hand.clock(office.made))
    steps = Steps(
        Unclaimed(core.challenges), core.people, core.factors, core.passwords, core.throttle, core.notices, core.clock
    )  # fmt: skip
    away = replace(core, steps=steps)
    office.made.clear()
    with pytest.raises(DependencyFailed):
        await Registrations(away, NewEmails(away, "navak", "x"), FORM).register("Bo.", "bo@example.org", "x", PHONE)
    assert await office.approvals.approve(office.link(), "", PHONE) == "confirmed"
    started, link = await office.begin("bo.", "bo@example.org")
    await office.approvals.approve(link, "", PHONE)
    assert await office.claim(started)
