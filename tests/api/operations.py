"""Every operation of the admin API, called well: by the staff, on people and tenants of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from argon2 import PasswordHasher

from .desk import Desk, Person, Tenant

HASH: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash("correct horse battery")
LATER: Final = "2026-12-01T00:00:00Z"


@dataclass(frozen=True)
class Good:
    """path: below the API. status: of the answer."""

    operation: str
    method: str
    path: str
    body: Mapping[str, object] | None = None
    query: Mapping[str, object] = field(default_factory=dict)
    status: int = 200


@dataclass
class Scene:
    """What a call is about, made anew for each: `tenant` with its people, and `person`, who holds nothing."""

    desk: Desk
    tenant: Tenant = field(init=False)
    person: Person = field(init=False)

    def __post_init__(self) -> None:
        self.tenant = self.desk.tenant()
        self.person = self.desk.person()

    def empty(self) -> str:
        """A tenant in which nobody holds anything."""
        return self.desk.host.do(self.desk.accounts.create_tenant("Empty")).id

    def open_invitation(self) -> str:
        said = {"email": "guest@example.org", "role": "reader", "permission": "read"}
        made = self.desk.done("POST", f"/tenants/{self.tenant.id}/invitations", self.desk.staff, said)
        return str(made["id"])


Made = Callable[[Scene], Good]


def _t(scene: Scene) -> str:
    return f"/tenants/{scene.tenant.id}"


def _a(scene: Scene) -> str:
    return f"/accounts/{scene.person.id}"


def _number(scene: Scene) -> str:
    return scene.person.id[:8]


GOOD: Final[Mapping[str, Made]] = {
    "createTenant": lambda s: Good(
        "createTenant", "POST", "/tenants", {"name": "New", "ownerId": s.person.id}, status=201
    ),
    "listTenants": lambda s: Good("listTenants", "GET", "/tenants", query={"limit": 2, "q": "ACM"}),
    "showTenant": lambda s: Good("showTenant", "GET", _t(s)),
    "renameTenant": lambda s: Good("renameTenant", "PATCH", _t(s), {"name": "Renamed"}),
    "deleteTenant": lambda s: Good("deleteTenant", "DELETE", f"/tenants/{s.empty()}", status=204),
    "addOwner": lambda s: Good("addOwner", "PUT", f"{_t(s)}/owners/{s.person.id}", status=204),
    "removeOwner": lambda s: Good("removeOwner", "DELETE", f"{_t(s)}/owners/{s.tenant.owner.id}", status=204),
    "listMembers": lambda s: Good("listMembers", "GET", f"{_t(s)}/members", query={"limit": 10}),
    "assignRole": lambda s: Good(
        "assignRole", "PUT", f"{_t(s)}/members/{s.tenant.member.id}/roles/reader", {"permission": "write"}
    ),
    "removeRole": lambda s: Good(
        "removeRole", "DELETE", f"{_t(s)}/members/{s.tenant.member.id}/roles/reader", status=204
    ),
    "listRoles": lambda s: Good("listRoles", "GET", "/roles"),
    "listAccountRoles": lambda s: Good("listAccountRoles", "GET", f"/accounts/{s.tenant.member.id}/roles"),
    "createAccount": lambda s: Good(
        "createAccount", "POST", "/accounts",
        {"email": f"new-{_number(s)}@b.org", "username": f"new-{_number(s)}", "name": "New", "passwordHash": HASH},
        status=201,
    ),
    "listAccounts": lambda s: Good("listAccounts", "GET", "/accounts", query={"status": "active", "limit": 3}),
    "showAccount": lambda s: Good("showAccount", "GET", _a(s)),
    "deleteAccount": lambda s: Good("deleteAccount", "DELETE", _a(s), status=204),
    "disableAccount": lambda s: Good("disableAccount", "POST", f"{_a(s)}/disable"),
    "enableAccount": lambda s: Good("enableAccount", "POST", f"{_a(s)}/enable"),
    "resetMfa": lambda s: Good("resetMfa", "POST", f"{_a(s)}/reset-mfa"),
    "requireMfa": lambda s: Good("requireMfa", "POST", f"{_a(s)}/require-mfa"),
    "allowNoMfa": lambda s: Good("allowNoMfa", "POST", f"{_a(s)}/allow-no-mfa"),
    "setPassword": lambda s: Good(
        "setPassword", "PUT", f"{_a(s)}/password", {"password": "correct horse battery"}, status=204
    ),
    "sendReset": lambda s: Good("sendReset", "POST", f"{_a(s)}/send-reset", status=204),
    "setRank": lambda s: Good("setRank", "PUT", f"{_a(s)}/rank", {"rank": "manager"}),
    "invite": lambda s: Good(
        "invite", "POST", f"{_t(s)}/invitations",
        {"email": "guest@example.org", "role": "reader", "permission": "read"}, status=201,
    ),
    "listInvitations": lambda s: Good("listInvitations", "GET", f"{_t(s)}/invitations", query={"state": "open"}),
    "revokeInvitation": lambda s: Good(
        "revokeInvitation", "DELETE", f"{_t(s)}/invitations/{s.open_invitation()}", status=204
    ),
    "acceptInvitation": lambda s: Good(
        "acceptInvitation", "POST", "/invitations/accept", {"token": s.desk.invited(s.tenant, s.desk.staff.email)}
    ),
    "listGrants": lambda s: Good("listGrants", "GET", f"{_a(s)}/grants", query={"kind": "session", "live": "true"}),
    "revokeGrant": lambda s: Good("revokeGrant", "DELETE", f"{_a(s)}/grants/{s.person.grant_id}", status=204),
    "revokeGrants": lambda s: Good("revokeGrants", "DELETE", f"{_a(s)}/grants", query={"kind": "session"}),
    "issueToken": lambda s: Good("issueToken", "POST", f"{_a(s)}/tokens", {"lifetime": 60}, status=201),
    "createConnectionString": lambda s: Good(
        "createConnectionString", "POST", f"/accounts/{s.tenant.member.id}/connection-strings",
        {"tenantId": s.tenant.id, "role": "reader", "expiresAt": LATER, "name": "nightly"}, status=201,
    ),
    "listKeys": lambda s: Good("listKeys", "GET", "/keys"),
    "listAudit": lambda s: Good("listAudit", "GET", "/audit", query={"limit": 2, "kind": "login_succeeded"}),
    "verifyAudit": lambda s: Good("verifyAudit", "GET", "/audit/verify"),
    "rotateKeys": lambda s: Good("rotateKeys", "POST", "/keys/rotate", {"kind": "signing"}, status=201),
}  # fmt: skip


def call(desk: Desk, good: Good, caller: Person | None, **more: Any) -> Any:
    return desk.ask(good.method, good.path, caller, good.body, good.query, **more)
