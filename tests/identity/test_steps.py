"""Logins in two calls over a real store, where something fails between their steps."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from argon2 import PasswordHasher
from store.world import MASTER_KEY, Hand

from gateway.clock import Clock
from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.accounts import Accounts, NewAccount
from gateway.identity.business_tokens import BusinessTokens
from gateway.identity.keys import Keys
from gateway.identity.model import Account, Grant, MacKey, Principal, SigningKey
from gateway.identity.origin import Origin
from gateway.identity.people import People
from gateway.identity.services import Services
from gateway.identity.sessions import Terms
from gateway.identity.steps import Mint, Steps
from gateway.login.dialect import Call
from gateway.login.mployr.sessions import FORM, SessionEndpoints
from gateway.store.schema import migrate
from gateway.store.sql import Store, open_store

from .test_approvals import services

HERE = Origin("192.0.2.1", "curl/8.5.0")
PASSWORD = "correct horse battery"


class Keyless:
    """A mint whose signing key is out of reach."""

    async def prepare(self, account: Account) -> Callable[[Grant], str]:
        raise DependencyFailed("keys_unavailable")


class NoKeys:
    """A keyring with nothing on it."""

    async def signing_keys(self) -> Sequence[SigningKey]:
        return []

    async def mac_keys(self) -> Sequence[MacKey]:
        return []


@dataclass
class Gone:
    """People, of whom none has an account any more."""

    inner: Any

    async def account(self, account_id: str) -> Account:
        raise RequestRejected("not_found", f"there is no account {account_id}")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@dataclass
class Counter:
    store: Store
    clock: Clock
    core: Services
    mint: Mint
    ada: Account

    def steps(self, mint: Mint, people: People | None = None) -> Steps:
        core = self.core
        return Steps(
            core.challenges, people or core.people, core.factors, core.passwords, core.throttle,
            core.notices, core.clock, mint,
        )  # fmt: skip

    def endpoints(self, mint: Mint) -> SessionEndpoints:
        return SessionEndpoints(self.steps(mint), self.core.sessions, "/v1")

    async def live(self) -> list[str]:
        grants = await self.store.grants.grants(self.ada.id)
        return [grant.id for grant in grants if grant.revoked_at is None]


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    url = f"sqlite:///{tmp_path}/gateway.db"
    await migrate(url)
    clock = Clock(now=Hand().now)
    store = await open_store(url, MASTER_KEY, clock)
    await store.open_changes()
    await Keys(store.keys, clock).ensure("EdDSA", mployr=True)
    phc = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    accounts = Accounts(store.accounts, store.tenants, store.roles, clock)
    ada = await accounts.create_account(NewAccount("ada@example.org", phc=phc))
    mint = BusinessTokens(store.keys, store.roles, Terms("https://g.example", "https://g.example"), clock)
    yield Counter(store, clock, services(store, clock), mint, ada)
    await store.aclose()


async def test_a_login_whose_token_cannot_be_made_goes_on_when_it_can(counter: Counter) -> None:
    """The key is asked for before the challenge is claimed: else the login would be over, with nothing to show."""
    begun = await counter.steps(Keyless()).begin("ada@example.org", "email", PASSWORD, HERE, FORM.dialect)
    with pytest.raises(DependencyFailed, match="keys_unavailable"):
        await counter.steps(Keyless()).finish(begun.token, None, HERE, FORM)
    assert await counter.live() == []
    entered = await counter.steps(counter.mint).finish(begun.token, None, HERE, FORM)
    assert await counter.live() == [entered.grant.id]


async def test_a_refresh_whose_token_cannot_be_made_leaves_the_old_one(counter: Counter) -> None:
    """Or its holder would be logged out by our own fault."""
    steps = counter.steps(counter.mint)
    begun = await steps.begin("ada@example.org", "email", PASSWORD, HERE, FORM.dialect)
    held = (await steps.finish(begun.token, None, HERE, FORM)).grant
    caller = Principal(counter.ada.id, "", "internal", held.expires_at, counter.ada, held.id, grant_kind="session")
    with pytest.raises(DependencyFailed, match="keys_unavailable"):
        await counter.endpoints(Keyless()).refresh(Call(HERE, principal=caller))
    assert await counter.live() == [held.id]


async def test_without_a_key_to_sign_with_it_is_our_fault(counter: Counter) -> None:
    """503, never 409."""
    keyless = BusinessTokens(NoKeys(), counter.store.roles, Terms("https://g.example", "x"), counter.clock)
    with pytest.raises(DependencyFailed, match="keys_unavailable"):
        await keyless.prepare(counter.ada)


async def test_a_login_of_an_account_that_went_is_worth_as_little_as_any_other(counter: Counter) -> None:
    """404 would tell that it was there."""
    steps = counter.steps(counter.mint, cast(People, Gone(counter.core.people)))
    begun = await steps.begin("ada@example.org", "email", PASSWORD, HERE, FORM.dialect)
    with pytest.raises(RequestRejected, match="code_wrong"):
        await steps.finish(begun.token, None, HERE, FORM)


async def test_a_token_finishes_no_login_of_somebody_else(counter: Counter) -> None:
    """Whoever is named beside it must be who began it; and without a factor there is nothing to finish that way."""
    steps = counter.steps(counter.mint)
    begun = await steps.begin("ada@example.org", "email", PASSWORD, HERE, FORM.dialect)
    for named in (None, counter.ada):
        with pytest.raises(RequestRejected, match="code_wrong"):
            await steps.finish_own(named, begun.token, "123456", HERE, FORM)
    assert await counter.live() == []


async def test_what_is_handed_out_does_not_show_in_a_traceback(counter: Counter) -> None:
    """Nor in a log: neither has a repr that tells it."""
    steps = counter.steps(counter.mint)
    begun = await steps.begin("ada@example.org", "email", PASSWORD, HERE, FORM.dialect)
    entered = await steps.finish(begun.token, None, HERE, FORM)
    key = await counter.core.grants.issue_key(counter.ada.id, "key", None, FORM.dialect, HERE)
    shown = repr((begun, entered, key))
    assert [secret for secret in (begun.token, entered.secret, key.secret) if secret in shown] == []
