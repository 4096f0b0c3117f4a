"""Who may change what belongs to an account: its sessions. A service's key may not beget others (RFC 9700, 2.3)."""

from gateway.errors import RequestRejected
from gateway.identity.model import Account
from gateway.login.dialect import Call


def account_of(call: Call) -> Account:
    """Raises RequestRejected("no_account")."""
    account = call.caller.account
    if account is None:
        raise RequestRejected("no_account")
    return account


def session_of(call: Call) -> tuple[Account, str]:
    """Whom a login of ours let in, and its grant. Raises RequestRejected("forbidden") for keys and external tokens."""
    account, grant_id = account_of(call), call.caller.grant_id
    if call.caller.grant_kind != "session" or grant_id is None:
        raise RequestRejected("forbidden")
    return account, grant_id
