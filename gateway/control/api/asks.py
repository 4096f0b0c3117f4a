"""What the admin API takes, as models: calls are checked by them, and the OpenAPI document is made of them.

What may be said is decided here, in form and size; whether it may be done, in `identity`.
"""

from typing import Annotated, Final

from pydantic import Field

from gateway.control.api.fields import (
    USUAL,
    After,
    Email,
    Flag,
    GrantKind,
    Id,
    Instant,
    InvitationState,
    KeyKind,
    Limit,
    Model,
    Name,
    Password,
    Permission,
    Rank,
    Seconds,
    Slug,
    Sought,
    Status,
    Username,
)

_AFTER: Final = "`next` of the page before; the first page without it."


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
