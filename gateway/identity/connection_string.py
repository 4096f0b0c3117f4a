"""Connection strings as values: parse, verify, mint. Pure; whether the grant behind one is live is not asked here.

Two forms. The seed form is issued by default:

    acc=<uuid>;tid=<uuid>;r=<role>;edt=2027-01-01T00:00:00Z;sig=<hex of HMAC-SHA-256 over all before ";sig=">

exactly these five fields in this order. The form of Mycelium 9 is accepted too, and issued by option. It is
base64(P + ";sig=" + S), P holding aid, edt, rls, tid, sid and kvr in any order, S the hex of HMAC-SHA-512 over
base64(P): the text, not the bytes of P.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from gateway.identity.model import MacKey

Form = Literal["seed", "mycelium"]

MAX_BYTES = 4096
MAC_KEYS = 3  # live at most; more would make a wrong string cost more

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
SLUG = "[a-z0-9][a-z0-9_-]{0,63}"  # nothing in it can be taken for a separator
_TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
_SEED = re.compile(f"(acc=({UUID});tid=({UUID});r=({SLUG});edt=({_TIME}Z));sig=([0-9a-f]{{64}})")
_ROLES = re.compile(f"{SLUG}:[01](?:,{SLUG}:[01])*")
_FIELDS = {
    "aid": re.compile(UUID),
    "edt": re.compile(f"{_TIME}[+-][0-9]{{2}}:[0-9]{{2}}"),
    "rls": _ROLES,
    "tid": re.compile(UUID),
    "sid": re.compile(UUID),
    "kvr": re.compile("0|[1-9][0-9]{0,8}"),
    "url": re.compile("[!-~]+"),  # Mycelium's parser knows it and gives it no meaning
}
_SIGNATURE = re.compile("[0-9a-f]{128}")


class ConnectionStringError(ValueError):
    """The bytes are in neither form. Says which rule, never what was read."""


@dataclass(frozen=True, slots=True, repr=False)
class ConnectionString:
    """One that was parsed, not verified. Who the caller is comes from the grant, never from these fields.

    roles: one slug in the seed form; any number in the other. expires_at: seconds since the epoch. key_version: of
    the MAC key, None in the seed form, which does not say. signed, signature: the MAC's message and the MAC.
    """

    form: Form
    account_id: str
    tenant_id: str | None
    roles: tuple[str, ...]
    expires_at: float
    key_version: int | None
    signed: bytes
    signature: bytes

    def __repr__(self) -> str:
        return f"ConnectionString({self.form})"


def parse(raw: bytes) -> ConnectionString:
    """Raises ConnectionStringError. One credential has one spelling: no padding, case or order is forgiven."""
    if len(raw) > MAX_BYTES:
        raise ConnectionStringError("it is too long")
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError as error:
        raise ConnectionStringError("it is not ASCII") from error
    return _parse_seed(text) if text.startswith("acc=") else _parse_mycelium(text)


def verify(parsed: ConnectionString, keys: Sequence[MacKey]) -> bool:
    """Whether one of `keys` (newest first; at most three are tried) made the signature. Constant time per key."""
    good = False
    for key in keys[:MAC_KEYS]:
        if parsed.key_version in (None, key.version):
            good |= hmac.compare_digest(_mac(parsed.form, key, parsed.signed), parsed.signature)
    return good


def mint(
    account_id: str,
    tenant_id: str,
    role: str,
    expires_at: float,
    key: MacKey,
    *,
    form: Form = "seed",
    write: bool = True,
) -> bytes:
    """The credential. expires_at: seconds since the epoch, in whole seconds. write: told by the Mycelium form only.

    Raises ValueError for values that could not be parsed again.
    """
    at = datetime.fromtimestamp(int(expires_at), UTC)
    if form == "seed":
        signed = f"acc={account_id};tid={tenant_id};r={role};edt={at:%Y-%m-%dT%H:%M:%S}Z".encode()
        raw = signed + b";sig=" + _mac(form, key, signed).hex().encode()
    else:
        fields = f"aid={account_id};edt={at:%Y-%m-%dT%H:%M:%S}+00:00;rls={role}:{write:d};tid={tenant_id}"
        body = f"{fields};kvr={key.version}".encode()
        signature = _mac(form, key, base64.b64encode(body))
        raw = base64.b64encode(body + b";sig=" + signature.hex().encode())
    parse(raw)
    return raw


def _mac(form: Form, key: MacKey, message: bytes) -> bytes:
    return hmac.digest(key.secret, message, hashlib.sha256 if form == "seed" else hashlib.sha512)


def _parse_seed(text: str) -> ConnectionString:
    found = _SEED.fullmatch(text)
    if found is None:
        raise ConnectionStringError("its fields are not acc, tid, r, edt, sig in their form")
    signed, account_id, tenant_id, role, until, signature = found.groups()
    return ConnectionString(
        form="seed",
        account_id=account_id,
        tenant_id=tenant_id,
        roles=(role,),
        expires_at=_time(until),
        key_version=None,
        signed=signed.encode(),
        signature=bytes.fromhex(signature),
    )


def _parse_mycelium(text: str) -> ConnectionString:
    body, separator, signature = _decode(text).rpartition(";sig=")
    if not separator or not _SIGNATURE.fullmatch(signature):
        raise ConnectionStringError("it has no signature at its end")
    fields = _fields(body)
    if not {"aid", "edt", "kvr"} <= fields.keys():
        raise ConnectionStringError("aid, edt or kvr is missing")
    return ConnectionString(
        form="mycelium",
        account_id=fields["aid"],
        tenant_id=fields.get("tid"),
        roles=tuple(role[:-2] for role in fields["rls"].split(",")) if "rls" in fields else (),
        expires_at=_time(fields["edt"]),
        key_version=int(fields["kvr"]),
        signed=base64.b64encode(body.encode()),
        signature=bytes.fromhex(signature),
    )


def _decode(text: str) -> str:
    try:
        decoded = base64.b64decode(text, validate=True)
        plain = decoded.decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise ConnectionStringError("it is neither base64 nor a list of fields") from error
    if base64.b64encode(decoded).decode() != text:
        raise ConnectionStringError("its base64 is not canonical")
    return plain


def _fields(body: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for part in body.split(";"):
        name, separator, value = part.partition("=")
        key = name.lower() if name in (name.lower(), name.upper()) else ""
        rule = _FIELDS.get(key)
        if not separator or rule is None or key in fields or not rule.fullmatch(value) or "=" in value:
            raise ConnectionStringError("a field is unknown, repeated or not in its form")
        fields[key] = value
    return fields


def _time(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        raise ConnectionStringError("edt is not a time") from error
