"""What a route is, after the configuration was read. Identity, not equality: a route is a key of caches."""

from dataclasses import dataclass
from enum import Enum

from gateway.wire.cors import CrossOrigin
from gateway.wire.rules import Rules


class AccessKind(Enum):
    PUBLIC = "public"  # anybody; credentials are ignored and stripped; never a profile
    AUTHENTICATED = "authenticated"  # any live caller; gets x-mycelium-email
    PROTECTED = "protected"  # a caller with an account; gets the profile
    ROLES = "roles"  # as protected, with the profile filtered to the roles; none left is 403


@dataclass(frozen=True, slots=True)
class RoleRule:
    """role: the slug. write: whether `write` is wanted; `read` is met by write as well."""

    role: str
    write: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """scopes: every one must be held. issuers: names of configured issuers; empty = any, `internal` = ours."""

    kind: AccessKind
    roles: tuple[RoleRule, ...] = ()
    mfa: bool = False
    scopes: frozenset[str] = frozenset()
    issuers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds."""

    connect: float = 3.0
    first_byte: float = 60.0
    idle: float = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """path: `/orders/**` style template. methods: upper case; GET stands for HEAD too. host: lower case, no port.

    upstream: its name. strip_prefix: whole segments, `/orders`. allow_encoded: spellings such as `%2F` (upper case)
    or `;` that this route takes as they are. errors: `problem` or a dialect's name. body_limit: bytes or None.
    builtin: served by our own application, with that upstream's header rules. cross_origin: what pages of other origins
    may. request_rules, answer_rules: what is changed in the headers of what goes to the upstream and comes from it.
    """

    path: str
    methods: frozenset[str]
    upstream: str
    access: Access
    host: str | None = None
    strip_prefix: str | None = None
    forward_authorization: bool = False
    preserve_host: bool = True
    allow_encoded: frozenset[bytes] = frozenset()
    errors: str = "problem"
    timeouts: Timeouts = Timeouts()
    body_limit: int | None = None
    builtin: bool = False
    cross_origin: CrossOrigin | None = None
    request_rules: Rules | None = None
    answer_rules: Rules | None = None
