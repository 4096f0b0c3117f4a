"""The audit trail, as whoever causes an event sees it: which kinds there are, what one says, who is acting.

Whatever changes the store is recorded there, in the same transaction, by the statement's own author (`store.audit`):
no caller can forget it. Who acts is said once, at the door (`acting`): a request, a command, an operator's call. What
is refused changes nothing, so it is told to `Refusals`, which counts (`app.audit`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from gateway.identity.origin import Origin

Kind = Literal[
    "login_begun", "link_sent", "link_opened", "login_waits", "login_succeeded", "login_refused",
    "session_renewed", "factor_proved", "factor_refused", "recovery_code_used",
    "approval_asked", "approval_granted", "approval_denied",
    "registered", "registration_refused", "setup_done", "account_provisioned",
    "password_changed", "password_refused", "reset_sent", "reset_refused", "password_reset",
    "factor_begun", "factor_enrolled", "factor_removed", "recovery_codes_replaced",
    "email_change_asked", "email_changed", "mail_refused",
    "identity_linked", "identity_unlinked", "identity_refused", "bot_configured",
    "token_issued", "api_key_issued", "connection_string_issued", "issue_refused", "grant_revoked", "grant_deleted",
    "account_created", "account_imported", "account_enabled", "account_disabled", "account_deleted",
    "mfa_required", "mfa_not_required",
    "rank_set", "tenant_created", "tenant_renamed", "tenant_deleted", "owner_added", "owner_removed",
    "invited", "invitation_revoked", "invitation_accepted", "invitation_refused", "role_assigned", "role_removed",
    "key_rotated", "mac_key_rotated", "master_key_changed", "store_migrated", "configuration_reloaded", "cache_purged",
    "admin_refused", "trail_trimmed", "refusals_dropped",
]  # fmt: skip

# Every kind, for people; the docs have this very table. What a row's `subject` is the id of stands in brackets.
KINDS: Final[Mapping[Kind, str]] = {
    "login_begun": "a right password began a login that takes a second step",
    "link_sent": "a mail with a login's link and code was put into the outbox",
    "link_opened": "the page of a mailed link was asked for its code",
    "login_waits": "a first factor was right; a session waits for the second one [grant]",
    "login_succeeded": "somebody is logged in; the session was made or lifted [grant]",
    "login_refused": "a login was refused: wrong, unknown, not live, or too many attempts",
    "session_renewed": "a session was exchanged for a fresh one [the new grant]",
    "factor_proved": "a code of the second factor was right [factor]",
    "factor_refused": "a code of the second factor was refused",
    "recovery_code_used": "a recovery code was spent in place of the second factor",
    "approval_asked": "a login waits for whoever reads the account's mail",
    "approval_granted": "the reader of the mail let a login in",
    "approval_denied": "the reader of the mail refused what was asked",
    "registered": "somebody made an account for themselves [its first grant]",
    "registration_refused": "a registration was turned away",
    "setup_done": "the first account of an empty store was made",
    "account_provisioned": "an account came with its first login",
    "password_changed": "a password was set by its holder or an operator",
    "password_refused": "the current password, asked for once more, was wrong",
    "reset_sent": "a mail with a code for a new password was put into the outbox",
    "reset_refused": "a code for a new password was refused",
    "password_reset": "a mailed code set a new password",
    "factor_begun": "an enrolment of a second factor was begun [factor]",
    "factor_enrolled": "a second factor is on [factor]",
    "factor_removed": "the second factor is off",
    "recovery_codes_replaced": "ten new recovery codes; the old ones are void",
    "email_change_asked": "a mail asks an address to confirm that it is the account's",
    "email_changed": "an address was confirmed, and is the account's",
    "mail_refused": "a mail was asked for in vain: nobody has the address, or too many were asked for",
    "identity_linked": "an external identity was linked [link]",
    "identity_unlinked": "an external identity was unlinked",
    "identity_refused": "the proof of an external identity was refused",
    "bot_configured": "a tenant's Telegram bot was set [tenant]",
    "token_issued": "a session was issued without a login [grant]",
    "api_key_issued": "an API key was issued [grant]",
    "connection_string_issued": "a connection string was issued [grant]",
    "issue_refused": "a key or connection string was refused: too many at once",
    "grant_revoked": "a credential ended before its time [grant]",
    "grant_deleted": "a credential ended, and left its holder's list [grant]",
    "account_created": "an operator made an account",
    "account_imported": "an account was taken over from another system",
    "account_enabled": "an account may be used",
    "account_disabled": "an account may not be used",
    "account_deleted": "an account is gone for good",
    "mfa_required": "an account must have a second factor",
    "mfa_not_required": "an account need not have a second factor",
    "rank_set": "an account is staff, a manager, or neither from now on",
    "tenant_created": "a tenant was made [tenant]",
    "tenant_renamed": "a tenant has another name [tenant]",
    "tenant_deleted": "a tenant is gone for good [tenant]",
    "owner_added": "an account owns a tenant [tenant]",
    "owner_removed": "an account owns a tenant no longer [tenant]",
    "invited": "somebody was invited into a tenant by mail [invitation]",
    "invitation_revoked": "an invitation is void [invitation]",
    "invitation_accepted": "an invitation was taken up [invitation]",
    "invitation_refused": "an invitation was opened, or was to be taken up, in vain",
    "role_assigned": "an account holds a role in a tenant [tenant]",
    "role_removed": "an account holds a role no longer [tenant]",
    "key_rotated": "a new key signs tokens or assertions [key]",
    "mac_key_rotated": "a new key signs connection strings [its version]",
    "master_key_changed": "the master key was changed; what is sealed is being sealed anew [version of the data key]",
    "store_migrated": "the tables were made, or brought up to date",
    "configuration_reloaded": "a gateway was asked to read its configuration again",
    "cache_purged": "a gateway was asked to forget every verified credential",
    "admin_refused": "whoever may not do so called the admin API to change something, or the admin listener",
    "trail_trimmed": "rows older than audit.keep were removed from the beginning of this trail",
    "refusals_dropped": "refusals that were counted together, as there were too many of too many sorts",
}

Outcome = Literal["done", "refused"]
Detail = Mapping[str, str | int | float | bool | None]

MAX_TEXT = 256  # characters of any text in a row


@dataclass(frozen=True, slots=True)
class Event:
    """account_id: whom it is about. subject: id of what was made, changed or ended, as `KINDS` has it. reason: a code
    of `wire.problems`, or why a grant ended. actor: "" for who acts (`acting`); else who has just proved to be it.

    detail: small, and without a secret: no code, token, password, link, digest; no address or name of a person.
    """

    kind: Kind
    account_id: str | None = None
    subject: str = ""
    outcome: Outcome = "done"
    reason: str = ""
    detail: Detail = field(default_factory=dict)
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """Who acts, and from where. actor: `account:ID`, `cli:OS USER`, `admin` (the admin listener's token),
    `issuer:URL` (an external token), `anonymous`, or `gateway` itself. credential: id of the grant that was presented.
    """

    actor: str = "gateway"
    credential: str = ""
    dialect: str = ""
    address: str = ""
    agent: str = ""
    request_id: str = ""


_scope: ContextVar[Scope] = ContextVar("gateway_audit_scope", default=Scope())  # noqa: B039 - it is frozen


@contextmanager
def acting(scope: Scope) -> Iterator[None]:
    """All that is recorded within, by this task and those it starts, was done by this one."""
    token = _scope.set(scope)
    try:
        yield
    finally:
        _scope.reset(token)


def scope() -> Scope:
    return _scope.get()


def account(account_id: str) -> str:
    """The actor of that account."""
    return f"account:{account_id}"


def asked_by(origin: Origin, actor: str, dialect: str, credential: str = "") -> Scope:
    """The scope of one request."""
    return Scope(actor, credential, dialect, origin.address, origin.agent[:MAX_TEXT], origin.request_id)


class Audit(Protocol):
    """`store.audit`. What changes the store goes with `store.audit.noted(connection, event)` instead."""

    async def record(self, event: Event) -> None:
        """One event in a transaction of its own, by whoever acts. Raises DependencyFailed("store_unavailable")."""


class Refusals(Protocol):
    """Where what was refused is told. Bounded, whatever comes: alike ones are counted (`app.audit`)."""

    def refused(self, event: Event) -> None:
        """By whoever acts. Never waits, never raises."""


class Unrecorded:
    """Nobody keeps refusals: on the command line, whose caller sees them."""

    def refused(self, event: Event) -> None:
        return
