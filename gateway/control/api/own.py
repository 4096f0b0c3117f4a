"""The caller's own account as the document shows it. Its endpoints are of the Mycelium login API (`login.mycelium`) and
of `control.profile`; here they are only described."""

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from gateway.control.api.answers import Problem
from gateway.control.api.fields import GrantKind, Id, Instant, Model, Name, Permission, Slug


class Profile(BaseModel):
    """What services get of the caller, decoded."""

    model_config = ConfigDict(extra="allow")

    acc_id: str = Field(alias="accId")


class OwnSession(Model):
    id: Id
    kind: GrantKind
    dialect: str
    platform: str
    ip: str | None
    created_at: Instant
    last_used_at: Instant | None
    expires_at: Instant
    current: bool


class OwnToken(Model):
    id: Id
    name: str
    tenant_id: Id | None
    account_id: Id
    role: str | None
    permission: Permission | None
    created_at: Instant
    expires_at: Instant
    last_used_at: Instant | None
    revoked_at: Instant | None


class NewOwnToken(Model):
    tenant_id: Id
    role: Slug
    expires_at: Instant
    account_id: Id | None = Field(None, description="The caller's own, where it is given.")
    name: Name | None = None


class OwnConnectionString(Model):
    connection_string: str = Field(description="Shown this once.")
    expires_at: Instant


class Fault(BaseModel):
    """As Mycelium words it."""

    model_config = ConfigDict(extra="forbid")

    msg: str
    code: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Own:
    """path: below the mount. many: the answer is an array of `answer`."""

    name: str
    method: str
    path: str
    summary: str
    answer: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    many: bool = False
    status: int = 200
    fault: type[BaseModel] = Fault
    fault_type: str = "application/json"


ENDPOINTS: Final = (
    Own(
        "showProfile", "GET", "/beginners/profile", "Show the caller's profile",
        Profile, fault=Problem, fault_type="application/problem+json",
    ),
    Own("listOwnSessions", "GET", "/beginners/sessions", "List the caller's sessions", OwnSession, many=True),
    Own("endOwnSession", "DELETE", "/beginners/sessions/{id}", "End one of the caller's sessions"),
    Own("endOtherSessions", "DELETE", "/beginners/sessions", "End all sessions of the caller but this one"),
    Own("listOwnTokens", "GET", "/beginners/tokens", "List the caller's connection strings", OwnToken, many=True),
    Own(
        "createOwnToken", "POST", "/beginners/tokens", "Create a connection string for a role that the caller holds",
        OwnConnectionString, NewOwnToken,
    ),
    Own("revokeOwnToken", "POST", "/beginners/tokens/{id}/revoke", "Revoke one of them"),
    Own("deleteOwnToken", "DELETE", "/beginners/tokens/{id}", "Revoke one and take it off the list"),
)  # fmt: skip
MODELS: Final = tuple(
    dict.fromkeys(kind for one in ENDPOINTS for kind in (one.answer, one.body, one.fault) if kind is not None)
)
