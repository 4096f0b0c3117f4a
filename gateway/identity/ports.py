"""What the identity core and authentication need from a store. Each call raises DependencyFailed("store_unavailable")
when the store does not answer, and never answers "no" instead.

Changes answer with what was done, and raise RequestRejected: "not_found" for an id that is not there, "conflict" for
what is taken or not in the right state, "role_missing" for a role that is not held. A change of what a credential is
worth writes its revocation row in the same transaction, and every change its row of the audit trail.

Authentication drives a read on its caller's stack until it waits, and only then gives it a task of its own. So a call
of Directory or Keyring waits once, if only for `sleep(0)`, before it takes hold of the running task (as timeouts do).
"""

from collections.abc import Sequence
from typing import Protocol

from gateway.identity.letters import Letter
from gateway.identity.model import (
    Account,
    AccountGuard,
    AccountStatus,
    Assignment,
    Grant,
    Issue,
    KeyRecord,
    MacKey,
    MemberGuard,
    MfaPolicy,
    Permission,
    Revocation,
    SigningKey,
    Standing,
    Tenant,
)


class Directory(Protocol):
    """Reads of a cold authentication: one hand-written query each. Usually done without suspending."""

    async def by_grant(self, grant_id: str) -> Standing | None:
        """The grant with this id (a JWT's `sid`), dead or alive, with its account, licences and ownerships."""

    async def by_secret(self, digest: bytes) -> Standing | None:
        """The grant whose presented secret has this digest (see `identity.grants.secret_digest`)."""

    async def by_subject(self, issuer: str, subject: str) -> Standing | None:
        """The account linked to an external identity; grant is None."""

    async def provision(self, issuer: str, subject: str, email: str, name: str) -> Standing:
        """Create an account for an external identity, or return the one that another request just made."""


class Keyring(Protocol):
    """Keys at rest, decrypted with the master key."""

    async def signing_keys(self) -> Sequence[SigningKey]: ...

    async def mac_keys(self) -> Sequence[MacKey]:
        """Live keys, newest first, three at most."""


class Revocations(Protocol):
    """The table that workers poll twice a second."""

    async def since(self, last_id: int) -> Sequence[Revocation]:
        """Rows with a greater id, oldest first."""

    async def latest(self) -> int:
        """The greatest id that was given out, also to a row that is deleted by now; 0 before the first."""

    async def prune(self, before: float) -> None:
        """Delete the rows written before this, in seconds since the epoch."""


class AccountStore(Protocol):
    async def add_account(
        self, account: Account, email_key: str, username_key: str | None = None, phc: str | None = None
    ) -> None:
        """Store a new account with its verified address and, given a PHC string, its password. May be "conflict"."""

    async def account(self, account_id: str) -> Account:
        """May be "not_found"."""

    async def accounts(self) -> Sequence[Account]:
        """Accounts that somebody can log in to, oldest first: not the tenants' own ones."""

    async def set_status(
        self, account_id: str, status: AccountStatus, guard: AccountGuard = ..., *, keep_staff: bool = ...
    ) -> bool:
        """Whether anything changed. keep_staff: "conflict" where nobody of the staff would be left. May be "not_found",
        and "conflict" for a deleted account."""

    async def set_mfa_policy(self, account_id: str, policy: MfaPolicy, guard: AccountGuard = ...) -> bool:
        """Whether anything changed; logins under way then begin anew. May be "not_found"."""


class TenantStore(Protocol):
    async def add_tenant(self, tenant: Tenant, own: Account, owner_id: str | None) -> None:
        """Store a tenant with its own account. May be "not_found" (the owner)."""

    async def tenant(self, tenant_id: str) -> Tenant:
        """May be "not_found"."""

    async def tenants(self) -> Sequence[Tenant]:
        """Oldest first."""


class RoleStore(Protocol):
    async def assign(
        self,
        account_id: str,
        tenant_id: str,
        role: str,
        permission: Permission,
        guard: MemberGuard = ...,
        *,
        known_role: bool = ...,
    ) -> bool:
        """Whether it is new; the role is made when first used. known_role: "invalid_value" instead. May be "not_found"
        (account, tenant)."""

    async def remove(
        self, account_id: str, tenant_id: str, role: str, permission: Permission | None, guard: MemberGuard | None = ...
    ) -> int:
        """How many assignments went; permission None takes both."""

    async def assignments(self, account_id: str) -> Sequence[Assignment]:
        """May be "not_found"."""


class GrantStore(Protocol):
    async def add_grant(self, issue: Issue) -> None:
        """May be "not_found" (the account) or "conflict" (it is not live)."""

    async def add_connection(self, issue: Issue, letter: Letter | None = None) -> bool:
        """False when a grant, live or dead, has this digest. The account must be live and hold the role in the
        tenant, and the MAC key must be there: else "not_found", "conflict" or "role_missing"."""

    async def free_expiry(self, grant: Grant, within: int) -> float | None:
        """The latest whole second up to `grant.expires_at` that no connection string of this account, tenant and role
        has, live or dead. None when the last `within` seconds are taken."""

    async def grants(self, account_id: str) -> Sequence[Grant]:
        """Live and dead, newest first. May be "not_found"."""

    async def revoke(self, grant_id: str, reason: str) -> bool:
        """False when it was revoked before. May be "not_found"."""


class KeyStore(Keyring, Protocol):
    async def key_records(self) -> Sequence[KeyRecord]: ...

    async def replace_signing_key(self, key: SigningKey, replaces: str | None, drop: bool) -> bool:
        """Make `key` the active one of its purpose, if `replaces` (a kid; None = there is none) is that until now.

        The old one goes on verifying; old ones that no live grant can need any more go. drop: all old ones go.
        """

    async def add_mac_key(self, key: MacKey, force: bool) -> bool:
        """Make `key` the newest, if its version follows the newest one's. Three live at most: the oldest goes, and
        if live grants hang on it that is a "conflict", or, with force, their end."""
