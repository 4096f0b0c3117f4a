"""Short secrets: six digits, recovery codes, link tokens. What is guessable is kept as a MAC under a server key.

A plain hash of six digits is undone in a second; with the key elsewhere (the master key is not in the database), a
stolen database tells nothing.
"""

import base64
import hashlib
import re
from collections.abc import Callable

from gateway.clock import Clock
from gateway.errors import RequestRejected

# (purpose, value) -> 32 bytes: HMAC-SHA-256 under a key that is not in the database.
Pepper = Callable[[str, bytes], bytes]

LINK_BYTES = 32
RECOVERY_CODES = 10
_RECOVERY_BYTES = 7  # 56 bits, of which ten base32 characters keep 50
_RECOVERY_LENGTH = 10
_DIGITS = re.compile(r"[0-9]{6}")  # ASCII alone: \d takes the digits of all scripts
_RECOVERY = re.compile(r"[a-z2-7]{10}")
_LINK = re.compile(r"[A-Za-z0-9_-]{43}")


def link_token(clock: Clock) -> str:
    """43 characters of base64url: 256 random bits."""
    return base64.urlsafe_b64encode(clock.token_bytes(LINK_BYTES)).rstrip(b"=").decode()


def link_digest(token: str) -> bytes | None:
    """What is stored of a link's token; None for what none of ours looks like."""
    return hashlib.sha256(b"gateway.link\0" + token.encode()).digest() if _LINK.fullmatch(token) else None


def code_of_link(token: str, pepper: Pepper) -> str:
    """The six digits that a link shows: made of its token, so that they need not be stored to be shown."""
    return f"{int.from_bytes(pepper('link code', token.encode())[:8]) % 1_000_000:06d}"


def random_code(clock: Clock) -> str:
    """Six digits. 2**64 is no multiple of a million: the bias is below 1e-13."""
    return f"{int.from_bytes(clock.token_bytes(8)) % 1_000_000:06d}"


def digits(text: str) -> str | None:
    """A typed code of six digits, or None. Spaces around it are forgiven."""
    text = text.strip(" ")
    return text if _DIGITS.fullmatch(text) else None


def require_digits(text: str) -> str:
    """Raises RequestRejected("bad_parameter")."""
    found = digits(text)
    if found is None:
        raise RequestRejected("bad_parameter", "A code is six digits.")
    return found


def code_mac(pepper: Pepper, challenge_id: str, code: str) -> bytes:
    return pepper("challenge code", f"{challenge_id}:{code}".encode())


def recovery_codes(clock: Clock) -> list[str]:
    """Ten of 50 random bits each, `abcde-fghij`, lower-case base32."""
    return [_recovery_code(clock) for _ in range(RECOVERY_CODES)]


def _recovery_code(clock: Clock) -> str:
    text = base64.b32encode(clock.token_bytes(_RECOVERY_BYTES)).decode().lower()[:_RECOVERY_LENGTH]
    return f"{text[:5]}-{text[5:]}"


def recovery_mac(pepper: Pepper, account_id: str, typed: str) -> bytes | None:
    """What is stored of a recovery code as typed; None for what none of ours looks like."""
    text = re.sub(r"[ -]", "", typed).lower()
    return pepper("recovery code", f"{account_id}:{text}".encode()) if _RECOVERY.fullmatch(text) else None
