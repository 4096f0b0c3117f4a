"""The nouns: account, grant, licence, principal. Immutable; times are seconds since the epoch, ids are UUIDs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

T = TypeVar("T")

Permission = Literal["read", "write"]
AccountKind = Literal["human", "service", "agent"]
AccountStatus = Literal["pending", "active", "disabled", "deleted"]
MfaPolicy = Literal["inherit", "required"]
GrantKind = Literal["session", "api_key", "connection", "service"]
Presentation = Literal["jwt", "opaque", "connstr"]
InvitationState = Literal["open", "accepted", "revoked", "expired"]
Rank = Literal["user", "manager", "staff"]
Mark = tuple[str | float, ...]  # a place in a list
KeyPurpose = Literal["token", "assertion", "mployr"]  # mployr: its API fixes RS256


@dataclass(frozen=True, slots=True)
class Owner:
    """The person behind an account."""

    id: str
    email: str  # "" if none
    is_active: bool = True
    username: str | None = None
    first_name: str | None = None
    last_name: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    name: str
    owner: Owner
    kind: AccountKind = "human"
    status: AccountStatus = "active"
    approved: bool = True
    archived: bool = False
    deleted: bool = False
    is_staff: bool = False
    is_manager: bool = False
    num: int = field(default=0, compare=False)  # for APIs whose ids are numbers; given with the row
    # of password and factors, as they stood when this was read for a login; what is read for the proxy has none
    epoch: int = field(default=0, compare=False)
    mfa_policy: MfaPolicy = field(default="inherit", compare=False)  # likewise

    @property
    def is_live(self) -> bool:
        """Whether its credentials may be used at all."""
        return self.status == "active" and not self.deleted and not self.archived


@dataclass(frozen=True, slots=True)
class Licence:
    """One role assignment. account_id, account_name: the tenant's own account."""

    account_id: str
    account_name: str
    tenant_id: str
    role: str
    role_id: str
    permission: Permission
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Ownership:
    """since: seconds since the epoch."""

    tenant_id: str
    name: str
    since: float


@dataclass(frozen=True, slots=True)
class Grant:
    """A credential that was handed out. restricted: a second factor is pending. aal: 1, or 2 with a second factor."""

    id: str
    account_id: str
    kind: GrantKind
    presentation: Presentation
    created_at: float
    expires_at: float
    tenant_id: str | None = None
    role: str | None = None
    permission: Permission | None = None
    name: str = ""
    dialect: str = "mycelium"
    scopes: frozenset[str] = frozenset()
    aal: int = 1
    amr: tuple[str, ...] = ()
    restricted: bool = False
    last_used_at: float | None = None
    revoked_at: float | None = None
    idle: float | None = None  # seconds without use that end it

    def ended(self, now: float) -> bool:
        """Whether its time is over, or nobody has used it for too long. Use is noted once a minute."""
        used = max(self.created_at, self.last_used_at or 0.0)
        return self.expires_at <= now or (self.idle is not None and used + self.idle <= now)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the store knows about a presented credential, read in one query. It may be dead: the caller checks.

    grant: None for a caller known by an external issuer.
    """

    account: Account
    grant: Grant | None
    licences: tuple[Licence, ...] = ()
    ownerships: tuple[Ownership, ...] = ()


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: all that the proxy ever sees. account is None for an external caller without one.

    email: the bare address, "" if none. issuer: name of the configured issuer, `internal` for our own credentials.
    tenant_id, role: fixed by the credential (a connection string), else None; both narrow the licences.
    expires_at: of the credential.
    """

    subject: str
    email: str
    issuer: str
    expires_at: float
    account: Account | None = None
    grant_id: str | None = None
    licences: tuple[Licence, ...] = ()
    ownerships: tuple[Ownership, ...] = ()
    tenant_id: str | None = None
    role: str | None = None
    scopes: frozenset[str] = frozenset()
    aal: int = 1
    restricted: bool = False
    grant_kind: GrantKind | None = None


@dataclass(frozen=True, slots=True)
class Revocation:
    """One row of the table that every worker polls. kind: what `subject` is the id of; `all` voids every entry."""

    id: int
    kind: Literal["grant", "account", "keys", "all"]
    subject: str


@dataclass(frozen=True, slots=True)
class SigningKey:
    """private: PKCS#8 DER, or the raw secret of an HS512 key, decrypted. state: only `active` signs; all verify."""

    kid: str
    algorithm: str
    private: bytes
    state: Literal["next", "active", "retiring"]
    purpose: KeyPurpose = "token"

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid!r}, algorithm={self.algorithm!r}, state={self.state!r})"


