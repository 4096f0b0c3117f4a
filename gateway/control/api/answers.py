"""What the admin API answers, as models: the OpenAPI document is made of them, and tests hold the answers to them."""

from typing import Literal

from pydantic import Field

from gateway.control.api.fields import GrantKind, Id, Instant, InvitationState, KeyKind, Model, Permission, Status


class Account(Model):
    id: Id
    email: str = Field(description="Empty if none.")
    username: str | None
    status: Status
    name: str
    kind: Literal["human", "service", "agent"]
    user_id: Id
    is_staff: bool
    is_manager: bool
    mfa_required: bool = Field(description="Whether it must have a second factor.")


class Accounts(Model):
    items: list[Account]
    next: str | None


class MfaReset(Model):
    id: Id
    removed: bool = Field(description="Whether there was a second factor.")


class Tenant(Model):
    id: Id
    name: str
    account_id: Id = Field(description="Its own account, against which licences are counted.")


class Tenants(Model):
    items: list[Tenant]
    next: str | None


class HeldRole(Model):
    role: str
    permission: Permission


class Member(Model):
    account_id: Id
    name: str
    email: str
    username: str | None
    status: Status
    owner_since: Instant | None = Field(description="null for whoever does not own the tenant.")
    roles: list[HeldRole]


class Members(Model):
    items: list[Member]
    next: str | None


class TenantDetails(Tenant):
    owners: list[Member]


class Role(Model):
    id: Id
    slug: str


class Roles(Model):
    items: list[Role]
    next: str | None


class Assignment(Model):
    account_id: Id
    tenant_id: Id
    tenant_name: str
    role: str
    role_id: Id
    permission: Permission
    accepted: bool


class Assignments(Model):
    items: list[Assignment]


class Invitation(Model):
    id: Id
    tenant_id: Id
    email: str
    role: str
    permission: Permission
    state: InvitationState
    invited_by: Id
    created_at: Instant
    expires_at: Instant
    accepted_at: Instant | None
    accepted_by: Id | None
    revoked_at: Instant | None


class Invitations(Model):
    items: list[Invitation]
    next: str | None


class Grant(Model):
    id: Id
    kind: GrantKind
    presentation: Literal["jwt", "opaque", "connstr"]
    dialect: str
    name: str
    tenant_id: Id | None
    role: str | None
    created_at: Instant
    expires_at: Instant
    last_used_at: Instant | None
    revoked_at: Instant | None
    platform: str = Field(description="Of the login that made it; empty if unknown.")
    ip: str | None
    prefix: str = Field(description="How a secret begins, to tell keys apart; empty where nothing may be shown.")
    current: bool = Field(description="Whether this very call came with it.")


class Grants(Model):
    items: list[Grant]
    next: str | None


class Ended(Model):
    ended: int


class Token(Model):
    token: str = Field(description="Shown this once.")
    expires_at: Instant


class ConnectionString(Model):
    connection_string: str = Field(description="Shown this once.")
    expires_at: Instant = Field(description="It may come out seconds earlier: no two connection strings are alike.")


class Key(Model):
    id: str
    kind: KeyKind
    purpose: Literal["token", "assertion", "mployr", "connection_string"]
    algorithm: str
    state: Literal["next", "active", "retiring"]
    created_at: Instant
    live_grants: int | None = Field(description="Of a MAC key: connection strings that hang on it.")


class Keys(Model):
    items: list[Key]


class Rotated(Model):
    id: str
    kind: KeyKind


class AuditEntry(Model):
    id: int
    at: Instant
    kind: str
    actor: str
    account_id: str | None
    subject: str
    outcome: str
    reason: str
    dialect: str
    ip: str
    request_id: str
    detail: dict[str, str | int | float | bool | None]


class AuditEntries(Model):
    items: list[AuditEntry]
    next: str | None


class AuditVerdict(Model):
    intact: bool
    entries: int
    waiting: int = Field(
        description="Entries of this moment, or that cannot be put into the chain; then it is not intact."
    )
    head: str = Field(description="Digest of the newest entry; keep it elsewhere, and compare.")
    detail: str = Field(description="Where it is broken; empty if intact.")


class Place(Model):
    place: str = Field(description="As `body.role`, `query.limit`.")
    message: str


class Problem(Model):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="The reason code: the same in the answer, the log and the metrics.")
    request_id: str = Field(alias="request_id")
    errors: list[Place] = Field(default_factory=list, description="Every fault of the call, where it has several.")
