"""Which credential a request presents, and of what form. Whether it is any good is decided in `access`."""

import re
from typing import Literal

from gateway.errors import RequestRejected

# No credential of ours is longer, and a field is not either (8 KiB).
MAX_CREDENTIAL_BYTES = 8192

_BASE64URL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_OWS = b" \t"

# b64token of RFC 6750 section 2.1
_B64TOKEN = re.compile(rb"[A-Za-z0-9\-._~+/]+=*").fullmatch
_SCHEME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").match
_SECOND_BEARER = re.compile(rb",[ \t]*bearer(?:[ \t,]|\Z)", re.IGNORECASE).search
_PRINTABLE = re.compile(rb"[ -~]+").fullmatch


class Presented:
    """One credential as it came. Plain and slotted: it is made once per request, and never written to.

    raw: the connection string, or the token without its scheme. A `jwt` has three non-empty base64url parts.
    """

    __slots__ = ("kind", "raw")

    def __init__(self, kind: Literal["connection_string", "jwt", "opaque"], raw: bytes) -> None:
        self.kind = kind
        self.raw = raw

    def __repr__(self) -> str:
        return f"Presented({self.kind})"


def present(connection_string: bytes | None, authorization: bytes | None) -> Presented | None:
    """The credential that counts, or None if there is none of ours. Both arguments are header values as sent.

    A connection string comes first and `Authorization` is not looked at then. Schemes other than Bearer are not ours.
    White space after a value is not part of it (RFC 9110 section 5.5).
    Raises RequestRejected: `invalid_credential` for one that is there and cannot be right, `duplicate_credential`
    for several in one `Authorization`.
    """
    if connection_string is not None:
        return _connection_string(connection_string.rstrip(_OWS))
    if authorization is None:
        return None
    if authorization[:7].lower() != b"bearer ":
        _check_other_scheme(authorization)
        return None
    return _bearer(authorization[7:].strip(_OWS))


def _connection_string(raw: bytes) -> Presented:
    if len(raw) > MAX_CREDENTIAL_BYTES or not _PRINTABLE(raw):
        raise RequestRejected("invalid_credential", "the connection string is not well-formed")
    return Presented("connection_string", raw)


def _bearer(token: bytes) -> Presented:
    if len(token) > MAX_CREDENTIAL_BYTES:
        raise RequestRejected("invalid_credential", "the bearer token is too long")
    foreign = token.translate(None, _BASE64URL)  # a third of the time a pattern takes
    if foreign == b"..":
        first, second = token.find(b"."), token.rfind(b".")
        if 0 < first < second - 1 and second < len(token) - 1:
            return Presented("jwt", token)
    elif b"," in foreign:
        raise RequestRejected("duplicate_credential", "Authorization holds more than one credential")
    elif (token and not foreign) or (foreign.count(b".") != 2 and _B64TOKEN(token)):
        return Presented("opaque", token)
    raise RequestRejected("invalid_credential", "the bearer token is not well-formed")


def _check_other_scheme(authorization: bytes) -> None:
    """A scheme that is not ours is let be; `Basic x, Bearer y` is two credentials, not one of another scheme."""
    scheme = _SCHEME(authorization)
    if scheme is None or scheme[0].lower() == b"bearer":
        raise RequestRejected("invalid_credential", "Authorization is not a scheme, a space and a token")
    if _SECOND_BEARER(authorization):
        raise RequestRejected("duplicate_credential", "Authorization holds more than one credential")
