"""Accounts, tenants and roles: what the command line and the API do to them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.addresses import address, display_name, username
from gateway.identity.connection_string import SLUG
from gateway.identity.model import (
    Account,
    AccountGuard,
    Assignment,
    MemberGuard,
    Owner,
    Permission,
    Tenant,
    unguarded,
)
from gateway.identity.ports import AccountStore, RoleStore, TenantStore

_SLUG = re.compile(SLUG)


@dataclass(frozen=True, slots=True)
class NewAccount:
    """As a person said it; `create_account` checks it. phc: of `passwords.Passwords.hash`, None for no password."""

    email: str
    username: str | None = None
    name: str | None = None
    phc: str | None = None
    is_staff: bool = False
    is_manager: bool = False


class Accounts:
    """Every method raises what its store raises, and RequestRejected("invalid_value") for a value out of form."""

    def __init__(self, accounts: AccountStore, tenants: TenantStore, roles: RoleStore, clock: Clock) -> None:
        self._accounts = accounts
        self._tenants = tenants
        self._roles = roles
        self._clock = clock

    async def create_account(self, new: NewAccount) -> Account:
        """An active account of a person. Who calls this vouches for the address: it counts as verified."""
        email = address(new.email)
        shown, key = username(new.username) if new.username is not None else (None, None)
        owner = Owner(id=self._clock.uuid4(), email=email.text, username=shown)
        name = display_name(new.name) if new.name is not None else shown or email.text
        # staff are managers too: readers of the profile expect `isManager` of both
        is_manager = new.is_manager or new.is_staff
        account = Account(self._clock.uuid4(), name, owner, is_staff=new.is_staff, is_manager=is_manager)
        await self._accounts.add_account(account, email.key, key, new.phc)
        return account

    async def account(self, account_id: str) -> Account:
        return await self._accounts.account(account_id)

    async def accounts(self) -> Sequence[Account]:
        return await self._accounts.accounts()

    async def disable(self, account_id: str, guard: AccountGuard = unguarded, *, keep_staff: bool = False) -> Account:
        """Its credentials stop working within a second; none is revoked. An account already disabled stays so.

        keep_staff: "conflict" for the last account of the staff. An operator at the command line, who can make another
        one, may need to stop that very one.
        """
        await self._accounts.set_status(account_id, "disabled", guard, keep_staff=keep_staff)
        return await self.account(account_id)

    async def enable(self, account_id: str, guard: AccountGuard = unguarded) -> Account:
        """Its credentials work again. A deleted account stays deleted: "conflict"."""
        await self._accounts.set_status(account_id, "active", guard)
        return await self.account(account_id)

    async def require_mfa(self, account_id: str, required: bool, guard: AccountGuard = unguarded) -> Account:
        """Whether it must have a second factor: a login that can enrol one then does. Logins under way begin anew."""
        await self._accounts.set_mfa_policy(account_id, "required" if required else "inherit", guard)
        return await self.account(account_id)

    async def create_tenant(self, name: str, owner_id: str | None = None) -> Tenant:
        """A tenant and its own account, against which licences are counted."""
        shown = display_name(name)
        own = Account(self._clock.uuid4(), shown, Owner(id=self._clock.uuid4(), email=""), kind="service")
        tenant = Tenant(self._clock.uuid4(), shown, own.id)
        await self._tenants.add_tenant(tenant, own, owner_id)
        return tenant

    async def tenant(self, tenant_id: str) -> Tenant:
        return await self._tenants.tenant(tenant_id)

    async def tenants(self) -> Sequence[Tenant]:
        return await self._tenants.tenants()

    async def assign_role(
        self,
        account_id: str,
        tenant_id: str,
        role: str,
        permission: Permission,
        guard: MemberGuard = unguarded,
        *,
        known_role: bool = False,
    ) -> bool:
        """Whether it is new. The role is made when its slug is first used; known_role: by somebody who may not make
        one."""
        require_slug(role)
        return await self._roles.assign(account_id, tenant_id, role, permission, guard, known_role=known_role)

    async def remove_role(
        self,
        account_id: str,
        tenant_id: str,
        role: str,
        permission: Permission | None = None,
        guard: MemberGuard | None = None,
    ) -> None:
        """permission None takes both. Raises RequestRejected("not_found") when it is not held."""
        if not await self._roles.remove(account_id, tenant_id, role, permission, guard):
            raise RequestRejected("not_found", "the account does not hold this role in this tenant")

    async def assignments(self, account_id: str) -> Sequence[Assignment]:
        return await self._roles.assignments(account_id)


def require_slug(role: str) -> None:
    """Raises RequestRejected("invalid_value") for what names no role."""
    if not _SLUG.fullmatch(role):
        raise RequestRejected("invalid_value", "a role is 1 to 64 of a-z, 0-9, _ and -, not beginning with _ or -")
