"""Who calls, and as what: an account, a person, or a session of this gateway's own."""

from gateway.errors import RequestRejected
from gateway.identity.model import Account, Principal
from gateway.login.dialect import Call


def account_of(call: Call) -> Account:
    """Raises RequestRejected("no_account")."""
    account = call.caller.account
    if account is None:
        raise RequestRejected("no_account")
    return account


def session_of(call: Call) -> tuple[Account, str]:
    """Whom a login of ours let in, and its grant. Raises RequestRejected("forbidden") for keys and external tokens: a
    program's key may not beget others, nor take a factor away (RFC 9700 section 2.3)."""
    account, grant_id = call.caller.account, call.caller.grant_id
    if call.caller.grant_kind != "session" or account is None or grant_id is None:
        raise RequestRejected("forbidden", "This takes the token of a login here: no key, and no other issuer's token.")
    return account, grant_id


def person_of(call: Call) -> Principal:
    """A session, or the caller of an external issuer. Raises RequestRejected("forbidden") for keys."""
    if call.caller.grant_kind not in ("session", None):
        raise RequestRejected("forbidden", "This takes a login of a person, not a key.")
    return call.caller
