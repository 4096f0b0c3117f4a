"""A folder that a gateway can run from: keys, a database with two accounts, and their live credentials."""

import base64
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gateway.clock import Clock
from gateway.identity.accounts import Accounts, NewAccount
from gateway.identity.grants import Grants, Terms, session_claims
from gateway.identity.keys import Keys, active
from gateway.identity.model import Account
from gateway.identity.tokens import mint
from gateway.store.schema import migrate
from gateway.store.seal import master_key
from gateway.store.sql import Store, open_store

PUBLIC_URL: Final = "http://gateway.test"
MASTER_KEY: Final = base64.b64encode(bytes(range(32))).decode()
DAY: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Pass:
    """A bearer token, and what it rests on."""

    token: str
    grant_id: str
    account_id: str

    @property
    def field(self) -> bytes:
        return b"Authorization: Bearer " + self.token.encode()


@dataclass(frozen=True, slots=True)
class People:
    """folder: to be copied for each gateway. ada: manager in `tenant_id`. bob: no role. string: ada's, as manager."""

    folder: Path
    ada: Pass
    bob: Pass
    string: bytes
    tenant_id: str

    def at(self, folder: Path) -> "People":
        return replace(self, folder=folder)

    @property
    def store_url(self) -> str:
        return f"sqlite:///{self.folder}/gateway.db"


async def settle(folder: Path) -> People:
    """Makes all of it in an empty folder."""
    (folder / "master.key").write_text(MASTER_KEY)
    (folder / "admin.token").write_text(os.urandom(16).hex())
    blank = People(folder, Pass("", "", ""), Pass("", "", ""), b"", "")
    await migrate(blank.store_url)
    store = await open_people(blank)
    clock = Clock()
    try:
        await Keys(store.keys, clock).ensure("EdDSA")
        accounts = Accounts(store.accounts, store.tenants, store.roles, clock)
        ada = await accounts.create_account(NewAccount("ada@example.org", username="ada"))
        bob = await accounts.create_account(NewAccount("bob@example.org", username="bob"))
        acme = await accounts.create_tenant("Acme", ada.id)
        await accounts.assign_role(ada.id, acme.id, "manager", "write")
        grants = Grants(store.grants, store.keys, clock)
        handed = await grants.create_connection_string(ada.id, acme.id, "manager", clock.now() + DAY, "test")
        return People(folder, await issue(store, ada), await issue(store, bob), handed.secret.encode(), acme.id)
    finally:
        await store.aclose()


async def open_people(people: People) -> Store:
    """A second door to the gateway's database, as the command line has it."""
    return await open_store(people.store_url, master_key(MASTER_KEY), Clock())


async def issue(store: Store, account: Account, lifetime: float = DAY) -> Pass:
    grant = await Grants(store.grants, store.keys, Clock()).issue_session(account.id, Terms(lifetime))
    signer = active(await store.keys.signing_keys(), "token")
    return Pass(mint(session_claims(grant, account, PUBLIC_URL, PUBLIC_URL), signer), grant.id, account.id)


async def api_key(people: People) -> bytes:
    """An opaque token of ada's, as a header field."""
    store = await open_people(people)
    try:
        issued = await Grants(store.grants, store.keys, Clock()).issue_opaque(people.ada.account_id, Terms(3600))
        return b"Authorization: Bearer " + issued.secret.encode()
    finally:
        await store.aclose()


async def revoke(people: People, grant_id: str) -> None:
    """As `gateway grant revoke` does it, from another process."""
    store = await open_people(people)
    try:
        assert await Grants(store.grants, store.keys, Clock()).revoke(grant_id)
    finally:
        await store.aclose()


async def rotate_by_force(people: People) -> None:
    """As `gateway keys rotate --kind signing --force` does it."""
    store = await open_people(people)
    try:
        await Keys(store.keys, Clock()).rotate_signing("EdDSA", force=True)
    finally:
        await store.aclose()
