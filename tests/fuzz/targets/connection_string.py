"""The parser of connection strings, beside one that takes them apart by hand; and their MAC.

The first byte chooses: the rest is one as it came, or the fields that one of our keys signs, in one form or the other.
"""

import base64
import calendar
import hashlib
import hmac
import re
import string
import time
from collections.abc import Iterator

from gateway.identity import connection_string
from gateway.identity.connection_string import ConnectionString, ConnectionStringError
from gateway.identity.model import MacKey

WORDS = (b"acc=", b";tid=", b";r=", b";edt=", b";sig=", b"aid=", b"kvr=1", b"rls=manager:1", b"sid=", b"ACC=", b"EDT=",
         b"2030-01-01T00:00:00Z", b"2030-01-01T00:00:00+00:00", b"9999-12-31T23:59:60Z", b"0001-01-01T00:00:00-23:59",
         b"manager", b"00000000-0000-4000-8000-000000000001", b"==", b"YWlkPQ", b"\n", b"url=http://x")  # fmt: skip
ACCOUNT, TENANT = "ac000000-0000-4000-8000-000000000001", "7a000000-0000-4000-8000-000000000001"
KEYS = (MacKey(2, b"n" * 64), MacKey(1, b"m" * 64))
SLUG = set(string.ascii_lowercase + string.digits + "-_")


def seeds() -> Iterator[bytes]:
    for key in KEYS:
        for form, pick in (("seed", b"\1"), ("mycelium", b"\2")):
            raw = connection_string.mint(ACCOUNT, TENANT, "manager", 1893456000, key, form=form)  # type: ignore[arg-type]
            yield b"\0" + raw
            yield pick + (raw if form == "seed" else base64.b64decode(raw)).rpartition(b";sig=")[0]
    yield b"\2AID=%b;edt=2030-01-01T00:00:00-08:00;kvr=0" % ACCOUNT.encode()
    yield b"\2kvr=2;edt=2030-01-01T00:00:00+14:00;aid=%b;rls=a:0,b:1;sid=%b;url=x" % (ACCOUNT.encode(), TENANT.encode())


def once(data: bytes) -> None:
    kind, rest = data[0] % 3 if data else 0, data[1:]
    signed = (_given, _seed, _mycelium)[kind](rest)
    expected = plainly(signed)
    try:
        parsed = connection_string.parse(signed)
    except ConnectionStringError as fault:
        assert expected is None, f"refused: {fault}"
        assert not rest or rest.decode("latin1") not in str(fault) or len(rest) < 8
        return
    assert parsed == expected, "taken, or read otherwise"
    good = connection_string.verify(parsed, KEYS)
    assert good == any(_signs(key, parsed, signed) for key in KEYS)
    assert not connection_string.verify(parsed, ())
    if good and parsed.form == "seed":
        at = time.gmtime(parsed.expires_at)
        (role,), tenant = parsed.roles, parsed.tenant_id
        text = (
            f"acc={parsed.account_id};tid={tenant};r={role};edt={at.tm_year:04}-{time.strftime('%m-%dT%H:%M:%S', at)}Z"
        )
        assert signed.startswith(text.encode() + b";sig=")


def _given(raw: bytes) -> bytes:
    return raw


def _seed(fields: bytes) -> bytes:
    return fields + b";sig=" + hmac.new(KEYS[0].secret, fields, hashlib.sha256).hexdigest().encode()


def _mycelium(fields: bytes) -> bytes:
    signature = hmac.new(KEYS[0].secret, base64.b64encode(fields), hashlib.sha512).hexdigest().encode()
    return base64.b64encode(fields + b";sig=" + signature)


def _signs(key: MacKey, parsed: ConnectionString, raw: bytes) -> bool:
    """By the bytes as they came, and the document's rule."""
    if parsed.form == "seed":
        return raw == _with(key, raw.rpartition(b";sig=")[0])
    body = base64.b64decode(raw).rpartition(b";sig=")
    mac = hmac.new(key.secret, base64.b64encode(body[0]), hashlib.sha512).hexdigest().encode()
    return parsed.key_version == key.version and mac == body[2]


