"""May this caller use this route? One pure function; only it makes a `Permit`, and nothing is forwarded without one."""

import math
from collections.abc import Iterable
from typing import Final

from gateway.errors import RequestRejected
from gateway.identity.model import Licence, Ownership, Principal
from gateway.routes.model import AccessKind, RoleRule, Route

SECOND_FACTOR: Final = 2  # the assurance level that `mfa: required` asks for


class Permit:
    """The caller may use the route. Plain and slotted: made on the hot path, and never written to.

    principal: None on a public route, whoever asks. licences, ownerships: what the upstream may be told of them, empty
    where it is told of no profile. until: seconds since the epoch; infinite on a public route.
    """

    __slots__ = ("licences", "ownerships", "principal", "route", "until")

    def __init__(
        self,
        principal: Principal | None,
        route: Route,
        licences: tuple[Licence, ...],
        ownerships: tuple[Ownership, ...],
        until: float,
    ) -> None:
        self.principal = principal
        self.route = route
        self.licences = licences
        self.ownerships = ownerships
        self.until = until


def authorize(principal: Principal | None, route: Route, now: float) -> Permit:
    """now: seconds since the epoch.

    Raises RequestRejected: 401 `no_credential`, `expired_credential`, `mfa_required`; 403 `issuer_refused`,
    `no_account`, `scope_missing`, `mfa_not_proven`, `role_missing`; the first that holds, in this order.
    """
    access = route.access
    if access.kind is AccessKind.PUBLIC:
        return Permit(None, route, (), (), math.inf)
    if principal is None:
        raise RequestRejected("no_credential")
    if principal.expires_at <= now:
        raise RequestRejected("expired_credential")
    if principal.restricted:
        raise RequestRejected("mfa_required")
    if access.issuers and principal.issuer not in access.issuers:
        raise RequestRejected("issuer_refused")
    if principal.account is None and access.kind is not AccessKind.AUTHENTICATED:
        raise RequestRejected("no_account")
    if not access.scopes <= principal.scopes:
        raise RequestRejected("scope_missing")
    if access.mfa and principal.aal < SECOND_FACTOR:
        raise RequestRejected("mfa_not_proven")
    match access.kind:
        case AccessKind.AUTHENTICATED:
            return Permit(principal, route, (), (), principal.expires_at)
        case AccessKind.PROTECTED:
            licences = narrowed(principal)
        case AccessKind.ROLES:
            licences = _with_roles(principal, access.roles)
    return Permit(principal, route, licences, owned(principal), principal.expires_at)


def narrowed(principal: Principal) -> tuple[Licence, ...]:
    """The licences that a credential fixed to a tenant, to a role, or to both, leaves."""
    tenant, role = principal.tenant_id, principal.role
    if tenant is None and role is None:
        return principal.licences
    return tuple(
        licence
        for licence in principal.licences
        if (tenant is None or licence.tenant_id == tenant) and (role is None or licence.role == role)
    )


def owned(principal: Principal) -> tuple[Ownership, ...]:
    """The ownerships that the credential leaves.

    One fixed to a role leaves none: whoever owns the tenant would else carry the owner's power with a reader's key.
    """
    if principal.role is not None:
        return ()
    if principal.tenant_id is None:
        return principal.ownerships
    return tuple(ownership for ownership in principal.ownerships if ownership.tenant_id == principal.tenant_id)


def is_privileged(principal: Principal) -> bool:
    """Staff or manager, by a credential that is not fixed to a role: a narrow key never carries that power."""
    account = principal.account
    return account is not None and principal.role is None and (account.is_staff or account.is_manager)


def _with_roles(principal: Principal, rules: Iterable[RoleRule]) -> tuple[Licence, ...]:
    reading = {rule.role for rule in rules if not rule.write}
    writing = {rule.role for rule in rules}
    licences = tuple(
        licence
        for licence in narrowed(principal)
        if licence.verified  # an invitation that is not accepted is told of, and opens nothing
        and licence.role in (writing if licence.permission == "write" else reading)
    )
    # Staff and managers pass with no licence at all, never with those of other roles.
    if not licences and not is_privileged(principal):
        raise RequestRejected("role_missing")
    return licences
