"""Which failures of a database are outages, that may be over in a second, and which are mistakes of this program."""

from typing import Final, NoReturn

from gateway.errors import DependencyFailed

# By SQLSTATE, whole or its class (PostgreSQL 15, appendix A). What has no row is a mistake: an unknown column, a value
# of the wrong type, a right that our user lacks. Asking again would not help, and an alert on outages would not say it.
OUTAGES: Final = {
    "08": "the connection broke, or was refused",
    "0A000": "a table was migrated under a prepared statement, which is then prepared anew",
    "25006": "the server only reads: a replica, or the former primary after a failover",
    "25P03": "the transaction was idle for too long, as its worker had no time",
    "28": "the server does not let our user in: a password that was changed, a rule of pg_hba.conf",
    "3D": "the database is not there",
    "40": "a deadlock, or another conflict of two transactions",
    "53": "too many connections, a full disk, no memory",
    "55P03": "a lock that stays",
    "57": "the server stops, starts, or gave up a statement that took too long",
    "58": "the server's own files fail it",
}
# SQLite's primary codes: SQLITE_ERROR (SQL that it does not understand), MISMATCH, MISUSE, RANGE
MISTAKES: Final = frozenset({1, 20, 21, 25})


def failed(error: BaseException, detail: str) -> NoReturn:
    """Raises what a driver's error is: "store_unavailable" with this detail, or "internal_error" with its kind."""
    mistake = _mistake(error)
    if mistake is None:
        raise DependencyFailed("store_unavailable", detail, 1) from error
    raise DependencyFailed("internal_error", mistake) from None  # its text may have a value in it, and logs show causes


def _mistake(error: BaseException) -> str | None:
    """What the log says of it. It holds no value: those are parameters, which the text of a class 42 never shows."""
    kind = type(error).__name__
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        if state in OUTAGES or state[:2] in OUTAGES:
            return None
        return f"SQLSTATE {state} ({kind})" + (f": {error.args[0]}" if state.startswith("42") and error.args else "")
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int):
        return f"{getattr(error, 'sqlite_errorname', code)}: {error}" if code & 0xFF in MISTAKES else None
    # asyncpg's own word on a parameter that it cannot encode; it has the parameter in it
    return f"a parameter was not accepted ({kind})" if isinstance(error, ValueError) else None
