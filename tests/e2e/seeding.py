"""A home's store, opened by the test itself: what would take the command line minutes, and what the store holds."""

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from gateway.cli.shared import Session, opened
from gateway.clock import Clock
from gateway.identity.accounts import NewAccount
from gateway.identity.grants import Terms, session_claims
from gateway.identity.keys import active
from gateway.identity.model import Account, Permission, Standing
from gateway.identity.tokens import mint
from gateway.settings.load import load

from .world import PROGRAM, PUBLIC_URL, Home, Person

T = TypeVar("T")
ROLES = 10  # to a tenant
LIFETIME = 3600.0  # seconds


def in_store(home: Home, work: Callable[[Session], Awaitable[T]]) -> T:
    """Runs `work` over the store that the home's configuration names."""

    async def session() -> T:
        settings = load(home.folder / "config.yaml", os.environ).settings
        async with opened(settings, Clock()) as services:
            return await work(services)

    return asyncio.run(session())


def founded(folder: Path) -> Home:
    """A new home as `gateway init` makes it, with its people."""
    done = subprocess.run([PROGRAM, "init", "--dir", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (folder / "config.yaml").write_text(f"public_url: {PUBLIC_URL}\n")
    nobody = Person("", "", "")
    home = Home(folder, nobody, nobody, "", "")

    async def work(session: Session) -> Home:
        ada = await session.accounts.create_account(NewAccount("ada@example.org", name="Ada"))
        bob = await session.accounts.create_account(NewAccount("bob@example.org", name="Bob"))
        acme = (await session.accounts.create_tenant("Acme", ada.id)).id
        await session.accounts.assign_role(ada.id, acme, "manager", "write")
        await session.accounts.assign_role(bob.id, acme, "reader", "read")
        until = session.clock.now() + LIFETIME
        string = (await session.grants.create_connection_string(ada.id, acme, "manager", until, "")).secret
        return Home(folder, await person(session, ada), await person(session, bob), acme, string)

    return in_store(home, work)


async def person(session: Session, account: Account) -> Person:
    """With a token of its own."""
    grant = await session.grants.issue_session(account.id, Terms(LIFETIME))
    tokens = session.settings.tokens
    claims = session_claims(grant, account, tokens.issuer, tokens.audience)
    return Person(account.id, mint(claims, active(await session.store.keys.signing_keys(), "token")), grant.id)


def licensed(home: Home, licences: int, name: str) -> Person:
    """A new account with so many licences: ten roles to a tenant, the first of which it owns."""

    async def work(session: Session) -> Person:
        account = await session.accounts.create_account(NewAccount(f"{name}@example.org", username=name, name=name))
        for number in range((licences + ROLES - 1) // ROLES):
            owner = None if number else account.id
            tenant = await session.accounts.create_tenant(f"{name} Größe + {number}", owner)
            for role in range(min(ROLES, licences - number * ROLES)):
                permission: Permission = "write" if role % 2 else "read"
                await session.accounts.assign_role(account.id, tenant.id, f"role-{role}", permission)
        return await person(session, account)

    return in_store(home, work)


def standing(home: Home, somebody: Person) -> Standing:
    """What the store holds of them."""

    async def work(session: Session) -> Standing:
        found = await session.store.directory.by_grant(somebody.grant)
        assert found is not None
        return found

    return in_store(home, work)
