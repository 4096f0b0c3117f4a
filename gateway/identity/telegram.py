"""What a Telegram Mini App sends of its user: `initData`, signed with the bot's token. Pure; no account is known here.

https://core.telegram.org/bots/webapps#validating-data-received-via-the-mini-app

initData is a bearer value: whoever reads it can present it again until its window has passed, and nothing here, nor in
Telegram's protocol, tells the second time from the first. And whoever holds the bot's token can write one for any user.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from gateway.errors import RequestRejected

WINDOW = 300.0  # seconds after auth_date, as Mycelium 9 has it
AHEAD = 30.0  # seconds that Telegram's clock may be before ours
MAX_BYTES = 8192
MAX_FIELDS = 32  # Telegram documents a dozen
_BEYOND_ID = 2**52  # "at most 52 significant bits", https://core.telegram.org/bots/api#user

_HASH = re.compile("[0-9a-f]{64}")
_SECONDS = re.compile("[1-9][0-9]{0,11}")


@dataclass(frozen=True, slots=True)
class TelegramUser:
    """auth_date: when Telegram signed this, seconds since the epoch."""

    id: int
    username: str | None
    first_name: str | None
    last_name: str | None
    auth_date: int


def read_init_data(text: str, bot_token: str, now: float, window: float = WINDOW) -> TelegramUser:
    """The user that Telegram vouches for, to the bot with this token. now: seconds since the epoch. window: seconds.

    Every field but `hash` is signed, `signature` (Ed25519, for those without the token) among them. Raises
    RequestRejected("invalid_telegram_init_data"), and says no more than which rule failed.
    """
    fields = _fields(text)
    _check_hash(fields, bot_token)
    auth_date = fields.get("auth_date", "")
    if not _SECONDS.fullmatch(auth_date):
        raise _invalid("auth_date is missing or not a time")
    if not now - window <= int(auth_date) <= now + AHEAD:
        raise _invalid("auth_date is too old, or in the future")
    return _user(fields.get("user", ""), int(auth_date))


def _fields(text: str) -> Mapping[str, str]:
    """Each field once, decoded as a browser decodes a query."""
    try:
        if len(text.encode()) > MAX_BYTES:
            raise _invalid("it is too long")
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise _invalid("it is not a query string") from error
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise _invalid("a field appears twice")
    # a line feed in one field would be signed like the beginning of the next
    if any("\n" in name or "=" in name or "\n" in value for name, value in pairs):
        raise _invalid("a field has a line feed")
    return fields


def _check_hash(fields: Mapping[str, str], bot_token: str) -> None:
    presented = fields.get("hash", "")
    if not _HASH.fullmatch(presented):
        raise _invalid("hash is missing or not 64 hexadecimal digits")
    signed = "\n".join(f"{name}={value}" for name, value in sorted(fields.items()) if name != "hash")
    secret = hmac.digest(b"WebAppData", bot_token.encode(), hashlib.sha256)
    if not hmac.compare_digest(hmac.digest(secret, signed.encode(), hashlib.sha256), bytes.fromhex(presented)):
        raise _invalid("hash is wrong")


def _user(text: str, auth_date: int) -> TelegramUser:
    try:
        user = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid("user is missing or not JSON") from error
    if not isinstance(user, dict):
        raise _invalid("user is not an object")
    number = user.get("id")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < _BEYOND_ID:
        raise _invalid("user.id is not a Telegram id")
    names = (_name(user, "username"), _name(user, "first_name"), _name(user, "last_name"))
    return TelegramUser(number, *names, auth_date)


def _name(user: Mapping[str, object], member: str) -> str | None:
    value = user.get(member)
    if value is not None and not isinstance(value, str):
        raise _invalid("a name of user is not a text")
    return value


def _invalid(detail: str) -> RequestRejected:
    return RequestRejected("invalid_telegram_init_data", detail)
