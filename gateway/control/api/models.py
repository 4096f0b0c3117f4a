"""What the admin API takes and answers, as models: calls are checked by them, and the OpenAPI document is made of them.

What may be said is decided here, in form and size; whether it may be done, in `identity`.
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from gateway.identity.connection_string import SLUG

MOST: Final = 200  # items of a page
USUAL: Final = 50
_UUID: Final = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"
_MOMENT: Final = (
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)


class Model(BaseModel):
    """Strict: `"8"` is not 8. Unknown members are faults. Names are camelCase. Built when it is first used."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel, defer_build=True)


def _number(value: object) -> object:
    """Of a query, whose values are texts; what is no plain number stays what it is, and is refused."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10 else value


def _flag(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Id = Annotated[str, Field(pattern=_UUID, json_schema_extra={"format": "uuid"}), BeforeValidator(_lower)]
Slug = Annotated[str, Field(pattern=f"^{SLUG}$", examples=["reader"])]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Email = Annotated[str, Field(min_length=3, max_length=254, examples=["eve@example.com"])]
Username = Annotated[str, Field(min_length=1, max_length=64)]
Password = Annotated[str, Field(min_length=8, max_length=128)]
Instant = Annotated[str, Field(pattern=_MOMENT, json_schema_extra={"format": "date-time"})]
Seconds = Annotated[int, Field(ge=1, le=10**10)]
Permission = Literal["read", "write"]
Rank = Literal["user", "manager", "staff"]
Status = Literal["pending", "active", "disabled", "deleted"]
GrantKind = Literal["session", "api_key", "connection", "service"]
InvitationState = Literal["open", "accepted", "revoked", "expired"]
KeyKind = Literal["signing", "mac"]
Limit = Annotated[int, Field(ge=1, le=MOST), BeforeValidator(_number)]
After = Annotated[str, Field(min_length=1, max_length=256, pattern="^[A-Za-z0-9_-]+$")]
Sought = Annotated[str, Field(min_length=1, max_length=100)]
Flag = Annotated[bool, BeforeValidator(_flag)]
_AFTER: Final = "`next` of the page before; the first page without it."


# what is sent


class NewTenant(Model):
    name: Name
    owner_id: Id | None = Field(None, description="The account that owns it.")


class TenantName(Model):
    name: Name


class NewAccount(Model):
    email: Email = Field(description="Its address. Who calls this vouches for it: it counts as verified.")
    username: Username | None = None
    name: Name | None = Field(None, description="The username or the address by default.")
    password: Password | None = Field(None, description="None for an account that logs in by mail.")
    password_hash: Annotated[str, Field(min_length=1, max_length=512)] | None = Field(
        None, description="Another system's, in place of the password: of bcrypt, or argon2's PHC string."
    )


class NewPassword(Model):
    password: Password


class NewRank(Model):
    rank: Rank


class NewRole(Model):
    permission: Permission = Field(description="write includes read; both may be held side by side.")


class NewInvitation(Model):
    email: Email
    role: Slug
    permission: Permission
    expires_at: Instant | None = Field(None, description="At most 30 days from now; in 7 days by default.")


class InvitationToken(Model):
    token: Annotated[str, Field(min_length=1, max_length=128)] = Field(description="The end of the mailed link.")


class NewToken(Model):
    lifetime: Seconds | None = Field(None, description="In seconds; `tokens.lifetime` of the configuration by default.")


class NewConnectionString(Model):
    tenant_id: Id
    role: Slug = Field(description="One that the account holds in the tenant.")
    expires_at: Instant
    name: Annotated[str, Field(max_length=200)] = Field("", description="To tell it from others in a list.")
    permission: Permission | None = Field(None, description="Narrower than the role's.")


class Rotation(Model):
    kind: KeyKind = "signing"
    force: bool = Field(False, description="End what hangs on an old key: it is refused, or revoked, at once.")


# what a query may say


class PageQuery(Model):
    limit: Limit = Field(USUAL, description="Items of a page at most.")
    after: After | None = Field(None, description=_AFTER)


class TenantQuery(PageQuery):
    q: Sought | None = Field(None, description="A part of the name.")


class AccountQuery(PageQuery):
    q: Sought | None = Field(None, description="A part of the name, the username or the address.")
    status: Status | None = Field(None, description="All but deleted ones by default.")


class GrantQuery(PageQuery):
    kind: GrantKind | None = None
    live: Flag = Field(False, description="Only those that still let their holder in.")


class EndQuery(Model):
    kind: GrantKind | None = Field(None, description="Only those of this kind.")


class RoleQuery(Model):
    permission: Permission | None = Field(None, description="Only this one; both by default.")


class InvitationQuery(PageQuery):
    state: InvitationState | None = None


class AuditQuery(PageQuery):
    kind: Annotated[str, Field(pattern="^[a-z_]{1,64}$")] | None = None
    account_id: Id | None = Field(None, description="Only what is about this account.")


# what is answered


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