def _with(key: MacKey, fields: bytes) -> bytes:
    return fields + b";sig=" + hmac.new(key.secret, fields, hashlib.sha256).hexdigest().encode()


# the rules, read plainly


def plainly(raw: bytes) -> ConnectionString | None:
    if len(raw) > 4096 or not raw.isascii():
        return None
    text = raw.decode()
    if text.startswith("acc="):
        return _seed_form(text)
    try:
        decoded = base64.b64decode(text)
        plain = decoded.decode("ascii")
    except ValueError:
        return None
    if base64.b64encode(decoded).decode() != text:
        return None
    body, mark, signature = plain.rpartition(";sig=")
    fields = [part.split("=") for part in body.split(";")]
    if not mark or not _hex(signature, 128) or any(len(field) != 2 for field in fields):
        return None
    found = {name.lower(): value for name, value in fields}
    if len(found) < len(fields) or any(not (name.islower() or name.isupper()) for name, _ in fields):
        return None
    if not {"aid", "edt", "kvr"} <= set(found) <= set(_RULES) or not all(_RULES[name](found[name]) for name in found):
        return None
    at = _seconds(found["edt"][:19] + "Z", found["edt"][19:])
    roles = tuple(role[:-2] for role in found["rls"].split(",")) if "rls" in found else ()
    if at is None:
        return None
    signed, version = base64.b64encode(body.encode()), int(found["kvr"])
    return ConnectionString(
        "mycelium", found["aid"], found.get("tid"), roles, at, version, signed, bytes.fromhex(signature)
    )


def _seed_form(text: str) -> ConnectionString | None:
    parts = text.split(";")
    names, values = [part.partition("=")[0] for part in parts], [part.partition("=")[2] for part in parts]
    if names != ["acc", "tid", "r", "edt", "sig"]:
        return None
    account, tenant, role, until, signature = values
    at = _seconds(until, "+00:00")
    if not (_uuid(account) and _uuid(tenant) and _slug(role) and _hex(signature, 64)) or at is None:
        return None
    signed = text.removesuffix(";sig=" + signature).encode()
    return ConnectionString("seed", account, tenant, (role,), at, None, signed, bytes.fromhex(signature))


def _hex(text: str, length: int) -> bool:
    return len(text) == length and set(text) <= set("0123456789abcdef")


def _uuid(text: str) -> bool:
    return [len(part) for part in text.split("-")] == [8, 4, 4, 4, 12] and _hex(text.replace("-", ""), 32)


def _slug(text: str) -> bool:
    return 0 < len(text) <= 64 and set(text) <= SLUG and text[0] not in "-_"


def _seconds(until: str, offset: str) -> float | None:
    """Seconds since the epoch by the calendar alone; None for a day or an hour that there is not."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", until, re.ASCII) or not _offset(offset):
        return None
    year, month, day, hour, minute, second = (int(until[at : at + size]) for at, size in
                                              ((0, 4), (5, 2), (8, 2), (11, 2), (14, 2), (17, 2)))  # fmt: skip
    if not (year and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    days = (day - 1) + sum(calendar.monthrange(year, before)[1] for before in range(1, month))
    days += sum(365 + calendar.isleap(before) for before in range(1, year)) - 719162  # days from year 1 to 1970
    shift = (int(offset[1:3]) * 60 + int(offset[4:6])) * 60 * (-1 if offset[0] == "-" else 1)
    return float(days * 86400 + hour * 3600 + minute * 60 + second - shift)


def _offset(text: str) -> bool:
    """Whatever Python takes for one: less than a day."""
    good = re.fullmatch(r"[+-]\d\d:\d\d", text, re.ASCII)
    return bool(good) and int(text[1:3]) * 60 + int(text[4:6]) < 24 * 60


_RULES = {
    "aid": _uuid,
    "tid": _uuid,
    "sid": _uuid,
    "edt": lambda text: len(text) == 25 and _offset(text[19:]),
    "rls": lambda text: all(_slug(role[:-2]) and role[-2:] in (":0", ":1") for role in text.split(",")),
    "kvr": lambda text: text.isdecimal() and len(text) <= 9 and (text == "0" or text[0] != "0"),
    "url": lambda text: bool(text) and all("!" <= char <= "~" for char in text),
}
