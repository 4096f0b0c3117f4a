"""Who may administrate what: one row for each operation of the admin API. What has no row, nobody may.

A caller is first judged by who they are (`Authority.admits`), then, where somebody else's account is concerned, by who
that is: the guards here are asked within the change's own transaction.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from gateway.errors import RequestRejected
from gateway.identity.addresses import address
from gateway.identity.links import session_account
from gateway.identity.model import Account, Invitation, Member, MemberGuard, Permission, Principal

Who = Literal["staff", "manager", "owner", "delegate", "self", "person"]
"""staff, manager: of the whole gateway. owner: of the tenant. delegate: holds one of `DELEGATES` in the tenant, with
write. self: the account is the caller's own. person: whoever has logged in."""

# Roles that let their holder manage who else is in the tenant. Only what stands above them may hand them out.
DELEGATES: Final = frozenset({"tenant-manager"})
FRESH: Final = 900.0  # seconds since the login, for what a stolen session must not do; as long as a mailed link lives

_PLATFORM: Final[frozenset[Who]] = frozenset({"staff", "manager"})
_TENANT: Final[frozenset[Who]] = _PLATFORM | {"owner", "delegate"}
_STAFF: Final[frozenset[Who]] = frozenset({"staff"})
_OWN: Final[frozenset[Who]] = _PLATFORM | {"self"}


@dataclass(frozen=True, slots=True)
class Rule:
    """who: may. fresh: only just after a login. others: never on the own account."""

    who: frozenset[Who]
    fresh: bool = False
    others: bool = False


RULES: Final[Mapping[str, Rule]] = {
    # tenants
    "createTenant": Rule(_PLATFORM),
    "listTenants": Rule(_PLATFORM),
    "showTenant": Rule(_TENANT),
    "renameTenant": Rule(_PLATFORM),  # its name stands in mails to strangers
    "deleteTenant": Rule(_STAFF, fresh=True),  # cannot be undone
    "addOwner": Rule(_PLATFORM),
    "removeOwner": Rule(_PLATFORM),
    # accounts
    "createAccount": Rule(_PLATFORM),
    "listAccounts": Rule(_PLATFORM),
    "showAccount": Rule(_OWN),
    "deleteAccount": Rule(_STAFF, fresh=True, others=True),  # cannot be undone
    "disableAccount": Rule(_PLATFORM),
    "enableAccount": Rule(_PLATFORM),
    # what proves who somebody is: their own endpoints ask for the old proof, which this does not
    "resetMfa": Rule(_PLATFORM, others=True),
    "setPassword": Rule(_STAFF, fresh=True, others=True),
    "requireMfa": Rule(_PLATFORM),
    "allowNoMfa": Rule(_PLATFORM, others=True),
    "sendReset": Rule(_PLATFORM),
    "setRank": Rule(_STAFF, fresh=True),  # privileges of the whole gateway
    # roles in tenants
    "listRoles": Rule(_PLATFORM),
    "listAccountRoles": Rule(_OWN),
    "listMembers": Rule(_TENANT),
    "assignRole": Rule(_TENANT),
    "removeRole": Rule(_TENANT),
    # invitations
    "invite": Rule(_TENANT),
    "listInvitations": Rule(_TENANT),
    "revokeInvitation": Rule(_TENANT),
    "acceptInvitation": Rule(frozenset({"person"})),
    # credentials
    "listGrants": Rule(_OWN),
    "revokeGrant": Rule(_OWN),
    "revokeGrants": Rule(_OWN),
    "issueToken": Rule(_STAFF, fresh=True),  # speaks as somebody else
    "createConnectionString": Rule(_STAFF, fresh=True),  # likewise, for years
    # keys
    "listKeys": Rule(_PLATFORM),
    "rotateKeys": Rule(_STAFF, fresh=True),  # may end every session there is
    # audit
    "listAudit": Rule(_PLATFORM),
    "verifyAudit": Rule(_PLATFORM),
}


