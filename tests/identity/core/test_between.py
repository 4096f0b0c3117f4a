"""What happens to an account while a login is under way counts for the login.

A store that does something else after one of its answers stands for the request that came in between.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.errors import DependencyFailed
from gateway.identity.model import Enrolment

from .world import ADA, HERE, PASSWORD, App, Core, outcome

NEW = "another horse battery"


@dataclass
class After:
    """A part of the store. `then` runs once, right after the method of that name has answered."""

    inner: Any
    method: str
    then: list[Callable[[], Awaitable[object]]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        return self._followed(found) if name == self.method else found

    def _followed(self, found: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def call(*args: object) -> object:
            answer = await found(*args)
            if self.then:
                await self.then.pop()()
            return answer

        return call


def beside(core: Core, **parts: Any) -> Core:
    """The same store, seen through other parts."""
    return Core(core.store, core.hand, core.throttle, core.passwords, **parts)


@pytest.mark.parametrize("way", ["link", "code", "password"])
async def test_a_factor_enabled_during_a_login_counts_for_it(core: Core, way: str) -> None:
    """S-46: or whoever has the password alone begins a login, and is in when its owner has just locked the door."""
    session = await core.logins.password(ADA, PASSWORD, HERE)
    app = App(await core.factors.enable(session.account), core.hand)
    token = await core.link()
    shown = await core.logins.show_code(token)
    assert shown is not None
    store = After(core.store.changes().factors, "held")
    store.then.append(lambda: core.factors.confirm(session.account, app.code(), session.grant.id, HERE))
    logins = beside(core, factor_store=store).logins
    ways = {
        "link": lambda: logins.claim_link(token, HERE),
        "code": lambda: logins.claim_code(ADA, shown[1], HERE),
        "password": lambda: logins.password(ADA, PASSWORD, HERE),
    }
    await outcome(ways[way]())
    held: Enrolment = await core.factors.held(session.account.id)
    open_ones = await core.rows("SELECT id FROM grant_ WHERE revoked_at IS NULL AND NOT restricted AND aal = 1")
    assert (held.active is not None, open_ones) == (True, [])


async def test_a_password_changed_during_a_login_by_the_old_one_ends_it(core: Core) -> None:
    """All sessions but the one that changed it end, and this one was begun by the password that is no more."""
    session = await core.logins.password(ADA, PASSWORD, HERE)
    caller = await core.caller(session.token)
    people = After(core.store.changes().accounts, "password")
    people.then.append(lambda: core.logins.change_password(caller, PASSWORD, NEW, HERE))
    await outcome(beside(core, people=people).logins.password(ADA, PASSWORD, HERE))
    live = await core.rows("SELECT id FROM grant_ WHERE revoked_at IS NULL")
    assert live == [(session.grant.id,)]


async def test_an_account_disabled_during_a_login_gets_no_grant(core: Core) -> None:
    """The claim looks again, under the lock."""
    account = await core.account()
    store = After(core.store.changes().factors, "held")
    store.then.append(lambda: core.store.accounts.set_status(account.id, "disabled"))
    logins = beside(core, factor_store=store).logins
    assert await outcome(logins.password(ADA, PASSWORD, HERE)) == "code_wrong"
    assert await core.count("grant_") == 0


async def test_a_newer_link_asked_for_during_a_login_ends_it(core: Core) -> None:
    """S-52: the claim finds its challenge superseded."""
    token = await core.link()
    store = After(core.store.changes().factors, "held")
    store.then.append(lambda: core.logins.request_link(ADA, HERE))
    assert await outcome(beside(core, factor_store=store).logins.claim_link(token, HERE)) == "code_wrong"


async def test_a_factor_removed_by_an_operator_during_its_proof_lifts_nothing(core: Core) -> None:
    """Every grant has ended, the waiting one too."""
    app, _, session = await core.enrolled()
    caller = await core.caller((await core.logins.password(ADA, PASSWORD, HERE)).token)
    store = After(core.store.changes().factors, "accept")
    store.then.append(lambda: core.store.changes().factors.remove(session.account.id, None, None))
    found = await outcome(beside(core, factor_store=store).logins.second_factor(caller, app.code(), HERE))
    assert (found, await core.rows("SELECT id FROM grant_ WHERE revoked_at IS NULL")) == ("code_wrong", [])


@dataclass
class OutOfReach:
    """A keyring whose store is away."""

    inner: Any

    async def signing_keys(self) -> Any:
        raise DependencyFailed("store_unavailable")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


async def test_a_link_whose_token_cannot_be_made_is_not_used_up(core: Core) -> None:
    """The key is asked for before the claim."""
    token = await core.link()
    with pytest.raises(DependencyFailed):
        await beside(core, keyring=OutOfReach(core.store.keys)).logins.claim_link(token, HERE)
    assert await core.count("grant_") == 0
    await core.logins.claim_link(token, HERE)


async def test_a_recovery_code_is_not_spent_for_a_token_that_cannot_be_made(core: Core) -> None:
    """Nor a try."""
    _, codes, _ = await core.enrolled()
    caller = await core.caller((await core.logins.password(ADA, PASSWORD, HERE)).token)
    with pytest.raises(DependencyFailed):
        await beside(core, keyring=OutOfReach(core.store.keys)).logins.second_factor(caller, codes[0], HERE)
    await core.logins.second_factor(caller, codes[0], HERE)