@dataclass(frozen=True, slots=True)
class MacKey:
    """Of connection strings. secret: 64 random bytes, decrypted. version: Mycelium's `kvr`. The newest signs."""

    version: int
    secret: bytes

    def __repr__(self) -> str:
        return f"MacKey(version={self.version!r})"


@dataclass(frozen=True, slots=True)
class Tenant:
    """account_id: its own account, made with it; licences are counted against that one."""

    id: str
    name: str
    account_id: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """A role that an account holds in a tenant."""

    account_id: str
    tenant_id: str
    tenant_name: str
    role: str
    role_id: str
    permission: Permission
    accepted: bool


@dataclass(frozen=True, slots=True)
class Member:
    """Whom a tenant knows: what the account holds there. owner_since: seconds since the epoch; None for no owner."""

    account: Account
    tenant_id: str
    roles: tuple[tuple[str, Permission], ...] = ()
    owner_since: float | None = None


@dataclass(frozen=True, slots=True)
class Invitation:
    """To hold a role in a tenant, for whoever proves the address. digest: of the mailed token, which is not kept.

    address_key: as `identity.addresses` makes it. invited_by: id of an account.
    """

    id: str
    tenant_id: str
    address: str
    address_key: str
    role: str
    permission: Permission
    digest: bytes = field(repr=False)
    invited_by: str
    created_at: float
    expires_at: float
    accepted_at: float | None = None
    accepted_by: str | None = None
    revoked_at: float | None = None

    def state(self, now: float) -> InvitationState:
        if self.accepted_at is not None:
            return "accepted"
        if self.revoked_at is not None:
            return "revoked"
        return "open" if self.expires_at > now else "expired"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list in a fixed order. next: marks the place behind its last item, None at the end. What is added
    meanwhile shifts nothing: a mark holds values of the order, not a count."""

    items: Sequence[T]
    next: Mark | None = None


@dataclass(frozen=True, slots=True)
class Issue:
    """A grant about to be stored. digest: of the secret (`identity.grants.secret_digest`), None for a JWT.

    prefix: the start of the secret, for people to tell their keys apart. mac_version: of the key that signed it.
    """

    grant: Grant
    digest: bytes | None = None
    prefix: str = ""
    mac_version: int | None = None
    ip: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as people list it, without its secret. id: the `kid`, or the version of a MAC key."""

    id: str
    kind: Literal["signing", "mac"]
    purpose: KeyPurpose | Literal["connection_string"]
    algorithm: str
    state: Literal["next", "active", "retiring"]
    created_at: float
    live_grants: int


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """Whom an external issuer vouches for: (issuer, subject) says who. issuer: its `iss`, or `telegram`.

    email: in normal form, "" unless the issuer may assert addresses and says that it verified this one.
    """

    issuer: str
    subject: str
    email: str = ""


@dataclass(frozen=True, slots=True)
class LinkedIdentity:
    """An external identity that belongs to an account."""

    id: str
    account_id: str
    issuer: str
    subject: str
    created_at: float


@dataclass(frozen=True, slots=True)
class TelegramBot:
    """A tenant's bot. role, lifetime (seconds): of the connection strings that its logins get."""

    token: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    role: str
    lifetime: float


@dataclass(frozen=True, slots=True)
class Factor:
    """A TOTP secret, in base32. active: confirmed; else pending until expires_at. last_step: of the last code taken.

    confirmed_at: of an active one.
    """

    id: str
    account_id: str
    secret: str = field(repr=False)
    active: bool = False
    last_step: int = 0
    expires_at: float = 0.0
    confirmed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A factor that its first code has just proved. step: of that code. codes: what is stored of ten recovery codes,
    whose texts are `shown`."""

    factor: Factor
    step: int
    codes: tuple[bytes, ...] = field(repr=False)
    shown: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an account has of second factors. recovery_codes: how many are left."""

    active: Factor | None = None
    pending: Factor | None = None
    recovery_codes: int = 0


@dataclass(frozen=True, slots=True)
class HeldGrant:
    """A grant as its holder's list has it. user_agent, ip: of the login that made it. prefix: as in `Issue`."""

    grant: Grant
    user_agent: str = ""
    ip: str | None = None
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Password:
    """phc: the argon2id string, or an imported one of bcrypt. failures: wrong ones in a row."""

    phc: str = field(repr=False)
    failures: int = 0


# Asked about what a change is about as it stands in the change's own transaction. They refuse by RequestRejected.
AccountGuard = Callable[[Account], None]
MemberGuard = Callable[[Member], None]
InvitationGuard = Callable[[Invitation], None]


def unguarded(_: object) -> None:
    """A guard that refuses nobody: of an account's holder, who has other proofs to give, and of an operator at the
    command line."""
