"""E-mail addresses, usernames and display names: what is acceptable, and how two of them are compared."""

import re
import unicodedata
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from gateway.errors import RequestRejected

# The library refuses these as not deliverable in the world. Inside a company they are.
_INTRANET = ("local", "localhost", "test", "lan", "home.arpa")
_REAL = ".internal"  # a private name that the library accepts; it stands in for the rest of the check

_USERNAME = re.compile(r"[^\s@/?#:;,\"'<>\\]{1,64}")
MAX_NAME = 200  # characters


@dataclass(frozen=True, slots=True)
class Address:
    """text: the normal form, to write to. key: to compare by."""

    text: str
    key: str


def address(text: str) -> Address:
    """Raises RequestRejected("invalid_value"). No name server is asked."""
    domain = text.rpartition("@")[2].lower()
    stand_in = _REAL if domain in _INTRANET or domain.endswith(tuple(f".{name}" for name in _INTRANET)) else ""
    try:
        found = validate_email(text + stand_in, check_deliverability=False)
    except EmailNotValidError as error:
        raise RequestRejected("invalid_value", "the e-mail address is not valid") from error
    if not found.local_part.isascii():  # look-alikes of somebody else's; few mail servers take them
        raise RequestRejected("invalid_value", "the part before @ must be ASCII")
    normal = found.normalized.removesuffix(stand_in)
    local, _, domain = normal.rpartition("@")
    # of the domain nothing more is folded: IDNA 2008 tells ß from ss
    return Address(normal, f"{local.lower()}@{domain}")


def username(text: str) -> tuple[str, str]:
    """The name as shown (NFC) and the key that it is compared by (NFKC, casefold).

    Raises RequestRejected("invalid_value").
    """
    shown, key = unicodedata.normalize("NFC", text), unicodedata.normalize("NFKC", text).casefold()
    if not all(_USERNAME.fullmatch(form) and form.isprintable() for form in (shown, key)):
        raise RequestRejected("invalid_value", "a username has 1 to 64 printable characters, no space and no @")
    return shown, key


def display_name(text: str) -> str:
    """NFC, trimmed. Raises RequestRejected("invalid_value")."""
    shown = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(shown) <= MAX_NAME or not shown.isprintable():
        raise RequestRejected("invalid_value", f"a name has 1 to {MAX_NAME} printable characters")
    return shown
