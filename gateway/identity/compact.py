"""A compact JWS read strictly, and nothing more: no key is touched here, nothing is verified (`identity.tokens` does).

Two readers that differ are a hole, so what could be read in two ways is refused before any library sees it.
"""

import binascii
import json
import re
from collections.abc import Iterable, Mapping
from typing import Final, NoReturn

from gateway.errors import RequestRejected

MAX_TOKEN_BYTES: Final = 8192
MAX_KID_BYTES: Final = 256
MAX_DEPTH: Final = 16  # of nested JSON; identity providers stay below 6

_COMPACT: Final = re.compile(rb"(([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+))\.([A-Za-z0-9_-]+)").fullmatch
_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
# By the length of a part modulo four: what completes it, and the last characters whose unused bits are zero.
_TAILS: Final = {2: (b"==", b"AQgw"), 3: (b"=", b"AEIMQUYcgkosw048")}


class TokenInvalid(RequestRejected):
    """Not a token that we may believe. `detail` says which rule failed and never holds a part of the token."""

    def __init__(self, detail: str) -> None:
        super().__init__("invalid_credential", detail)


class TokenExpired(RequestRejected):
    """It was good once."""

    def __init__(self) -> None:
        super().__init__("expired_credential")


class Unverified:
    """A well-formed token of which nothing has been verified yet: good for choosing a verifier, for nothing else.

    typ: lower case, without `application/`; None if the header has none. issuer: as claimed. claimed: all claims, for
    `tokens.verify` to hand out once they are proved. signed, signature: the JWS signing input and what is said of it.
    Plain and slotted: made for each unknown credential, and never written to.
    """

    __slots__ = ("algorithm", "claimed", "issuer", "kid", "signature", "signed", "typ")

    def __init__(
        self,
        header: Mapping[str, object],
        claimed: Mapping[str, object],
        issuer: str,
        signed: bytes,
        signature: bytes,
    ) -> None:
        """Raises TokenInvalid for a header that is not a token's of ours or of an issuer."""
        self.algorithm = _algorithm(header)
        self.kid = _kid(header)
        self.typ = _typ(header)
        self.issuer = issuer
        self.claimed = claimed
        self.signed = signed
        self.signature = signature

    def __repr__(self) -> str:
        return f"Unverified(algorithm={self.algorithm!r})"


def parse(token: bytes) -> Unverified:
    """Reads a compact JWS without verifying it. Raises TokenInvalid.

    Three canonical base64url parts, UTF-8 JSON objects without a repeated member, no extension that would have to be
    understood (RFC 7515 section 4.1.11, RFC 7797). `jku`, `jwk`, `x5u` and `x5c` are not looked at: keys come from
    configuration only.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenInvalid("the token is too long")
    parts = _COMPACT(token)
    if parts is None:
        raise TokenInvalid("the token is not three base64url parts")
    signed, header, payload, signature = parts.groups()
    fields, claims = json_object(_decoded(header)), json_object(_decoded(payload))
    issuer = claims.get("iss")
    if not isinstance(issuer, str):
        raise TokenInvalid("iss is missing or not a string")
    return Unverified(fields, claims, issuer, signed, _decoded(signature))


def _decoded(part: bytes) -> bytes:
    """One part; unused bits must be zero, or one token would have several spellings (RFC 4648 section 3.5)."""
    over = len(part) % 4
    if over:
        padding, last = _TAILS.get(over, (b"", b""))
        if part[-1] not in last:
            raise TokenInvalid("a part is not canonical base64url")
        part += padding
    return binascii.a2b_base64(part.translate(_TO_STANDARD))


def json_object(raw: bytes) -> Mapping[str, object]:
    """A strict reading; raises TokenInvalid. UTF-8 (RFC 8725 section 3.7); of a repeated member either could count."""
    try:
        value = _STRICT(raw.decode())
    except (ValueError, RecursionError) as error:
        raise TokenInvalid("a part is not strict JSON") from error
    if not isinstance(value, dict):
        raise TokenInvalid("a part is not a JSON object")
    # Depth needs as many brackets: most tokens are through without the walk.
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise TokenInvalid("a part is nested too deeply")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _not_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_STRICT: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_not_json).decode


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [item for entry in level for item in _items(entry) if isinstance(item, dict | list)]
    return depth


def _items(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _algorithm(header: Mapping[str, object]) -> str:
    # Nothing here understands an extension, so a critical one is refused (RFC 7515 section 4.1.11), b64 as well.
    if "crit" in header or "b64" in header:
        raise TokenInvalid("the header asks for an extension")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str):
        raise TokenInvalid("alg is missing or not a string")
    return algorithm


def _kid(header: Mapping[str, object]) -> str | None:
    kid = header.get("kid")
    if kid is None and "kid" not in header:
        return None
    if not isinstance(kid, str) or len(kid.encode(errors="surrogatepass")) > MAX_KID_BYTES:
        raise TokenInvalid("kid is not a short string")
    return kid


def _typ(header: Mapping[str, object]) -> str | None:
    typ = header.get("typ")
    if typ is None and "typ" not in header:
        return None
    if not isinstance(typ, str):
        raise TokenInvalid("typ is not a string")
    return typ.lower().removeprefix("application/")  # RFC 7515 section 4.1.9
