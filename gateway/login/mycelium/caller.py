"""Who may change what belongs to an account: its sessions. A service's key may not beget others (RFC 9700, 2.3)."""

from gateway.errors import RequestRejected
from gateway.identity.model import Account, Principal
from gateway.login.dialect import Call


def account_of(call: Call) -> Account:
    """Raises RequestRejected("no_account")."""
    account = call.caller.account
    if account is None:
        raise RequestRejected("no_account")
    return account


def session_of(call: Call) -> Principal:
    """A caller whom a login of ours let in. Raises RequestRejected("forbidden") for keys and external tokens."""
    if call.caller.grant_kind != "session":
        raise RequestRejected("forbidden", "This takes a session of yours: log in here, and send its token.")
    return call.caller


def person_of(call: Call) -> Principal:
    """A session, or the caller of an external issuer; not a key."""
    if call.caller.grant_kind not in ("session", None):
        raise RequestRejected("forbidden", "This takes a login of a person, not a key.")
    return call.caller
