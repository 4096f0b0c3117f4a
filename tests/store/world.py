"""What the tests of this folder, and those of the command line, stand on: an open store with the services over it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text

from gateway.clock import Clock
from gateway.identity.accounts import Accounts, NewAccount
from gateway.identity.grants import Grants, Terms
from gateway.identity.keys import Keys
from gateway.identity.model import Account, Tenant
from gateway.store.engines import engine_of
from gateway.store.sql import Store
from gateway.store.tables import metadata

MASTER_KEY = bytes(range(32))
HOUR = Terms(lifetime=3600)


@dataclass
class Hand:
    """A clock's hand that only the test moves."""

    at: float = 1_800_000_000.0

    def now(self) -> float:
        return self.at


@dataclass
class World:
    """An open store with the services over it."""

    url: str
    store: Store
    hand: Hand
    clock: Clock
    accounts: Accounts = field(init=False)
    grants: Grants = field(init=False)
    keys: Keys = field(init=False)

    def __post_init__(self) -> None:
        self.accounts = Accounts(self.store.accounts, self.store.tenants, self.store.roles, self.clock)
        self.grants = Grants(self.store.grants, self.store.keys, self.clock)
        self.keys = Keys(self.store.keys, self.clock)

    async def ada(self, email: str = "ada@example.org") -> Account:
        return await self.accounts.create_account(NewAccount(email))

    async def manager(self) -> tuple[Account, Tenant]:
        """An account that holds the role `manager` in a tenant."""
        account = await self.ada()
        tenant = await self.accounts.create_tenant("Acme")
        await self.accounts.assign_role(account.id, tenant.id, "manager", "write")
        return account, tenant

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return await rows(self.url, statement)


async def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    """As somebody beside the gateway reads them."""
    database = engine_of(url).database()
    try:
        async with database.reading() as connection:
            return [tuple(row) for row in await connection.execute(text(statement))]
    finally:
        await database.aclose()


async def change(url: str, statement: str) -> None:
    """As somebody beside the gateway does it."""
    database = engine_of(url).database()
    try:
        async with database.writing() as connection:
            await connection.execute(text(statement))
    finally:
        await database.aclose()


async def stored(url: str) -> bytes:
    """All that whoever steals the database can read. Of SQLite, the file and its log besides the rows."""
    found = []
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        found = [file.read_bytes() for file in path.parent.iterdir() if file.name.startswith(path.name)]
    for table in metadata.tables:
        for row in await rows(url, f"SELECT * FROM {table}"):
            found += [value if isinstance(value, bytes) else str(value).encode() for value in row]
    return b"\n".join(found)