@dataclass(frozen=True, slots=True)
class Authority:
    """One caller, about one operation."""

    account: Account
    principal: Principal
    rule: Rule

    @property
    def is_staff(self) -> bool:
        return self.account.is_staff

    @property
    def is_platform(self) -> bool:
        """Staff or a manager: tenants and accounts are no secret to them."""
        return self.account.is_staff or self.account.is_manager

    def on(self, target: Account) -> None:
        """Refuses to change an account that stands above the caller. An AccountGuard."""
        if target.is_staff and not self.is_staff:
            raise RequestRejected("forbidden", "It is an account of the staff.")
        if target.deleted:
            raise RequestRejected("conflict", "The account is deleted.")

    def owning(self, member: Member) -> None:
        """Refuses to make the caller, or unmake somebody above, an owner. A MemberGuard."""
        self.on(member.account)
        if member.account.id == self.account.id and not self.is_staff:
            raise RequestRejected("forbidden", "Somebody else must change what is yours.")

    def giving(self, role: str, permission: Permission) -> MemberGuard:
        """Of the assignment of a role in a tenant."""

        def guard(member: Member) -> None:
            if member.account.id == self.account.id and not self.is_staff:
                raise RequestRejected("forbidden", "Nobody gives a role to themselves.")
            self._manages(member)
            self._hands_out(role, permission, member.tenant_id)

        return guard

    def taking(self, role: str) -> MemberGuard:
        """Of its removal. What is the caller's own may go."""

        def guard(member: Member) -> None:
            if member.account.id == self.account.id:
                return
            self._manages(member)
            self._speaks_of(role, member.tenant_id)

        return guard

    def inviting(self, role: str, permission: Permission, tenant_id: str, address_key: str) -> None:
        """Whether the caller may hand this role out there. Raises RequestRejected("forbidden")."""
        self._hands_out(role, permission, tenant_id)
        if not self.is_staff and self.account.owner.email and address(self.account.owner.email).key == address_key:
            raise RequestRejected("forbidden", "Nobody gives a role to themselves.")

    def revoking(self, invitation: Invitation) -> None:
        """Refuses to take back what the caller may not hand out. An InvitationGuard."""
        self._hands_out(invitation.role, invitation.permission, invitation.tenant_id)

    def _manages(self, member: Member) -> None:
        """Whoever is not of the platform manages those who are in the tenant, and sees nobody else."""
        if self.is_platform:
            self.on(member.account)
            return
        if member.owner_since is None and not member.roles:
            raise RequestRejected("not_found", "there is no such member; invite them")
        if member.account.is_staff or member.account.is_manager:
            raise RequestRejected("forbidden", "It is an account of the gateway's own people.")
        if self._owns(member.tenant_id):
            return
        is_delegate = any(held in DELEGATES and permission == "write" for held, permission in member.roles)
        if member.owner_since is not None or is_delegate:
            raise RequestRejected("forbidden", "Only an owner of the tenant may do that.")

    def _hands_out(self, role: str, permission: Permission, tenant_id: str) -> None:
        self._speaks_of(role, tenant_id)
        if self.is_platform or self._owns(tenant_id):
            return
        held = [
            (one.role, one.permission) for one in self.principal.licences if one.tenant_id == tenant_id and one.verified
        ]
        if not _covers(held, role, permission):
            raise RequestRejected("forbidden", "A tenant-manager gives only roles that they hold, and no more of them.")

    def _speaks_of(self, role: str, tenant_id: str) -> None:
        if role in DELEGATES and not self.is_platform and not self._owns(tenant_id):
            raise RequestRejected("forbidden", "Only an owner of the tenant may do that.")

    def _owns(self, tenant_id: str) -> bool:
        return any(owned.tenant_id == tenant_id for owned in self.principal.ownerships)


def entitled(inviter: Member, value: Invitation) -> bool:
    """Whether who invited somebody to that might still do so: an invitation is worth what they are worth."""
    if not inviter.account.is_live:
        return False
    if inviter.account.is_staff or inviter.account.is_manager or inviter.owner_since is not None:
        return True
    is_delegate = any(held in DELEGATES and permission == "write" for held, permission in inviter.roles)
    return is_delegate and value.role not in DELEGATES and _covers(inviter.roles, value.role, value.permission)


def admit(
    principal: Principal, operation: str, tenant_id: str | None = None, account_id: str | None = None
) -> Authority:
    """tenant_id, account_id: of what the operation is about, as the path names it.

    Raises RequestRejected: as `session_account` for a caller who has not logged in here; "not_found" where the caller
    may not even know that there is such a tenant or account, "forbidden" elsewhere.
    """
    account = session_account(principal)
    rule = RULES.get(operation)
    if rule is None:
        raise RequestRejected("forbidden")
    who = _who(principal, account, tenant_id, account_id)
    if not who & rule.who:
        raise RequestRejected("forbidden" if _knows(principal, who, tenant_id, account_id) else "not_found")
    if rule.others and "self" in who:
        raise RequestRejected("forbidden", "Nobody does that to their own account here.")
    return Authority(account, principal, rule)


def _covers(held: Iterable[tuple[str, Permission]], role: str, permission: Permission) -> bool:
    """Whether whoever holds these gives no more than that. Else a second mailbox of theirs would raise them."""
    return any(one == role and might in ("write", permission) for one, might in held)


def _who(principal: Principal, account: Account, tenant_id: str | None, account_id: str | None) -> set[Who]:
    found: set[Who] = {"person"}
    if account.is_staff:
        found.add("staff")
    if account.is_manager:
        found.add("manager")
    if account_id == account.id:
        found.add("self")
    if tenant_id is not None:
        if any(owned.tenant_id == tenant_id for owned in principal.ownerships):
            found.add("owner")
        if any(
            held.tenant_id == tenant_id and held.role in DELEGATES and held.permission == "write" and held.verified
            for held in principal.licences
        ):
            found.add("delegate")
    return found


def _knows(principal: Principal, who: set[Who], tenant_id: str | None, account_id: str | None) -> bool:
    if who & _PLATFORM or (tenant_id is None and account_id is None):
        return True
    if tenant_id is not None:
        return "owner" in who or any(held.tenant_id == tenant_id for held in principal.licences)
    return "self" in who
