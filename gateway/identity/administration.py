"""What an operator does to accounts and credentials of others, by command or by a call of the admin API: both come
through here, so that they do the same. Who may is `identity.authority`, and comes in as guards.
"""

from typing import Protocol

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.accounts import Accounts, NewAccount
from gateway.identity.addresses import display_name
from gateway.identity.grants import ISSUED, Grants, session_claims
from gateway.identity.grants import Terms as GrantTerms
from gateway.identity.keys import Algorithm, Keys, active
from gateway.identity.letters import Letter
from gateway.identity.logins import Logins
from gateway.identity.model import (
    Account,
    AccountGuard,
    Assignment,
    Grant,
    GrantKind,
    MemberGuard,
    Permission,
    Rank,
    Tenant,
    unguarded,
)
from gateway.identity.notices import written
from gateway.identity.origin import Origin
from gateway.identity.passwords import Passwords
from gateway.identity.ports import Keyring
from gateway.identity.sessions import Terms
from gateway.identity.tokens import mint_aside
from gateway.identity.weak import context_of, of_address


class Governance(Protocol):
    """Raises as the other stores do (`identity.ports`); a guard's refusal as well."""

    async def set_rank(self, account_id: str, rank: Rank, guard: AccountGuard) -> bool:
        """Whether anything changed. "conflict" where nobody of the staff would be left."""

    async def delete_account(self, account_id: str, guard: AccountGuard) -> None:
        """What is known of its holder goes; the id stays taken. "conflict" while it holds or owns anything."""

    async def rename_tenant(self, tenant_id: str, name: str) -> Tenant: ...

    async def delete_tenant(self, tenant_id: str) -> None:
        """ "conflict" while somebody holds a role in it, or a live credential is for it."""

    async def add_owner(self, tenant_id: str, account_id: str, guard: MemberGuard) -> bool: ...

    async def remove_owner(self, tenant_id: str, account_id: str, guard: MemberGuard) -> bool: ...

    async def revoke_grant(self, account_id: str, grant_id: str, reason: str, guard: AccountGuard) -> bool:
        """False when it was revoked before. "not_found" for a grant that is not this account's."""

    async def revoke_grants(
        self, account_id: str, kind: GrantKind | None, keep: str | None, reason: str, guard: AccountGuard
    ) -> int:
        """All live ones of this kind, or of every kind, but `keep`; how many."""


class Factors(Protocol):
    async def remove(
        self, account_id: str, keep: str | None, letter: Letter | None, guard: AccountGuard = ...
    ) -> bool: ...


class PasswordStore(Protocol):
    async def set_password(
        self, account_id: str, phc: str, keep: str | None, letter: Letter | None, guard: AccountGuard = ...
    ) -> None: ...


class Administration:
    """accounts, grants, keys: the services of those names, which commands and calls use as they are.

    algorithm: of our tokens. terms: of sessions.
    """

    def __init__(
        self,
        accounts: Accounts,
        grants: Grants,
        keys: Keys,
        keyring: Keyring,
        factors: Factors,
        people: PasswordStore,
        governance: Governance,
        algorithm: Algorithm,
        terms: Terms,
        clock: Clock,
    ) -> None:
        self.accounts = accounts
        self.grants = grants
        self.keys = keys
        self._keyring = keyring
        self._factors = factors
        self._people = people
        self.governance = governance
        self._algorithm = algorithm
        self._terms = terms
        self._clock = clock

    async def create_account(
        self, new: NewAccount, passwords: Passwords, password: str | None = None, imported: str | None = None
    ) -> Account:
        """password: its text; imported: another system's hash. Neither for an account that logs in by mail.

        Raises RequestRejected: "invalid_value", "conflict".
        """
        phc = None
        if password is not None:
            known = (*of_address(new.email), *(word for word in (new.username, new.name) if word))
            phc = await passwords.hash(password, known)
        elif imported is not None:
            phc = await passwords.imported(imported.strip())
        made = NewAccount(new.email, new.username, new.name, phc, is_staff=new.is_staff, is_manager=new.is_manager)
        return await self.accounts.create_account(made)

    async def reset_mfa(self, account_id: str, origin: Origin, guard: AccountGuard = unguarded) -> tuple[Account, bool]:
        """For somebody who has lost the second factor; whether there was one. All credentials of the account end."""
        found = await self.accounts.account(account_id)
        letter = written("mfa_disabled", found, origin, self._clock.now())
        return found, await self._factors.remove(account_id, None, letter, guard)

    async def set_password(
        self, account_id: str, password: str, passwords: Passwords, origin: Origin, guard: AccountGuard = unguarded
    ) -> Account:
        """All credentials of the account end, and a mail tells its holder."""
        found = await self.accounts.account(account_id)
        guard(found)  # a refused call shall not keep the threads busy; what counts is asked again below
        phc = await passwords.hash(password, context_of(found))
        letter = written("password_changed", found, origin, self._clock.now())
        await self._people.set_password(account_id, phc, None, letter, guard)
        return found

    async def send_reset(
        self, account_id: str, logins: Logins, origin: Origin, guard: AccountGuard = unguarded
    ) -> Account:
        """Mails the holder a code that sets a new password, once. Raises RequestRejected("conflict")."""
        found = await self.accounts.account(account_id)
        guard(found)
        if not found.owner.email or not found.is_live:
            why = "the account has no address" if found.is_live else "the account is not active"
            raise RequestRejected("conflict", why)
        await logins.request_reset(found.owner.email, origin)
        return found

    async def issue_token(
        self, account_id: str, lifetime: float | None, name: str, guard: AccountGuard = unguarded
    ) -> tuple[str, Grant]:
        """A session without a login, and its JWT. It never counts as a login of just now: whoever may issue one could
        issue the next with it, for ever. lifetime: seconds; as the configuration says by default."""
        key = active(await self._keyring.signing_keys(), "token")
        account = await self.accounts.account(account_id)
        guard(account)
        terms = GrantTerms(self._terms.lifetime if lifetime is None else lifetime, ISSUED, name)
        grant = await self.grants.issue_session(account_id, terms)
        token = await mint_aside(session_claims(grant, account, self._terms.issuer, self._terms.audience), key)
        return token, grant

    async def assign_role(
        self,
        account_id: str,
        tenant_id: str,
        role: str,
        permission: Permission,
        guard: MemberGuard = unguarded,
        *,
        known_role: bool = False,
    ) -> Assignment:
        """Held from now on, if it was not before."""
        await self.accounts.assign_role(account_id, tenant_id, role, permission, guard, known_role=known_role)
        wanted = (tenant_id, role, permission)
        for held in await self.accounts.assignments(account_id):
            if (held.tenant_id, held.role, held.permission) == wanted:
                return held
        raise RequestRejected("conflict", "the role was taken away at the same time")

    async def rename_tenant(self, tenant_id: str, name: str) -> Tenant:
        return await self.governance.rename_tenant(tenant_id, display_name(name))

    async def rotate(self, kind: str, *, force: bool) -> str:
        """Id of the new key. kind: `signing` or `mac`. Raises as `Keys`."""
        if kind == "mac":
            return str((await self.keys.rotate_mac(force=force)).version)
        return (await self.keys.rotate_signing(self._algorithm, force=force)).kid
