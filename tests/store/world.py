"""What the tests of this folder, and those of the command line, stand on: an open store with the services over it."""

from dataclasses import dataclass, field

from gateway.clock import Clock
from gateway.identity.accounts import Accounts, NewAccount
from gateway.identity.grants import Grants, Terms
from gateway.identity.keys import Keys
from gateway.identity.model import Account, Tenant
from gateway.store.sql import Store

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
